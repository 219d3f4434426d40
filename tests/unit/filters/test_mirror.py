"""Copies of requests: like the original, never in its way, bounded."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import gevent
import pytest

from lbg.config.filters import MirrorConfig
from lbg.config.routes import RouteConfig
from lbg.errors import Sent, UpstreamError
from lbg.filters.mirror import COPIES, Counts, Mirror
from lbg.net.stream import Stream
from lbg.proxy.fields import set_field
from tests.unit.filters.around import environ_of
from tests.unit.filters.other_pool import OtherPool, other_pool, read_request
from tests.unit.upstream.inputs import Arriving
from tests.unit.upstream.scripted_endpoint import OK, Answer, closing, silent

REFUSED = UpstreamError("connect_refused", "connection refused", sent=Sent.NOTHING)
Environ = dict[str, Any]


def read_body(environ: Environ) -> None:
    """Do with a request what forwarding it does."""
    environ["wsgi.input"].read()


@dataclass
class Site:
    """An application behind `mirror`."""

    other: OtherPool
    filter: Mirror
    passed: list[Environ] = field(default_factory=list)

    def ask(self, target: str = "/", *fields: tuple[str, str], **more: Any) -> Environ:
        """Answer a request and return its environ; the copy has not had its turn yet."""
        environ = environ_of(target, *fields, **more)
        if more.get("body"):
            environ["CONTENT_LENGTH"] = str(len(more["body"]))
            environ["lbg.headers"].append((b"Content-Length", environ["CONTENT_LENGTH"].encode()))
        self.call(environ)
        return environ

    def call(self, environ: Environ) -> None:
        """Answer the request in this environ."""
        before = len(self.passed)
        assert b"".join(self.filter(environ, lambda *_: None)) == b"ok"
        assert len(self.passed) == before + 1

    @property
    def counts(self) -> Counts:
        """What became of the copies, once all had their turn."""
        gevent.idle()
        return self.filter.counts


@contextmanager
def site(
    *answers: bytes | Answer | UpstreamError,
    pool: dict[str, Any] | None = None,
    app: Callable[[Environ], None] = read_body,
    **config: Any,
) -> Iterator[Site]:
    """Lend an application whose requests are copied to a pool of these endpoints."""
    table = MirrorConfig.model_validate({"use": "mirror", "pool": "other", **config})
    with other_pool(*answers, **pool or {}) as other:
        passed: list[Environ] = []

        def inner(environ: Environ, start_response: Any) -> Iterable[bytes]:
            passed.append(environ)
            app(environ)
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]

        yield Site(other, Mirror(inner, table, other.tools), passed)


def test_a_copy_has_method_target_fields_and_body_of_the_original() -> None:
    with site(OK) as shop:
        shop.ask(
            "/a%2Fb?c=%20",
            ("Host", "shop.example:81"),
            ("X-A", "1"),
            ("Cookie", "a=1"),
            method="PUT",
            body=b"body",
        )
        assert shop.counts == Counts(answered=1)
        (copy,) = shop.other.received
        assert (copy.line, copy.body) == (b"PUT /a%2Fb?c=%20 HTTP/1.1", b"body")
        assert [copy.values(name) for name in ("host", "x-a", "cookie")] == [
            ["shop.example:81"],
            ["1"],
            ["a=1"],
        ]
        assert [copy.values(name) for name in ("x-forwarded-for", "x-request-id")] == [
            ["192.0.2.1"],
            ["id-1"],
        ]
        assert copy.values("content-length") == ["4"]


def test_a_copy_says_that_it_is_one_and_nobody_else_can() -> None:
    with site(OK) as shop:
        environ = shop.ask("/", ("X-Lbg-Mirror", "2"))
        assert shop.counts.answered == 1
        assert shop.other.received[0].values("x-lbg-mirror") == ["1"]
        assert not any(name == b"X-Lbg-Mirror" for name, _ in environ["lbg.headers"])


def test_a_pool_may_be_asked_under_its_own_name() -> None:
    with site(OK, pool={"host": "endpoint"}) as shop:
        shop.ask("/", ("Host", "shop.example"))
        assert shop.counts.answered == 1
        assert shop.other.received[0].values("host") == ["127.0.0.1:8000"]


def test_a_copy_has_no_fields_of_the_hop_but_a_framing_of_its_own() -> None:
    sent = [
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X-T"),
        ("Expect", "100-continue"),
        ("Upgrade", "h2c"),
        ("Max-Forwards", "3"),
    ]
    with site(OK) as shop:
        shop.ask("/", *sent, method="POST")
        assert shop.counts.answered == 1
        (copy,) = shop.other.received
        assert not any(copy.values(name) for name, _ in sent)
        assert copy.values("content-length") == ["0"]


def test_a_request_without_a_body_has_a_copy_without_one() -> None:
    with site(OK) as shop:
        shop.ask()
        assert shop.counts.answered == 1
        shop.ask("/", ("Content-Length", "0"), method="POST")
        assert shop.counts.answered == 2
        assert [copy.values("content-length") for copy in shop.other.received] == [[], ["0"]]


def test_a_copy_is_the_request_as_it_was_at_this_place() -> None:
    def change(environ: Environ) -> None:
        set_field(environ, "X-A", "changed")
        environ["lbg.raw_target"] = b"/changed"
        environ["lbg.exchange"].request_id = "changed"
        environ["lbg.headers"].append((b"X-B", b"1"))

    with site(OK, app=change) as shop:
        shop.ask("/x", ("X-A", "1"))
        assert shop.counts.answered == 1
        (copy,) = shop.other.received
        assert (copy.line, copy.values("x-a"), copy.values("x-b")) == (b"GET /x HTTP/1.1", ["1"], [])
        assert copy.values("x-request-id") == ["id-1"]


@pytest.mark.parametrize(
    ("route", "target", "sent"),
    [
        ({"path": "/api", "strip_prefix": "/api"}, "/api/a%2Fb?c", b"/a%2Fb?c"),
        ({"path": "/api", "rewrite": {"prefix": "/v2"}}, "/api/x", b"/v2/x"),
        ({"path": "/api"}, "/api/x", b"/api/x"),
    ],
)
def test_the_target_of_a_copy_is_what_the_route_makes_of_it(
    route: dict[str, Any], target: str, sent: bytes
) -> None:
    with site(OK) as shop:
        shop.ask(target, route=RouteConfig.model_validate(route))
        assert shop.counts.answered == 1
        assert shop.other.received[0].line == b"GET " + sent + b" HTTP/1.1"


def test_a_target_that_climbs_is_not_copied() -> None:
    with site(OK) as shop:
        shop.ask("/../x", route=RouteConfig(strip_prefix="/api"))
        assert (shop.counts, shop.other.received) == (Counts(), [])


def test_a_trusted_peer_says_which_id_a_copy_has() -> None:
    with site(OK) as shop:
        shop.ask("/", ("X-Request-Id", "theirs"), peer="10.0.0.1")
        assert shop.counts.answered == 1
        assert shop.other.received[0].values("x-request-id") == ["theirs"]


def test_a_share_of_the_requests_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([0.0, 0.29, 0.3, 0.31, 0.999])
    monkeypatch.setattr("lbg.filters.mirror.random", lambda: next(numbers))
    with site(OK, share=0.3) as shop:
        for number in range(5):
            shop.ask(f"/{number}")
        assert shop.counts.answered == 2
        assert {copy.line[:6] for copy in shop.other.received} == {b"GET /0", b"GET /1"}


@pytest.mark.parametrize(
    ("upgrade", "connection", "copies"),
    [
        ("websocket", "Upgrade", 0),
        ("WebSocket, h2c", "keep-alive, upgrade", 0),
        ("h2c", "Upgrade, HTTP2-Settings", 1),
        ("websocket", "keep-alive", 1),
    ],
)
def test_a_switch_of_protocols_is_not_copied(upgrade: str, connection: str, copies: int) -> None:
    with site(OK) as shop:
        shop.ask("/", ("Connection", connection), ("Upgrade", upgrade))
        assert shop.counts.answered == copies
        assert not any(copy.values("upgrade") for copy in shop.other.received)


def test_the_original_does_not_wait() -> None:
    with site(silent) as shop:
        shop.ask()
        assert shop.other.connects == 0  # nothing was done yet
        assert shop.counts == Counts()
        assert shop.other.in_flight() == 1


def test_a_copy_goes_when_the_body_was_read_to_its_end() -> None:
    with site(OK, app=lambda environ: environ["wsgi.input"].read(3)) as shop:
        environ = shop.ask("/", method="POST", body=b"body")
        assert (shop.counts, shop.other.connects) == (Counts(), 0)
        environ["wsgi.input"].read(1)
        assert shop.counts == Counts(answered=1)
        assert shop.other.received[0].body == b"body"


def test_a_chunked_body_is_copied_with_its_length() -> None:
    environ = environ_of("/", ("Transfer-Encoding", "chunked"), ("Trailer", "X-T"), method="POST")
    environ["wsgi.input"] = Arriving(b"bo", b"dy", trailers=[(b"X-T", b"1")])
    with site(OK, app=lambda environ: list(iter(environ["wsgi.input"].read_some, b""))) as shop:  # type: ignore[arg-type,return-value]
        shop.call(environ)
        assert shop.counts == Counts(answered=1)
        (copy,) = shop.other.received
        assert (copy.body, copy.values("content-length"), copy.values("trailer")) == (b"body", ["4"], [])


def test_larger_bodies_are_not_copied_but_counted() -> None:
    with site(OK, max_body=4) as shop:
        shop.ask("/", method="POST", body=b"body!")
        assert shop.counts == Counts(too_large=1)
        assert isinstance(shop.passed[0]["wsgi.input"], BytesIO)  # not in the way of zero-copy
        environ = environ_of("/", ("Transfer-Encoding", "chunked"), method="POST", body=b"body!")
        shop.call(environ)
        assert shop.counts == Counts(too_large=2)
        shop.ask("/", method="POST", body=b"body")
        assert shop.counts == Counts(too_large=2, answered=1)


def test_no_bodies_are_copied_when_the_limit_is_zero() -> None:
    with site(OK, max_body=0) as shop:
        shop.ask("/", method="POST", body=b"b")
        shop.ask()
        assert shop.counts == Counts(too_large=1, answered=1)


def test_only_so_many_copies_are_under_way(caplog: pytest.LogCaptureFixture) -> None:
    with site(silent, max_pending=2) as shop, caplog.at_level(logging.WARNING, "lbg.filters"):
        for _ in range(5):
            shop.ask()
        assert shop.counts == Counts(left_out=3)
        assert shop.other.in_flight() == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        "shop#0: copies for pool api left out: 1; 2 are under way, which is max_pending"
    )


def test_what_was_left_out_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1001, 1002, 1060, 1061, 1062])
    with site(silent, max_pending=1) as shop, caplog.at_level(logging.WARNING, "lbg.filters"):
        shop.ask()
        assert shop.counts == Counts()
        monkeypatch.setattr("lbg.filters.mirror.monotonic_ns", lambda: next(times) * 10**9)
        for _ in range(5):
            shop.ask()
    assert [record.getMessage().split(": ")[2][:2] for record in caplog.records] == ["1;", "3;"]


def test_a_place_is_free_again_after_a_copy() -> None:
    with site(OK, max_pending=1) as shop:
        for number in range(1, 4):
            shop.ask()
            assert shop.counts == Counts(answered=number)


def test_a_body_may_find_all_places_taken_when_it_is_there() -> None:
    with site(silent, max_pending=1, app=lambda environ: None) as shop:
        environ = shop.ask("/", method="POST", body=b"body")
        shop.ask()
        environ["wsgi.input"].read()
        assert shop.counts == Counts(left_out=1)


@pytest.mark.parametrize("answer", [REFUSED, closing, b"nonsense\r\n\r\n"])
def test_what_fails_is_counted_and_no_line_of_the_log(
    answer: bytes | Answer | UpstreamError, caplog: pytest.LogCaptureFixture
) -> None:
    with site(answer, pool={"retry": {"attempts": 1}}) as shop, caplog.at_level(logging.INFO):
        shop.ask()
        assert shop.counts == Counts(failed=1)
        assert shop.other.in_flight() == 0
    assert caplog.records == []


def test_what_failed_can_be_seen_when_debugging(caplog: pytest.LogCaptureFixture) -> None:
    with site(REFUSED) as shop, caplog.at_level(logging.DEBUG, "lbg.filters"):
        shop.ask()
        assert shop.counts.failed == 1
    assert "shop#0: a copy failed at pool api: 127.0.0.1:8000: connection refused" in caplog.text


def test_a_request_that_came_back_is_not_copied_round_and_round() -> None:
    with site(OK) as shop:
        shop.ask("/", ("Via", "1.1 lbg"))
        assert (shop.counts, shop.other.received) == (Counts(failed=1), [])


def test_a_copy_has_a_time_limit_of_its_own() -> None:
    with site(silent, timeout=0.001) as shop, gevent.Timeout(5.0):
        shop.ask()
        while not shop.counts.failed:
            pass
        assert shop.other.in_flight() == 0


def test_a_slow_copy_does_not_count_against_its_endpoint() -> None:
    with site(silent, timeout=0.001) as shop, gevent.Timeout(5.0):
        shop.ask()
        while not shop.counts.failed:
            pass
        assert shop.other.endpoints[0].counts() == {"failures": 1}


def test_a_copy_is_tried_again_as_its_pool_says() -> None:
    with site(closing, OK) as shop:
        for _ in range(2):
            shop.ask("/", method="PUT", body=b"body")
        assert shop.counts == Counts(answered=2)
        assert [copy.body for copy in shop.other.received] == [b"body"] * 2


def test_connections_are_used_again() -> None:
    with site(OK) as shop:
        for _ in range(3):
            shop.ask()
            assert shop.counts.failed == 0
        assert shop.other.connects == 1


def test_a_large_answer_is_not_read_to_its_end() -> None:
    def endless(stream: Stream) -> None:
        read_request(stream)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                stream.send(b"x" * 65536)
        except OSError:
            return

    with site(endless) as shop, gevent.Timeout(5.0):
        shop.ask()
        while not shop.counts.answered:
            pass
        assert shop.other.in_flight() == 0


def test_a_cut_answer_is_a_failure() -> None:
    def cutting(stream: Stream) -> None:
        read_request(stream)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        stream.flush()
        stream.close()

    with site(cutting) as shop:
        shop.ask()
        assert shop.counts == Counts(failed=1)


@pytest.mark.parametrize("length", ["x", "-1", "1" * 5000, "1_0", " 5"])
def test_nonsense_of_another_server_is_not_copied(length: str) -> None:
    with site(OK) as shop:
        shop.call(environ_of() | {"CONTENT_LENGTH": length})
        assert (shop.counts, shop.other.received) == (Counts(), [])


def test_other_servers_give_the_request_by_its_cgi_keys() -> None:
    with site(OK) as shop:
        environ = environ_of("/a?b", ("X-A", "1"), method="POST", body=b"body") | {"CONTENT_LENGTH": "4"}
        del environ["lbg.headers"], environ["lbg.raw_target"]
        shop.call(environ)
        assert shop.counts == Counts(answered=1)
        (copy,) = shop.other.received
        assert (copy.line, copy.values("x-a"), copy.body) == (b"POST /a?b HTTP/1.1", ["1"], b"body")


def test_a_request_without_a_host_that_will_be_refused_is_not_copied() -> None:
    with site(OK) as shop:
        environ = environ_of()
        del environ["lbg.headers"], environ["HTTP_HOST"]
        shop.call(environ)
        assert shop.counts == Counts()


def test_what_became_of_copies_is_counted_by_route_and_pool() -> None:
    with site(OK, REFUSED) as shop:
        route = shop.other.tools.route
        before = COPIES.copy()
        assert (route, "other", "left_out") in COPIES
        shop.ask()
        assert shop.counts == Counts(answered=1)
        grown = {key: count - before[key] for key, count in COPIES.items() if count != before[key]}
        assert grown == {(route, "other", "answered"): 1}
