"""Health checks over TLS, against certificates that are right and wrong."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from tests.integration.checks import SOON, WHOLE, backend_that, check, probe
from tests.support import handlers

pytestmark = pytest.mark.needs("openssl")


class TlsServer:
    """Answers one request on each TLS connection; `names` are those that clients asked for."""

    def __init__(self, context):
        self.names = []
        context.sni_callback = lambda _, name, __: self.names.append(name)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://localhost:{self.port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                self._answer(sock)

    def _answer(self, sock):
        try:
            with self._context.wrap_socket(sock, server_side=True) as encrypted:
                encrypted.recv(65536)
                encrypted.sendall(WHOLE)
        except OSError:
            return  # the check did not like the certificate


class Certificates:
    """PEM files made by openssl: an authority, and what it has signed."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = self._self_signed("ca")
        self.alone = self._self_signed("alone")
        self.good = self._signed("good", days=2)
        self.expired = self._signed("expired", days=-1)

    def server(self, certificate, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, self.key(certificate))
        for name, value in options.items():
            setattr(context, name, value)
        if context.verify_mode:
            context.load_verify_locations(self.ca)
        return TlsServer(context)

    def key(self, certificate):
        return certificate.removesuffix(".pem") + ".key"

    def _self_signed(self, name):
        self._openssl(
            f"req -x509 {self._new(name)} -out {name}.pem -days 2 -addext subjectAltName=DNS:localhost"
        )
        return str(self.directory / f"{name}.pem")

    def _signed(self, name, days):
        (self.directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._openssl(f"req {self._new(name)} -out {name}.csr")
        self._openssl(
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
            f" -out {name}.pem -days {days} -extfile names"
        )
        return str(self.directory / f"{name}.pem")

    def _new(self, name):
        return f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -subj /CN={name}"

    def _openssl(self, arguments):
        command = ["openssl", *arguments.split()]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_a_certificate_of_a_trusted_authority_passes(certificates):
    with certificates.server(certificates.good) as server:
        assert check(server.url, tls={"ca": certificates.ca}, scheme="https").passed
        assert server.names == ["localhost"]


def test_an_address_is_verified_without_a_name(certificates):
    with certificates.server(certificates.good) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert check(url, tls={"ca": certificates.ca}, scheme="https").passed
        assert server.names == [None]


def test_the_body_is_read_through_tls(certificates):
    with certificates.server(certificates.good) as server:
        tls = {"ca": certificates.ca}
        assert check(server.url, tls=tls, scheme="https", expect_body="ready").passed
        assert check(server.url, tls=tls, scheme="https", expect_body="no").text == 'body without "no"'


@pytest.mark.parametrize(
    ("name", "trusted", "server_name", "text"),
    [
        ("expired", "ca", "", "TLS: certificate has expired"),
        ("alone", "ca", "", "TLS: self-signed certificate"),
        ("good", "alone", "", "TLS: unable to get local issuer certificate"),
        ("good", "ca", "other.example", "TLS: certificate is for another name"),
    ],
)
def test_a_certificate_that_is_wrong_is_told(certificates, name, trusted, server_name, text):
    tls = {"ca": getattr(certificates, trusted), "server_name": server_name}
    with certificates.server(getattr(certificates, name)) as server:
        result = check(server.url, tls=tls, scheme="https")
    assert (result.passed, result.text, result.connected) == (False, text, True)


def test_the_authorities_of_the_system_are_trusted_by_default(certificates):
    with certificates.server(certificates.good) as server:
        assert check(server.url, scheme="https").text == "TLS: unable to get local issuer certificate"


@pytest.mark.parametrize("name", ["expired", "alone"])
def test_without_verification_any_certificate_passes(certificates, name):
    with certificates.server(getattr(certificates, name)) as server:
        assert check(server.url, tls={"verify": False}, scheme="https").passed


def test_our_own_certificate_is_shown_to_an_endpoint_that_asks(certificates):
    tls = {"ca": certificates.ca}
    ours = {"cert": certificates.good, "key": certificates.key(certificates.good)}
    with certificates.server(certificates.good, verify_mode=ssl.CERT_REQUIRED) as server:
        assert check(server.url, tls={**tls, **ours}, scheme="https").passed
        result = check(server.url, tls=tls, scheme="https")
    assert not result.passed
    assert result.text.startswith(("TLS: ", "connection "))


def test_a_renewed_authority_is_read_at_the_next_check(certificates, tmp_path):
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(Path(certificates.alone).read_bytes())
    with certificates.server(certificates.good) as server:
        checks = probe(server.url, {"ca": str(trusted)}, scheme="https")
        assert not checks.check(5.0).passed
        renewed = tmp_path / "renewed.pem"
        renewed.write_bytes(Path(certificates.ca).read_bytes())
        renewed.rename(trusted)
        assert checks.check(5.0).passed


def test_the_timeout_is_for_the_handshake_too():
    with backend_that(lambda connection: connection.wait_until_proxy_closes()) as backend:
        result = check(backend.url, SOON, scheme="https")
    assert (result.text, result.connected) == ("timeout after 0.3 s", True)


def test_an_endpoint_without_tls_is_told():
    def handle(connection):
        connection.receive()
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    with backend_that(handle) as backend:
        assert check(backend.url, scheme="https").text == "TLS: wrong version number"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_end_in_the_handshake_is_told(end):
    def handle(connection):
        connection.receive()
        handlers.finish(connection, end)

    with backend_that(handle) as backend:
        assert check(backend.url, scheme="https").text == "TLS: connection closed in the handshake"
