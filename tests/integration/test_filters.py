"""Filters of routes, under our server and under gunicorn's own gevent worker, in front of real backends."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.security import generate_password_hash

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import Header, RawClient, RawResponse, fetch
from tests.support.handlers import echo
from tests.support.lbg import LbgProcess
from tests.support.waiting import eventually

SHOP = "https://shop.example"
USERS = {
    "ann": generate_password_hash("secret"),
    "zoë": generate_password_hash("pässwörd", "pbkdf2:sha256:1000"),
}

ROUTES: dict[str, list[dict[str, Any]]] = {
    "/access": [
        {
            "use": "access",
            "deny_paths": ["/access/admin"],
            "deny_path_regex": r"\.php$",
            "deny_methods": ["DELETE"],
        }
    ],
    "/only": [{"use": "access", "allow": ["10.0.0.0/8", "2001:db8::/32"]}],
    "/trusted": [{"use": "access", "deny": ["203.0.113.0/24"]}],
    "/headers": [
        {
            "use": "headers",
            "request": {
                "remove": ["X-Old"],
                "set": {"X-Client": "{client_ip}", "X-Path": "{path}", "X-Moved": "{header:X-Old}"},
                "add": {"X-Many": "last"},
            },
            "response": {
                "remove": ["Content-Type"],
                "set": {"X-Status": "{status} {pool} {route}"},
                "add": {"X-Echo": "{query:q}"},
            },
        }
    ],
    "/host": [{"use": "headers", "request": {"set": {"Host": "{query:to}"}}}],
    "/dead": [{"use": "headers", "response": {"set": {"X-Frame-Options": "DENY"}}}],
    "/query": [
        {
            "use": "query",
            "remove": ["debug"],
            "set": {"client": "{client_ip}"},
            "add": {"path": "{path}"},
        }
    ],
    "/auth": [{"use": "basic_auth", "users": USERS, "realm": "The shop", "user_header": "X-User"}],
    "/cors": [
        {"use": "cors", "origins": [SHOP], "headers": ["X-Tenant"], "expose": ["X-Status"]},
        {"use": "basic_auth", "users": USERS},
    ],
    "/id": [{"use": "request_id", "header": "X-Correlation-Id", "accept": True}],
    "/small": [{"use": "body_limit", "limit": 1000}],
}


@dataclass
class Front:
    """lbg with a route for each filter, in front of a backend that tells what it got."""

    lbg: LbgProcess
    backend: Backend

    def ask(self, target: str, *headers: Header, **more: Any) -> RawResponse:
        """Return the answer to a request."""
        self.backend.requests.clear()
        return fetch(self.lbg.address, target, headers=headers, **more)

    def echoed(self, target: str, *headers: Header, **more: Any) -> "Echoed":
        """Return what the backend got of a request."""
        response = self.ask(target, *headers, **more)
        assert response.status == 200, response
        return Echoed(response, json.loads(response.body))


@dataclass
class Echoed:
    """An answer, and what the backend told of the request."""

    response: RawResponse
    told: dict[str, Any]

    def sent(self, name: str) -> list[str]:
        """Return all values of a field that the backend got."""
        return [value for key, value in self.told["headers"] if key.lower() == name.lower()]


@pytest.fixture(scope="module", params=[None, "gevent"], ids=["our server", "gunicorn's gevent"])
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run lbg with all routes under one server after the other."""
    with Backend(echo()) as backend:
        config = {
            "server": {"trusted_proxies": ["127.0.0.9/32"]},
            "pools": {
                "main": {"endpoints": [backend.url]},
                "dead": {"endpoints": ["http://127.0.0.1:1"], "health": {"type": "none"}},
            },
            "routes": [
                {
                    "name": path[1:],
                    "path": path,
                    "pool": "dead" if path == "/dead" else "main",
                    "filters": filters,
                }
                for path, filters in ROUTES.items()
            ],
        }
        directory = tmp_path_factory.mktemp("filters")
        with LbgProcess(config, directory, workers=1, worker_class=request.param) as process:
            yield Front(process, backend)


def _basic(name: str, password: str) -> Header:
    return ("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/access", "GET", 200),
        ("/access/administration", "GET", 200),
        ("/access/a%20b", "GET", 200),
        ("/access", "DELETE", 403),
        ("/access/admin", "GET", 403),
        ("/access/admin/x?y", "GET", 403),
        ("/access//admin", "GET", 403),
        ("/access/%61dmin", "GET", 403),
        ("/access/admin%2fx", "GET", 403),
        ("/access%2Fadmin/../access/admin", "GET", 400),
        ("/access/./admin;x=y", "GET", 403),
        ("/access/x/..%2fadmin", "GET", 400),
        ("/access/index.php", "GET", 403),
        ("/access/index%2ephp", "GET", 403),
        ("/only", "GET", 403),
    ],
)
def test_what_is_not_allowed_never_reaches_the_backend(
    front: Front, target: str, method: str, status: int
) -> None:
    response = front.ask(target, method=method)
    assert response.status == status
    assert len(front.backend.requests) == (status == 200)
    if status == 403:
        assert "denied" in (response.get("proxy-status") or "")


def test_the_address_that_a_trusted_proxy_tells_decides(front: Front) -> None:
    told = ("X-Forwarded-For", "203.0.113.7")
    assert front.ask("/trusted", told).status == 200
    with RawClient(front.lbg.address) as direct:
        assert direct.request("GET", "/trusted", [told]).status == 200


def test_fields_of_requests_and_responses_are_changed(front: Front) -> None:
    echoed = front.echoed(
        "/headers/a%20b?q=c%0d%0ad", ("x-old", "1"), ("X-Many", "first"), ("X-Client", "me")
    )
    assert echoed.sent("x-client") == ["127.0.0.1"]
    assert echoed.sent("x-path") == ["/headers/a%20b"]
    assert (echoed.sent("x-old"), echoed.sent("x-moved")) == ([], ["1"])
    assert echoed.sent("x-many")[-1].endswith("last")
    assert echoed.response.values("x-status") == ["200 main headers"]
    assert echoed.response.values("x-echo") == ["c%0D%0Ad"]
    assert echoed.response.values("content-type") == []


def test_a_client_cannot_have_fields_removed_that_a_rule_sets(front: Front) -> None:
    echoed = front.echoed("/headers", ("Connection", "close, X-Client"), ("X-Client", "me"))
    assert echoed.sent("x-client") == ["127.0.0.1"]


def test_the_backend_gets_the_host_that_is_set(front: Front) -> None:
    assert front.echoed("/host?to=app.internal:81").sent("host") == ["app.internal:81"]


def test_a_request_without_a_host_is_refused_though_one_would_be_set(front: Front) -> None:
    with RawClient(front.lbg.address) as client:
        client.send(b"GET /host?to=a HTTP/1.1\r\n\r\n")
        assert client.read_response().status == 400


@pytest.mark.parametrize("to", ["", "a/b", "a@b"])
def test_a_host_that_is_none_is_answered_with_500(front: Front, to: str) -> None:
    response = front.ask(f"/host?to={to}")
    assert (response.status, front.backend.requests) == (500, [])
    assert "filter_error" in (response.get("proxy-status") or "")


def test_failures_of_the_backend_get_response_fields_too(front: Front) -> None:
    response = front.ask("/dead")
    assert (response.status, response.values("x-frame-options")) == (502, ["DENY"])


def test_query_parameters_are_changed_and_the_rest_stays(front: Front) -> None:
    echoed = front.echoed("/query/a%2fb?x=%2f&debug=1&client=root&y=+%zz&%64ebug")
    path = "/query/a%252Fb" if "%252F" in echoed.told["target"] else "/query/a%2Fb"
    assert echoed.told["target"] == f"/query/a%2fb?x=%2f&client=127.0.0.1&y=+%zz&path={path}"


def test_a_password_opens(front: Front) -> None:
    refused = front.ask("/auth", _basic("ann", "guess"))
    assert refused.status == 401
    assert refused.values("www-authenticate") == ['Basic realm="The shop", charset="UTF-8"']
    assert front.backend.requests == []
    for _ in range(3):
        echoed = front.echoed("/auth", _basic("ann", "secret"), ("X-User", "root"))
        assert (echoed.sent("x-user"), echoed.sent("authorization")) == (["ann"], [])
    echoed = front.echoed("/auth", _basic("zoë", "pässwörd"))
    assert echoed.sent("x-user") == ["zoë".encode().decode("latin-1")]


@pytest.mark.parametrize("value", ["", "Basic", "Basic !", "Basic \xff", "Bearer x", "Basic " + "A" * 5000])
def test_nonsense_opens_nothing(front: Front, value: str) -> None:
    assert front.ask("/auth", ("Authorization", value)).status == 401


def test_a_preflight_request_is_answered_before_a_password_is_asked_for(front: Front) -> None:
    asked = (("Origin", SHOP), ("Access-Control-Request-Method", "PUT"))
    response = front.ask("/cors", *asked, method="OPTIONS")
    assert (response.status, response.body, front.backend.requests) == (204, b"", [])
    assert response.values("access-control-allow-origin") == [SHOP]
    assert response.values("access-control-allow-headers") == ["X-Tenant"]


def test_pages_may_read_answers_of_inner_filters_too(front: Front) -> None:
    for fields, status in (((), 401), ((_basic("ann", "secret"),), 200)):
        response = front.ask("/cors", ("Origin", SHOP), *fields)
        assert response.status == status
        assert response.values("access-control-allow-origin") == [SHOP]
        assert response.values("vary") == ["Origin"]


def test_an_id_travels_under_the_name_that_is_set(front: Front) -> None:
    echoed = front.echoed("/id", ("X-Correlation-Id", "mine"), ("X-Request-Id", "other"))
    assert echoed.sent("x-correlation-id") == echoed.sent("x-request-id") == ["mine"]
    assert echoed.response.values("x-correlation-id") == ["mine"]
    echoed = front.echoed("/id", ("X-Correlation-Id", "two words"))
    (made,) = echoed.sent("x-request-id")
    assert echoed.sent("x-correlation-id") == echoed.response.values("x-correlation-id") == [made]
    assert len(made) >= 16


def test_a_body_within_the_limit_passes(front: Front) -> None:
    assert front.echoed("/small", method="POST", body=b"x" * 1000).told["length"] == 1000


def test_a_body_beyond_the_limit_is_refused_by_its_length(front: Front) -> None:
    response = front.ask("/small", method="POST", body=b"x" * 1001)
    assert (response.status, front.backend.requests) == (413, [])
    assert "body_too_large" in (response.get("proxy-status") or response.body.decode())


CHUNKED: Sequence[Header] = (("Transfer-Encoding", "chunked"),)


def _chunked(front: Front, *chunks: bytes, pause: float = 0.0) -> RawResponse:
    front.backend.requests.clear()
    with RawClient(front.lbg.address) as client:
        client.send(b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        framed = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
        for piece in (*framed, b"0\r\n\r\n"):
            time.sleep(pause)
            if not client.send_pieces([piece]):
                break
        return client.read_response("POST")


def test_a_chunked_body_within_the_limit_passes(front: Front) -> None:
    response = _chunked(front, b"x" * 600, b"y" * 400)
    assert (response.status, json.loads(response.body)["length"]) == (200, 1000)


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "in pieces"])
def test_a_chunked_body_is_cut_off_at_the_limit(front: Front, pause: float) -> None:
    response = _chunked(front, *[b"x" * 400] * 3, pause=pause)
    assert response.status == 413
    assert not any(request.complete for request in front.backend.requests)
    # The endpoint is not to blame: it goes on to serve.
    assert front.echoed("/small", method="POST", body=b"x").told["length"] == 1


@pytest.fixture
def limited(lbg: StartLbg, backend: Backend) -> LbgProcess:
    """Run lbg with limits of the server and of a route."""
    return lbg(
        {
            "server": {"max_body_bytes": 2000},
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [
                {"path": "/small", "pool": "main", "filters": [{"use": "body_limit", "limit": 1000}]},
                {"path": "/large", "pool": "main", "filters": [{"use": "body_limit", "limit": 9000}]},
            ],
        },
        workers=1,
    )


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/small", 1000, 200), ("/small", 1500, 413), ("/large", 2000, 200), ("/large", 2001, 413)],
)
def test_the_smaller_of_two_limits_counts(limited: LbgProcess, path: str, size: int, status: int) -> None:
    assert fetch(limited.address, path, method="POST", body=b"x" * size).status == status


def test_a_client_that_is_refused_is_not_told_to_continue(limited: LbgProcess, backend: Backend) -> None:
    with RawClient(limited.address) as client:
        client.send(
            b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
        )
        response = client.read_response("POST")
        assert (response.status, response.informational) == (413, [])
        client.finish_sending()
        assert client.closed_by_peer()
    assert backend.requests == []


def test_a_client_within_the_limit_is_told_to_continue(limited: LbgProcess, backend: Backend) -> None:
    with RawClient(limited.address) as client:
        client.send(
            b"POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert client.socket.recv(100).startswith(b"HTTP/1.1 100 ")
        client.send(b"2\r\nok\r\n0\r\n\r\n")
        assert client.read_response("POST").status == 200
    assert backend.requests[0].body == b"ok"


def test_guessing_does_not_stop_others(lbg: StartLbg, backend: Backend) -> None:
    filters = [{"use": "basic_auth", "users": {"ann": generate_password_hash("secret")}}]
    process = lbg(
        {
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [
                {"path": "/auth", "pool": "main", "filters": filters},
                {"path": "/open", "pool": "main"},
            ],
        },
        workers=1,
    )
    assert fetch(process.address, "/auth", headers=[_basic("ann", "secret")]).status == 200
    stop = threading.Event()
    statuses: list[int] = []

    def guess(number: int) -> None:
        while not stop.is_set():
            guessed = _basic("ann", f"guess {number} {len(statuses)}")
            statuses.append(fetch(process.address, "/auth", headers=[guessed]).status)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(16)]
    for guesser in guessers:
        guesser.start()
    try:
        eventually(lambda: len(statuses) > 10, 30.0)
        for target in ("/open", "/auth"):
            begun = time.monotonic()
            response = fetch(process.address, target, headers=[_basic("ann", "secret")])
            assert response.status == 200
            assert time.monotonic() - begun < 3.0
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join()
    assert set(statuses) <= {401, 429}


def test_users_may_stand_in_a_file(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"# the team\nann:{USERS['ann']}\n")
    filters = [{"use": "basic_auth", "file": str(users)}]
    process = lbg(
        {
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [{"path": "/", "pool": "main", "filters": filters}],
        },
        workers=1,
    )
    assert fetch(process.address, headers=[_basic("ann", "secret")]).status == 200
    assert fetch(process.address).status == 401
