"""The ready configurations in deploy/examples do what they say, row by row of the programs they come from."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import Handler, account, answer, echo, head
from tests.support.lbg import LOOPBACK, ROOT, LbgProcess
from tests.support.waiting import eventually

EXAMPLES = ROOT / "deploy" / "examples"


def _text(name: str, replacements: dict[str, str]) -> str:
    """Return an example with other addresses; each must be there."""
    text = (EXAMPLES / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"{name} has no {old}"
        text = text.replace(old, new)
    return text


def _unused() -> str:
    """Return an address where nothing listens."""
    with addresses.bound_socket(LOOPBACK) as sock:
        return addresses.url(addresses.local_address(sock))


def _application(name: str) -> Handler:
    """Answer as the tutorial's application: who it is, and what it got; /v1 and /v2 say what they are."""

    def handle(connection: BackendConnection) -> None:
        request = connection.read_request()
        path = request.target.decode().partition("?")[0]
        if path in {"/v1", "/v2"}:
            kind, body = "text/plain", f"This is {path[1:].upper()}".encode()
        else:
            kind = "application/json"
            body = json.dumps({"message": f"This is the {name} application.", **account(request)}).encode()
        connection.send(head(200, [("Content-Type", kind), ("Content-Length", str(len(body)))]) + body)

    return handle


class HostsAndPaths:
    """The example with two backends of mango and of apple, a dead one of apple, and none of orange."""

    def __init__(self, running: LbgProcess, mango: list[Backend], apple: list[Backend]) -> None:
        self.address = running.address
        self.mango = [backend.url.removeprefix("http://") for backend in mango]
        self.apple = [backend.url.removeprefix("http://") for backend in apple]

    def get(self, path: str, host: str = "lbg.test", client: str = "") -> RawResponse:
        headers = [("Host", host)] + ([("X-Forwarded-For", client)] if client else [])
        return fetch(self.address, path, headers=headers)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostsAndPaths]:
    with ExitStack() as stack:
        mango = [stack.enter_context(Backend(_application("mango"))) for _ in range(2)]
        apple = [stack.enter_context(Backend(_application("apple"))) for _ in range(2)]
        ports = ["8081", "8082", "9081", "9082", "8888", "1111", "1212"]
        urls = [backend.url for backend in (*mango, *apple)] + [_unused() for _ in range(3)]
        text = _text(
            "hosts-and-paths.toml",
            {f"http://localhost:{port}": url for port, url in zip(ports, urls, strict=True)},
        )
        running = stack.enter_context(LbgProcess(text, tmp_path_factory.mktemp("tutorial")))
        for url in urls[-3:]:
            running.wait_for(url, "down")
        yield HostsAndPaths(running, mango, apple)


def _told(response: RawResponse) -> dict[str, Any]:
    assert response.status == 200, response
    told: dict[str, Any] = json.loads(response.body)
    told["fields"] = {name.lower(): value for name, value in told["headers"]}
    return told


def test_the_first_host_has_its_own_application_with_header_and_query_rules(tutorial: HostsAndPaths) -> None:
    told = _told(tutorial.get("/?RemoveMe=Remove", "www.mango.com"))
    assert told["message"] == "This is the mango application."
    assert told["target"] == "/?MyCustomParam=Test"
    assert told["fields"]["mycustomheader"] == "Test"
    assert told["fields"]["host"] in tutorial.mango


def test_the_second_host_has_another_without_them(tutorial: HostsAndPaths) -> None:
    told = _told(tutorial.get("/", "www.apple.com"))
    assert told["message"] == "This is the apple application."
    assert "mycustomheader" not in told["fields"]
    assert told["fields"]["host"] in tutorial.apple


@pytest.mark.parametrize(("path", "host"), [("/", "www.orange.com"), ("/orange", "lbg.test")])
def test_without_backends_that_live_there_is_503(tutorial: HostsAndPaths, path: str, host: str) -> None:
    response = tutorial.get(path, host)
    assert (response.status, b"no_healthy" in response.body) == (503, True)


@pytest.mark.parametrize(("path", "host"), [("/", "www.notmango.com"), ("/notmango", "lbg.test")])
def test_other_hosts_and_paths_are_not_found(tutorial: HostsAndPaths, path: str, host: str) -> None:
    response = tutorial.get(path, host)
    assert (response.status, b"Not Found" in response.body) == (404, True)


@pytest.mark.parametrize("name", ["mango", "apple"])
def test_a_path_leads_to_an_application_for_every_other_host(tutorial: HostsAndPaths, name: str) -> None:
    told = _told(tutorial.get(f"/{name}"))
    assert (told["message"], told["target"]) == (f"This is the {name} application.", "/")
    assert "mycustomheader" not in told["fields"]
    assert told["fields"]["host"] in getattr(tutorial, name)


def test_the_path_of_the_first_host_is_rewritten(tutorial: HostsAndPaths) -> None:
    assert tutorial.get("/v1", "www.mango.com").body == b"This is V2"


@pytest.mark.parametrize(
    ("client", "status"), [("10.192.0.1", 403), ("10.192.0.2", 403), ("55.55.55.55", 200)]
)
def test_addresses_are_refused(tutorial: HostsAndPaths, client: str, status: int) -> None:
    assert tutorial.get("/mango", "www.mango.com", client).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/messages", 403),
        ("/apps", 403),
        ("/apps/x", 403),
        ("//apps", 403),
        ("/%61pps", 403),
        ("/pictures", 200),
    ],
)
def test_paths_are_refused(tutorial: HostsAndPaths, path: str, status: int) -> None:
    assert tutorial.get(path, "www.apple.com").status == status


def test_the_dead_backend_of_the_second_host_costs_nothing(tutorial: HostsAndPaths) -> None:
    seen = Counter(_told(tutorial.get("/", "www.apple.com"))["fields"]["host"] for _ in range(30))
    assert set(seen) == set(tutorial.apple)


# What balancebeam's own tests ask for.


def _beam(lbg: StartLbg, *urls: str, **changes: str) -> LbgProcess:
    listed = ", ".join(f'"{url}"' for url in urls)
    replacements = {
        '"http://127.0.0.1:8081", "http://127.0.0.1:8082"': listed,
        "interval = 10.0": "interval = 1.0",
    }
    return lbg(_text("failover-and-limit.toml", replacements | changes))


def _unlimited(count: int) -> dict[str, str]:
    return {'rate = "60/m", burst = 59': f'rate = "{count}/s"'}


def _works(address: Address, path: str) -> bytes:
    """Send a request and return the bytes that say who answered."""
    response = fetch(address, path, headers=[("Host", "a"), ("x-sent-by", "balancebeam-tests")])
    assert response.status == 200, response
    told = json.loads(response.body)
    fields = {name.lower(): value for name, value in told["headers"]}
    assert (told["method"], told["target"]) == ("GET", path)
    assert (fields["x-sent-by"], fields["x-forwarded-for"]) == ("balancebeam-tests", "127.0.0.1")
    return response.body


def test_single_requests_arrive_whole(lbg: StartLbg) -> None:
    with Backend(echo()) as backend:
        address = _beam(lbg, backend.url).address
        _works(address, "/first_url")
        response = fetch(address, "/first_url", method="POST", body=b"Hello world!")
        told = json.loads(response.body)
        assert (told["method"], told["body"]) == ("POST", "Hello world!")
        assert len(backend.requests) == 2


def test_three_connections_carry_four_requests_each(lbg: StartLbg) -> None:
    with Backend(echo()) as backend, ExitStack() as stack:
        address = _beam(lbg, backend.url).address
        clients = [stack.enter_context(RawClient(address)) for _ in range(3)]
        for turn in range(4):
            for number, client in enumerate(clients):
                told = json.loads(client.request("GET", f"/conn-{number}/req-{turn}").body)
                assert told["target"] == f"/conn-{number}/req-{turn}"
        assert len(backend.requests) == 12


def test_ninety_requests_are_spread_over_three_upstreams(lbg: StartLbg) -> None:
    with Backend(echo()) as a, Backend(echo()) as b, Backend(echo()) as c:
        running = _beam(lbg, a.url, b.url, c.url, **_unlimited(1000))
        for number in range(90):
            _works(running.address, f"/request-{number}")
        shares = [len(backend.requests) for backend in (a, b, c)]
    # By chance, a share is beyond these bounds once in a hundred thousand runs.
    assert sum(shares) == 90
    assert all(10 <= share <= 52 for share in shares), shares


def test_requests_go_on_when_an_upstream_dies_and_return_to_it_when_it_is_back(lbg: StartLbg) -> None:
    with Backend(echo()) as a, Backend(echo()) as b:
        running = _beam(lbg, a.url, b.url, **_unlimited(1000))
        for number in range(5):
            _works(running.address, f"/request-{number}")
        b.stop()
        for number in range(6):
            _works(running.address, f"/failover-{number}")
        before = len(b.requests)
        b.start()
        running.wait_for(b.url, "up")
        eventually(
            lambda: _works(running.address, "/after-restore") and len(b.requests) > before, 10, "b to be used"
        )


def test_an_upstream_that_answers_500_is_taken_out_by_its_checks(lbg: StartLbg) -> None:
    with Backend(echo()) as a, Backend(echo()) as b:
        running = _beam(lbg, a.url, b.url, **_unlimited(1000))
        for number in range(4):
            _works(running.address, f"/request-{number}")
        b.handler = answer(500)
        b.probe_status = 500
        running.wait_for(b.url, "down")
        for number in range(8):
            _works(running.address, f"/failover-{number}")


def test_more_requests_than_the_limit_get_429_and_reach_no_upstream(lbg: StartLbg) -> None:
    with Backend(echo()) as backend:
        address = _beam(lbg, backend.url, **{'rate = "60/m", burst = 59': 'rate = "5/5s", burst = 4'}).address
        for number in range(5):
            _works(address, f"/request-{number}")
        refused = [fetch(address, f"/overboard-{number}") for number in range(3)]
        assert [response.status for response in refused] == [429] * 3
        assert all(re.fullmatch("[1-9][0-9]*", response.get("Retry-After") or "") for response in refused)
        assert len(backend.requests) == 5
        eventually(
            lambda: fetch(address, "/please-work-again").status == 200, 10, "the limit to let pass again"
        )
