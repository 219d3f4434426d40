"""What backends are told about clients, where it depends on who the peer is or on an option."""

import http.client
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.backend_connection import ReceivedRequest
from tests.support.client import Header, RawClient, fetch
from tests.support.lbg import LbgProcess, one_pool

STRANGER, TRUSTED, FAR_TRUSTED = "127.0.0.1", "127.0.0.2", "10.1.2.3"


@dataclass
class Proxied:
    """lbg in front of one backend."""

    lbg: LbgProcess
    backend: Backend

    def ask(self, *headers: Header, source: str = STRANGER) -> ReceivedRequest:
        """Send a request from a local address and return what the backend received."""
        self.backend.requests.clear()
        host, port = self.lbg.address
        client = http.client.HTTPConnection(str(host), int(port), timeout=10.0, source_address=(source, 0))
        try:
            named = any(name == "Host" for name, _ in headers)
            client.putrequest("GET", "/", skip_host=named, skip_accept_encoding=True)
            for name, value in headers:
                client.putheader(name, value)
            client.endheaders()
            assert client.getresponse().read() == b"ok"
        finally:
            client.close()
        (request,) = self.backend.requests
        return request


def _run(directory: Path, server: dict[str, object], **pool: object) -> Iterator[Proxied]:
    with Backend() as backend:
        with LbgProcess({"server": server, **one_pool(backend.url, **pool)}, directory, workers=1) as process:
            yield Proxied(process, backend)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Run lbg that trusts one local address and a far network."""
    networks = [f"{TRUSTED}/32", "10.0.0.0/8"]
    yield from _run(tmp_path_factory.mktemp("trusting"), {"trusted_proxies": networks})


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Run lbg with every option that changes what backends are told."""
    server = {
        "trusted_proxies": [f"{TRUSTED}/32"],
        "forwarded": True,
        "via": "edge-1",
        "underscore_headers": True,
    }
    yield from _run(tmp_path_factory.mktemp("telling"), server, host="endpoint")


CLAIMS = [
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("X-Forwarded-Port", "443"),
    ("X-Real-IP", "1.2.3.4"),
    ("X-Request-Id", "id-from-outside"),
    ("Forwarded", "for=1.2.3.4;proto=https"),
]


def test_a_strangers_claims_are_replaced(trusting: Proxied) -> None:
    request = trusting.ask(*CLAIMS)
    assert request.values("x-forwarded-for") == [STRANGER]
    assert request.values("x-forwarded-proto") == ["http"]
    assert request.values("x-forwarded-host") == [addresses.authority(trusting.lbg.address)]
    assert request.values("x-forwarded-port") == [str(trusting.lbg.address[1])]
    assert b"1.2.3.4" not in request.raw_head
    assert b"id-from-outside" not in request.raw_head


def test_a_trusted_peers_claims_pass_with_its_address_added(trusting: Proxied) -> None:
    request = trusting.ask(*CLAIMS, source=TRUSTED)
    assert request.values("x-forwarded-for") == [f"1.2.3.4, {TRUSTED}"]
    assert request.values("x-forwarded-proto") == ["https"]
    assert request.values("x-forwarded-host") == ["shop.example"]
    assert request.values("x-forwarded-port") == ["443"]
    assert request.values("x-real-ip") == ["1.2.3.4"]
    assert request.values("x-request-id") == ["id-from-outside"]
    assert request.values("forwarded") == ["for=1.2.3.4;proto=https"]


def test_a_chain_in_several_lines_is_kept_in_order(trusting: Proxied) -> None:
    chain = [("X-Forwarded-For", "1.1.1.1, 2.2.2.2"), ("X-Forwarded-For", FAR_TRUSTED)]
    request = trusting.ask(*chain, source=TRUSTED)
    assert request.values("x-forwarded-for") == [f"1.1.1.1, 2.2.2.2, {FAR_TRUSTED}, {TRUSTED}"]


def test_a_trusted_peer_that_claims_nothing_is_the_client(trusting: Proxied) -> None:
    request = trusting.ask(source=TRUSTED)
    assert request.values("x-forwarded-for") == [TRUSTED]
    assert request.values("x-forwarded-proto") == ["http"]
    assert request.values("x-forwarded-host") == [addresses.authority(trusting.lbg.address)]


@pytest.mark.parametrize(("claim", "told"), [("", "http"), ("gopher", "http"), ("HTTPS", "https")])
def test_only_a_known_protocol_is_believed(trusting: Proxied, claim: str, told: str) -> None:
    request = trusting.ask(("X-Forwarded-Proto", claim), source=TRUSTED)
    assert request.values("x-forwarded-proto") == [told]


def test_requests_on_one_connection_belong_to_the_same_peer(trusting: Proxied) -> None:
    trusting.backend.requests.clear()
    with RawClient(trusting.lbg.address) as client:
        client.request(headers=[("X-Forwarded-For", "1.2.3.4")])
        client.request()
    seen = [request.values("x-forwarded-for") for request in trusting.backend.requests]
    assert seen == [[STRANGER], [STRANGER]]


def test_a_request_gets_an_id_of_its_own(trusting: Proxied) -> None:
    ids = [trusting.ask().values("x-request-id") for _ in range(20)]
    assert all(len(each) == 1 and re.fullmatch(r"[0-9a-f]{16,}", each[0]) for each in ids)
    assert len({each[0] for each in ids}) == 20


@pytest.mark.parametrize("bad", ["two words", "x" * 200, ""], ids=["a space", "long", "empty"])
def test_a_request_id_that_cannot_be_one_is_replaced(trusting: Proxied, bad: str) -> None:
    (request_id,) = trusting.ask(("X-Request-Id", bad), source=TRUSTED).values("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{16,}", request_id)


def test_the_id_of_a_request_is_in_its_failure_and_in_the_log(lbg: StartLbg) -> None:
    process = lbg(
        {
            "server": {"trusted_proxies": ["127.0.0.0/8"]},
            **one_pool("http://127.0.0.1:1", health={"type": "none"}),
        },
        workers=1,
    )
    response = fetch(process.address, headers=[("X-Request-Id", "find-me-again")])
    assert response.status == 502
    assert response.values("x-request-id") == ["find-me-again"]
    assert b"find-me-again" in response.body
    assert "find-me-again" in process.log()


def test_forwarded_names_the_client(telling: Proxied) -> None:
    (value,) = telling.ask(("Host", "shop.example:81")).values("forwarded")
    assert value == f'for={STRANGER};host="shop.example:81";proto=http'


def test_forwarded_of_a_stranger_is_replaced(telling: Proxied) -> None:
    (value,) = telling.ask(("Forwarded", "for=1.2.3.4")).values("forwarded")
    assert "1.2.3.4" not in value


def test_forwarded_of_a_trusted_peer_is_continued(telling: Proxied) -> None:
    (value,) = telling.ask(("Forwarded", "for=1.2.3.4"), source=TRUSTED).values("forwarded")
    assert value.startswith("for=1.2.3.4, ")
    assert f"for={TRUSTED};" in value


def test_the_host_of_the_endpoint_takes_the_place_of_the_clients(telling: Proxied) -> None:
    request = telling.ask(("Host", "shop.example"))
    assert request.values("host") == [addresses.authority(telling.backend.address)]
    assert request.values("x-forwarded-host") == ["shop.example"]


def test_the_host_of_a_unix_endpoint_is_localhost(lbg: StartLbg, tmp_path: Path) -> None:
    with Backend(address=str(tmp_path / "b")) as backend:
        process = lbg(one_pool(f"unix:{tmp_path / 'b'}", host="endpoint"), workers=1)
        assert fetch(process.address, headers=[("Host", "shop.example")]).status == 200
        assert backend.requests[0].values("host") == ["localhost"]


def test_via_carries_the_configured_name(telling: Proxied) -> None:
    assert telling.ask().values("via") == ["1.1 edge-1"]


def test_via_comes_after_those_before(telling: Proxied) -> None:
    values = telling.ask(("Via", "1.0 fred"), ("Via", "1.1 lbg")).values("via")
    assert ", ".join(values) == "1.0 fred, 1.1 lbg, 1.1 edge-1"


def test_names_with_underscores_pass_when_allowed(telling: Proxied) -> None:
    assert telling.ask(("X_Custom", "1")).values("x_custom") == ["1"]


def test_an_ipv6_client_is_quoted_in_forwarded(tmp_path: Path) -> None:
    with addresses.bound_socket(("::1", 0)) as reserved, Backend() as backend:
        six = addresses.local_address(reserved)
        config = {"server": {"forwarded": True}, **one_pool(backend.url)}
        bind = {"LBG_SERVER__BIND": addresses.authority(six)}
        with LbgProcess(config, tmp_path, workers=1, env=bind):
            assert fetch(six).status == 200
        (request,) = backend.requests
    assert request.values("x-forwarded-for") == ["::1"]
    assert request.values("forwarded") == [f'for="[::1]";host="{addresses.authority(six)}";proto=http']


def test_two_in_a_row_tell_the_whole_way(lbg: StartLbg) -> None:
    with Backend() as backend:
        inner = lbg(
            {"server": {"via": "inner", "trusted_proxies": ["127.0.0.0/8"]}, **one_pool(backend.url)},
            workers=1,
        )
        outer = lbg({"server": {"via": "outer"}, **one_pool(inner.url)}, workers=1)
        fields = [("Host", "shop.example"), ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")]
        assert fetch(outer.address, headers=fields).status == 200
        (request,) = backend.requests
    assert request.values("host") == ["shop.example"]
    assert request.values("x-forwarded-for") == ["127.0.0.1, 127.0.0.1"]
    assert request.values("x-forwarded-proto") == ["http"]
    assert request.values("x-forwarded-port") == [str(outer.address[1])]
    assert ", ".join(request.values("via")) == "1.1 outer, 1.1 inner"
    assert len(request.values("x-request-id")) == 1


def test_a_loop_ends_at_its_second_turn(tmp_path: Path) -> None:
    process = LbgProcess("", tmp_path)
    process.write_config(one_pool(process.url, health={"type": "none"}))
    with process:
        response = fetch(process.address)
        (endpoint,) = process.status()["pools"]["main"]["endpoints"]
    assert response.status == 508
    assert 'details="loop"' in (response.get("proxy-status") or "")
    assert endpoint["requests"] == 1
