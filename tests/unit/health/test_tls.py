import errno
import os
import ssl

import pytest

from lbg.config.pools import TlsConfig
from lbg.health.tcp_probe import CheckFailed
from lbg.health.tls import TlsClient, tls_in_words
from tests.unit.health.probes import ScriptedWire


def verification_error(code, message):
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] x (_ssl.c:992)")
    error.verify_code, error.verify_message = code, message
    return error


def protocol_error(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] x (_ssl.c:992)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (verification_error(10, "certificate has expired"), "TLS: certificate has expired"),
        (verification_error(18, "self-signed certificate"), "TLS: self-signed certificate"),
        (
            verification_error(62, "Hostname mismatch, certificate is not valid for 'a'."),
            "TLS: certificate is for another name",
        ),
        (
            verification_error(64, "IP address mismatch, certificate is not valid for '10.0.0.1'."),
            "TLS: certificate is for another name",
        ),
        (protocol_error("WRONG_VERSION_NUMBER"), "TLS: wrong version number"),
        (
            ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
            "TLS: connection closed in the handshake",
        ),
        (ssl.SSLZeroReturnError(6, "closed"), "TLS: connection closed in the handshake"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "TLS: connection closed in the handshake"),
        (OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)), "TLS: no route to host"),
    ],
)
def test_a_handshake_that_fails_is_said_in_words(error, text):
    assert tls_in_words(error) == text


def shake_hands(**config):
    wire = ScriptedWire()
    with pytest.raises(CheckFailed) as caught:
        TlsClient(TlsConfig(**config), "a.example.").shake_hands(wire)
    return str(caught.value), wire.sent


def test_the_endpoint_is_asked_for_its_own_name_without_the_dot_of_the_root():
    text, sent = shake_hands()
    assert text == "TLS: connection closed in the handshake"
    assert b"\0\x09a.example\0" in sent


def test_the_endpoint_is_asked_for_the_configured_name():
    _, sent = shake_hands(server_name="b.example")
    assert b"\0\x09b.example\0" in sent
    assert b"a.example" not in sent


def test_a_file_that_has_vanished_is_told_when_it_is_needed():
    assert shake_hands(ca="/no/ca.pem") == ("TLS: ca.pem: no such file or directory", b"")


@pytest.mark.parametrize("key", ["ca", "cert"])
def test_a_file_that_openssl_cannot_read_is_told(tmp_path, key):
    file = tmp_path / "x.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    text, _ = shake_hands(**{key: str(file)})
    assert text.startswith(f"TLS: tls.{key} cannot be used: ")
    assert str(tmp_path) not in text


def test_a_file_that_was_put_right_is_read_at_the_next_check(tmp_path):
    file = tmp_path / "x.pem"
    assert "no such file" in shake_hands(ca=str(file))[0]
    file.write_text("")
    assert "cannot be used" in shake_hands(ca=str(file))[0]
