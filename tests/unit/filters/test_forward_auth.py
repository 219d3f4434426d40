"""Another pool says whether a request may pass."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.config.filters import ForwardAuthConfig
from lbg.errors import ClientGone, Sent, UpstreamError
from lbg.filters.forward_auth import ForwardAuth
from lbg.net.stream import Stream
from tests.unit.filters.around import environ_of
from tests.unit.filters.other_pool import OtherPool, other_pool, read_request
from tests.unit.upstream.scripted_endpoint import Answer, silent

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    b"X-Hop: 1\r\nConnection: x-hop\r\nContent-Length: 3\r\n\r\nno!"
)
LOGIN = b"HTTP/1.1 302 Found\r\nLocation: https://login/?rd=x\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n"
REFUSED = UpstreamError("connect_refused", "connection refused", sent=Sent.NOTHING)
Field = tuple[str, str]


class Unread:
    """A request body that must not be read."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the body was touched: {name}")


@dataclass
class Answered:
    """What the client gets."""

    status: str
    headers: list[Field]
    body: bytes
    environ: dict[str, Any]

    @property
    def reason(self) -> str:
        """The reason code of a local reply."""
        reason = self.environ["lbg.exchange"].reason
        return reason.code if reason else ""

    def values(self, name: str) -> list[str]:
        """Return all values of a field of the answer."""
        return [value for key, value in self.headers if key.lower() == name]

    def sent(self, name: str) -> list[str]:
        """Return all values of a field that goes to the backend."""
        wanted = name.lower().encode()
        return [
            value.decode("latin-1") for key, value in self.environ["lbg.headers"] if key.lower() == wanted
        ]


@dataclass
class Site:
    """An application behind `forward_auth`; `passed` are the environs that reached it."""

    other: OtherPool
    filter: ForwardAuth
    passed: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, target: str = "/", *fields: Field, **more: Any) -> Answered:
        """Return the answer to a request."""
        environ = environ_of(target, *fields, **more)
        environ["wsgi.input"] = Unread()
        started: list[tuple[str, list[Field]]] = []
        result = self.filter(environ, lambda status, headers: started.append((status, headers)))
        body = b"".join(result)
        close = getattr(result, "close", None)
        if close is not None:
            close()
        ((status, headers),) = started
        return Answered(status, headers, body, environ)


@contextmanager
def site(
    *answers: bytes | Answer | UpstreamError,
    pool: dict[str, Any] | None = None,
    underscores: bool = False,
    **config: Any,
) -> Iterator[Site]:
    """Lend an application that asks a pool of these endpoints."""
    table = ForwardAuthConfig.model_validate({"use": "forward_auth", "pool": "other", **config})
    with other_pool(*answers, underscores=underscores, **pool or {}) as other:
        passed: list[dict[str, Any]] = []

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            passed.append(environ)
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]

        yield Site(other, ForwardAuth(app, table, other.tools), passed)


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"202 Accepted", b"299 Fine"])
def test_a_request_passes_when_the_answer_is_2xx(status: bytes) -> None:
    with site(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status) as shop:
        assert shop.ask("/x").body == b"ok"
        assert len(shop.passed) == 1


def test_any_other_answer_goes_to_the_client_whole() -> None:
    with site(NO) as shop:
        answered = shop.ask("/x")
        assert (answered.status, answered.body, shop.passed) == ("401 Unauthorized", b"no!", [])
        assert answered.headers == [
            ("WWW-Authenticate", "Bearer"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Content-Length", "3"),
        ]
        assert shop.other.in_flight() == 0


@pytest.mark.parametrize("status", [302, 303, 400, 403, 404, 429, 500, 503])
def test_no_other_status_lets_a_request_pass(status: int) -> None:
    with site(b"HTTP/1.1 %d Other\r\nContent-Length: 0\r\n\r\n" % status) as shop:
        assert shop.ask().status == f"{status} Other"
        assert not shop.passed


def test_a_redirect_to_a_login_keeps_its_place_and_its_cookie() -> None:
    with site(LOGIN) as shop:
        answered = shop.ask()
        assert answered.values("location") == ["https://login/?rd=x"]
        assert answered.values("set-cookie") == ["s=1"]


def test_the_record_tells_who_answered_in_place_of_the_backend() -> None:
    with site(NO) as shop:
        record = shop.ask().environ["lbg.exchange"]
        assert (record.pool, record.endpoint) == (shop.other.tools.pools["other"], shop.other.endpoints[0])


def test_the_answer_to_head_has_no_body() -> None:
    with site(NO) as shop:
        answered = shop.ask(method="HEAD")
        assert (answered.status, answered.body) == ("401 Unauthorized", b"")
        assert shop.other.in_flight() == 0


def test_it_is_asked_with_get_and_told_what_the_request_was() -> None:
    with site(YES, path="/check") as shop:
        shop.ask("/a%2Fb?c=%20d", ("Host", "shop.example:81"), method="DELETE")
        (asked,) = shop.other.received
        assert asked.line == b"GET /check HTTP/1.1"
        assert asked.values("x-forwarded-method") == ["DELETE"]
        assert asked.values("x-forwarded-uri") == ["/a%2Fb?c=%20d"]
        assert asked.values("x-forwarded-host") == ["shop.example:81"]
        assert asked.values("x-forwarded-proto") == ["http"]
        assert asked.values("x-forwarded-for") == ["192.0.2.1"]
        assert asked.values("x-request-id") == ["id-1"]
        assert asked.values("host") == ["shop.example:81"]


def test_it_is_asked_under_its_own_name_when_the_pool_says_so() -> None:
    with site(YES, pool={"host": "endpoint"}) as shop:
        shop.ask("/", ("Host", "shop.example"))
        assert shop.other.received[0].values("host") == ["127.0.0.1:8000"]


def test_it_gets_the_fields_of_the_client() -> None:
    sent = [("Cookie", "a=1"), ("Authorization", "Basic eA=="), ("Accept", "text/html"), ("X-Any", "1")]
    with site(YES) as shop:
        shop.ask("/", *sent)
        (asked,) = shop.other.received
        assert [asked.values(name) for name, _ in sent] == [[value] for _, value in sent]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X-T"),
        ("TE", "trailers"),
        ("Expect", "100-continue"),
        ("Upgrade", "websocket"),
        ("Connection", "upgrade"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Max-Forwards", "3"),
        ("If-Match", '"a"'),
        ("If-None-Match", '"a"'),
        ("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("If-Unmodified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("If-Range", '"a"'),
        ("Range", "bytes=0-1"),
        ("X-Original-URI", "/public"),
        ("X-Original-URL", "https://a/public"),
        ("X-Original-Method", "GET"),
        ("x-original-uri", "/public"),
        ("Proxy", "http://evil"),
    ],
)
@pytest.mark.parametrize("only", [[], ["X-Other", "Range", "Upgrade"]])
def test_it_does_not_get_what_belongs_to_the_body_the_hop_or_us(
    name: str, value: str, only: list[str]
) -> None:
    with site(YES, request_headers=only) as shop:
        shop.ask("/", (name, value), method="POST")
        assert shop.other.received[0].values(name) == []
        assert shop.other.received[0].body == b""


def test_a_switch_of_protocols_is_not_asked_of_it_and_stays_in_the_request() -> None:
    with site(YES) as shop:
        answered = shop.ask("/", ("Connection", "Upgrade"), ("Upgrade", "websocket"))
        asked = shop.other.received[0]
        assert (asked.values("upgrade"), asked.values("connection")) == ([], [])
        assert (answered.sent("upgrade"), answered.sent("connection")) == (["websocket"], ["Upgrade"])


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1"])
@pytest.mark.parametrize(
    "name", ["X-Forwarded-Uri", "x-forwarded-method", "X_Forwarded_Uri", "X_Original_Uri"]
)
def test_nobody_can_forge_what_it_is_told(name: str, peer: str) -> None:
    with site(YES, underscores=True) as shop:
        shop.ask("/private", (name, "forged"), peer=peer)
        values = [value for _, value in shop.other.received[0].fields]
        assert b"forged" not in values
        assert b"/private" in values


def test_trusted_peers_say_who_the_client_is() -> None:
    with site(YES) as shop:
        fields = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Request-Id", "abc")]
        shop.ask("/", *fields, peer="10.0.0.1")
        asked = shop.other.received[0]
        assert asked.values("x-forwarded-for") == ["203.0.113.9, 10.0.0.1"]
        assert asked.values("x-forwarded-proto") == ["https"]
        assert asked.values("x-request-id") == ["abc"]


def test_it_gets_only_the_fields_that_are_listed_and_ours() -> None:
    with site(YES, request_headers=["Authorization", "cookie"]) as shop:
        shop.ask("/", ("authorization", "x"), ("Cookie", "a=1"), ("Accept", "*/*"), ("User-Agent", "curl"))
        assert sorted(shop.other.received[0].names) == [
            "Cookie",
            "Host",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Method",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "X-Forwarded-Uri",
            "X-Request-Id",
            "authorization",
        ]


def test_listed_fields_go_there_unless_connection_ends_them_here() -> None:
    with site(YES, request_headers=["X-A", "X-B"]) as shop:
        shop.ask("/", ("X-A", "1"), ("X-B", "1"), ("Connection", "x-a"))
        assert (shop.other.received[0].values("x-a"), shop.other.received[0].values("x-b")) == ([], ["1"])


def test_where_the_client_is_goes_there_whatever_is_listed() -> None:
    with site(YES, request_headers=["X-A"]) as shop:
        fields = [("X-Forwarded-For", "203.0.113.9"), ("X-Request-Id", "abc"), ("X-Forwarded-Prefix", "/p")]
        shop.ask("/", *fields, peer="10.0.0.1")
        asked = shop.other.received[0]
        assert asked.values("x-forwarded-for") == ["203.0.113.9, 10.0.0.1"]
        assert asked.values("x-forwarded-prefix") == ["/p"]
        assert asked.values("x-request-id") == ["abc"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", b"/"),
        ("/check?host={host}", b"/check?host=shop.example"),
        ("{uri}", b"/a?b=c"),
        ("/auth{path}", b"/auth/a"),
        ("/x/{header:X-A}", b"/x/a%20b%E9%23%0A"),
        ("{header:X-B}", b"/http://evil/"),
        ("{header:X-None}", b"/"),
        ("/{header:X-C}", b"/%41"),
    ],
)
def test_the_path_may_have_variables(path: str, target: bytes) -> None:
    sent = [("Host", "shop.example"), ("X-A", "a b\xe9#\n"), ("X-B", "http://evil/"), ("X-C", "%41")]
    with site(YES, path=path) as shop:
        shop.ask("/a?b=c", *sent)
        assert shop.other.received[0].line == b"GET " + target + b" HTTP/1.1"


@settings(deadline=None, max_examples=30)
@given(value=st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_value_can_break_the_request_line(value: str) -> None:
    with site(YES, path="/x{header:X-A}y") as shop:
        assert shop.ask("/", ("X-A", value)).body == b"ok"
        method, target, version = shop.other.received[0].line.split(b" ")
        assert (method, version) == (b"GET", b"HTTP/1.1")
        assert target.startswith(b"/x")
        assert target.endswith(b"y")


def test_fields_of_the_answer_go_on_to_the_backend() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nx-user: joe\r\nX-Role: a\r\nX-Role: b\r\nX-Other: 1\r\nContent-Length: 0\r\n\r\n"
    )
    with site(answer, response_headers=["X-User", "X-Role"]) as shop:
        answered = shop.ask()
        assert answered.sent("x-user") == ["joe"]
        assert answered.sent("x-role") == ["a", "b"]
        assert answered.sent("x-other") == []
        assert answered.environ["HTTP_X_USER"] == "joe"
        assert answered.environ["HTTP_X_ROLE"] == "a,b"


@pytest.mark.parametrize("name", ["X-User", "x-user", "X_User"])
def test_the_clients_own_values_of_them_never_do(name: str) -> None:
    with site(YES, underscores=True, response_headers=["X-User"]) as shop:
        answered = shop.ask("/", (name, "admin"))
        assert [value for _, value in answered.environ["lbg.headers"]] == [b"a"]
        assert "HTTP_X_USER" not in answered.environ


def test_it_gets_the_clients_value_of_a_field_that_it_replaces() -> None:
    answer = b"HTTP/1.1 200 OK\r\nAuthorization: Bearer inner\r\nContent-Length: 0\r\n\r\n"
    with site(answer, response_headers=["Authorization"]) as shop:
        answered = shop.ask("/", ("Authorization", "Bearer outer"))
        assert shop.other.received[0].values("authorization") == ["Bearer outer"]
        assert answered.sent("authorization") == ["Bearer inner"]


def test_a_client_cannot_have_a_field_of_the_answer_removed_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-User: joe\r\nContent-Length: 0\r\n\r\n"
    with site(answer, response_headers=["X-User"]) as shop:
        answered = shop.ask("/", ("Connection", "close, X-User"))
        head = shop.other.tools.heads.read(answered.environ["lbg.headers"])
        assert b"X-User: joe\r\n" in head.lines


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (REFUSED, "502 Bad Gateway", "connect_refused"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "502 Bad Gateway",
            "bad_response",
        ),
        (b"nonsense\r\n\r\n", "502 Bad Gateway", "bad_response"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
            "502 Bad Gateway",
            "bad_response",
        ),
    ],
)
def test_no_valid_answer_is_no(answer: bytes | UpstreamError, status: str, reason: str) -> None:
    with site(answer, pool={"retry": {"attempts": 1}}) as shop:
        answered = shop.ask()
        assert (answered.status, answered.reason, shop.passed) == (status, reason, [])
        assert shop.other.in_flight() == 0


def test_a_pool_without_a_healthy_endpoint_is_no() -> None:
    with site(YES) as shop:
        shop.other.endpoints[0].becomes(health=2)
        answered = shop.ask()
        assert (answered.status, answered.reason) == ("503 Service Unavailable", "no_healthy")


def test_the_log_tells_that_it_was_this_pool_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    with site(REFUSED) as shop:
        shop.ask("/x")
    assert (
        "502 connect_refused: 192.0.2.1: GET /x: gave up: forward_auth had no answer from pool" in caplog.text
    )
    assert "127.0.0.1:8000: connection refused" in caplog.text


def test_another_endpoint_is_asked_when_one_fails() -> None:
    with site(REFUSED, YES) as shop:
        assert [shop.ask().body for _ in range(2)] == [b"ok"] * 2


def test_a_silent_endpoint_is_no_after_the_time_limit_of_its_pool() -> None:
    with site(silent, pool={"timeouts": {"total": 0.001}, "retry": {"attempts": 1}}) as shop:
        answered = shop.ask()
        assert (answered.status, answered.reason) == ("504 Gateway Timeout", "response_timeout")


def test_a_request_that_comes_back_is_a_loop() -> None:
    with site(YES, request_headers=["X-A"]) as shop:
        answered = shop.ask("/", ("Via", "1.1 lbg"))
        assert (answered.reason, shop.other.received, shop.passed) == ("loop", [], [])


def test_a_client_that_leaves_meanwhile_ends_the_question() -> None:
    with site(silent) as shop:
        asking = gevent.spawn(shop.ask)
        gevent.idle()
        asking.kill(ClientGone("left"), block=True)
        assert isinstance(asking.exception, ClientGone)
        assert shop.other.in_flight() == 0
        assert not shop.passed


def test_connections_are_used_again() -> None:
    with site(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes") as shop:
        for _ in range(3):
            assert shop.ask().body == b"ok"
        assert shop.other.connects == 1


def test_a_body_behind_the_yes_is_not_waited_for() -> None:
    def slow(stream: Stream) -> None:
        read_request(stream)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        silent(stream)

    with site(slow) as shop:
        assert shop.ask().body == b"ok"
        assert shop.other.in_flight() == 1  # it is read aside, for a while


def test_a_huge_body_behind_the_yes_is_not_read() -> None:
    with site(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000) as shop:
        assert shop.ask().body == b"ok"
        assert shop.other.in_flight() == 0


def test_a_no_whose_body_is_cut_is_cut_for_the_client() -> None:
    def cutting(stream: Stream) -> None:
        read_request(stream)
        stream.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf")
        stream.flush()
        stream.close()

    with site(cutting) as shop:
        with pytest.raises(UpstreamError):
            shop.ask()
        assert shop.other.in_flight() == 0


def test_a_server_that_cannot_start_the_answer_leaks_nothing() -> None:
    def broken(status: str, headers: list[Field]) -> None:
        raise RuntimeError

    with site(NO) as shop:
        with pytest.raises(RuntimeError):
            shop.filter(environ_of(), broken)
        assert shop.other.in_flight() == 0


def test_other_servers_give_the_request_by_its_cgi_keys() -> None:
    with site(YES, response_headers=["X-User"]) as shop:
        environ = environ_of("/a?b=c", ("X-A", "1"), ("X-User", "forged"))
        del environ["lbg.headers"], environ["lbg.raw_target"]
        assert b"".join(shop.filter(environ, lambda *_: None)) == b"ok"
        (asked,) = shop.other.received
        assert (asked.values("x-a"), asked.values("x-forwarded-uri")) == (["1"], ["/a?b=c"])
        assert not any(name == b"X-User" for name, _ in environ["lbg.headers"])
