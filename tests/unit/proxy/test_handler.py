"""The proxy as a WSGI application."""

import logging
from typing import Any

import pytest

from lbg.config.routes import RouteConfig
from lbg.errors import ClientGone, Sent, UpstreamError
from lbg.http.headers import Fields
from tests.unit.proxy.proxies import base, proxy
from tests.unit.upstream.scripted_endpoint import OK, read_head

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-A: 1\r\nConnection: x-a\r\n\r\n"
ROUTES = [
    RouteConfig(pool="api"),
    RouteConfig(path="/private", pool="api"),
    RouteConfig(host="b.example", path="/only", pool="api"),
]


def test_an_answer_reaches_the_client_as_the_endpoint_gave_it() -> None:
    with proxy(b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nServer: b\r\nContent-Length: 2\r\n\r\nok") as front:
        answered = front.ask()
        assert (answered.status, answered.body, answered.reason) == ("418 Teapot", b"ok", "")
        assert answered.headers == [("X-A", "1"), ("Server", "b"), ("Content-Length", "2")]
        assert front.in_flight() == 0


@pytest.mark.parametrize("target", [b"/", b"/a%2Fb//c?d=%20", b"/a/%2e/b", b"*", b"/caf%c3%a9;x=1"])
def test_the_target_goes_on_as_received(target: bytes) -> None:
    with proxy(OK) as front:
        front.ask(target, method="OPTIONS")
        assert front.heads[0][0] == b"OPTIONS " + target + b" HTTP/1.1"


def test_the_clients_host_goes_on_unless_the_endpoint_is_to_be_named() -> None:
    with proxy(OK) as front:
        front.ask(b"/", (b"Host", b"shop.example:81"))
        assert b"Host: shop.example:81" in front.heads[0]
    with proxy(OK, host="endpoint") as front:
        front.ask(b"/", (b"Host", b"shop.example:81"))
        assert b"Host: 127.0.0.1:8000" in front.heads[0]
        assert b"X-Forwarded-Host: shop.example:81" in front.heads[0]


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_that_are_not_forwarded_are_refused(method: str) -> None:
    with proxy(OK) as front:
        answered = front.ask(method=method)
        assert answered.status == "405 Method Not Allowed"
        assert "GET" in answered.values("allow")[0]
        assert front.received == []


def test_options_that_may_go_no_further_are_answered_here() -> None:
    with proxy(OK) as front:
        answered = front.ask(b"*", (b"Max-Forwards", b"0"), method="OPTIONS")
        assert (answered.status, answered.body, front.received) == ("200 OK", b"", [])
        assert answered.values("allow")


def test_each_hop_counts_max_forwards_of_options_down() -> None:
    with proxy(OK) as front:
        front.ask(b"*", (b"Max-Forwards", b"3"), method="OPTIONS")
        assert b"Max-Forwards: 2" in front.heads[0]


def test_max_forwards_means_nothing_to_other_methods() -> None:
    with proxy(OK) as front:
        assert front.ask(b"/", (b"Max-Forwards", b"0")).status == "200 OK"
        assert b"Max-Forwards: 0" in front.heads[0]


@pytest.mark.parametrize(
    ("host", "target", "reason"),
    [
        (b"a", b"/x", ""),
        (b"a", b"/private/x", ""),
        (b"a", b"/x/../y", ""),
        (b"a", b"/private/../x", "bad_request"),
        (b"a", b"/x/%2e%2e/private", "bad_request"),
        (b"a", b"/x/..;/private", "bad_request"),
        (b"a", b"//private", "bad_request"),
        (b"a", b"/..", "bad_request"),
        (b"a", b"/%2e%2e/x", "bad_request"),
        (b"a", b"/x%00", "bad_request"),
    ],
)
def test_a_target_that_leaves_its_route_is_refused(host: bytes, target: bytes, reason: str) -> None:
    with proxy(OK, routes=ROUTES) as front:
        answered = front.ask(target, (b"Host", host))
        assert answered.reason == reason
        assert bool(front.received) is (not reason)


@pytest.mark.parametrize("target", [b"/..", b"/a/../../b", b"/%2E%2e/", b"/a%00"])
def test_a_target_that_climbs_is_refused_by_a_lone_catch_all_too(target: bytes) -> None:
    with proxy(OK) as front:
        assert front.ask(target).status == "400 Bad Request"


def test_no_route_is_a_404() -> None:
    with proxy(OK, routes=ROUTES[2:]) as front:
        answered = front.ask(b"/x", (b"Host", b"B.example:80"))
        assert (answered.status, answered.reason) == ("404 Not Found", "no_route")
        assert front.ask(b"/only/x", (b"Host", b"B.example.:80")).status == "200 OK"


def test_a_loop_is_a_508() -> None:
    with proxy(OK) as front:
        answered = front.ask(b"/", (b"Via", b"1.1 lbg"))
        assert (answered.status, answered.reason, front.received) == ("508 Loop Detected", "loop", [])


def test_a_failure_is_answered_in_the_form_the_client_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with proxy(REFUSED, REFUSED) as front:
        answered = front.ask(b"/", (b"Accept", b"application/json"))
    assert (answered.status, answered.reason) == ("502 Bad Gateway", "connect_refused")
    assert answered.values("content-type") == ["application/problem+json"]
    assert answered.values("proxy-status") == ['lbg; error=connection_refused; details="connect_refused"']
    assert answered.values("x-request-id") == [answered.record.request_id]
    assert "127.0.0.1:8000: connect refused; 127.0.0.1:8001: connect refused; gave up" in caplog.text


def test_a_failure_is_logged_with_the_pool_and_the_id_of_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with proxy(REFUSED) as front:
        answered = front.ask()
    (line,) = [vars(record) for record in caplog.records if record.name == "lbg.proxy"]
    assert (line["pool"], line["request_id"]) == ("api", answered.record.request_id)


def test_what_the_client_did_wrong_is_not_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lbg.proxy"), proxy(OK) as front:
        front.ask(b"/..")
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize("path", ["/a\nFAKE", "/a\r\nFAKE", "/a\x1b[31mFAKE", "/a\x00FAKE"])
def test_a_log_line_cannot_be_forged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lbg.proxy"), proxy(REFUSED) as front:
        front.call(base() | {"HTTP_HOST": "a", "PATH_INFO": path})
    (record,) = caplog.records
    assert "FAKE" in record.getMessage()
    assert record.getMessage().isprintable()


def test_request_ids_differ_and_reach_endpoint_and_record() -> None:
    with proxy(OK) as front:
        ids = [front.ask().record.request_id for _ in range(3)]
        assert len(set(ids)) == 3
        assert [
            f"X-Request-Id: {name}".encode() in head for name, head in zip(ids, front.heads, strict=True)
        ] == [True] * 3


def test_two_handlers_give_different_ids() -> None:
    with proxy(OK) as one, proxy(OK) as other:
        assert one.ask().record.request_id != other.ask().record.request_id


@pytest.mark.parametrize(("peer", "kept"), [("10.0.0.1", True), ("9.9.9.9", False)])
def test_the_request_id_of_a_trusted_peer_is_kept(peer: str, kept: bool) -> None:
    with proxy(OK) as front:
        answered = front.ask(b"/", (b"X-Request-Id", b"theirs"), peer=peer)
        assert (answered.record.request_id == "theirs") is kept
        assert (b"X-Request-Id: theirs" in front.heads[0]) is kept


def test_a_body_goes_on_with_its_length() -> None:
    with proxy(OK) as front:
        assert front.ask(method="POST", body=b"body").status == "200 OK"
        assert b"Content-Length: 4" in front.heads[0]


def test_route_and_endpoint_are_noted() -> None:
    with proxy(OK, routes=ROUTES) as front:
        record = front.ask(b"/private").record
        assert record.route.config == ROUTES[1]
        assert record.endpoint is front.endpoints[0]


def test_interim_responses_and_trailers_are_handed_to_the_server() -> None:
    interim: list[tuple[int, Fields]] = []
    trailers: list[Fields] = []
    hooks: dict[str, Any] = {
        "lbg.early": lambda status, fields: interim.append((status, fields)),
        "lbg.trailers": trailers.append,
    }
    with proxy(EARLY + CHUNKED) as front:
        assert front.ask(**hooks).body == b"ok"
    assert interim == [(103, [(b"Link", b"</a>")])]
    assert trailers == [[(b"X-T", b"1")]]


def test_a_body_that_nobody_wants_ends_the_exchange() -> None:
    with proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") as front:
        environ = base() | {"HTTP_HOST": "a", "PATH_INFO": "/"}
        body = front.handler.handle(environ, lambda *_: None)
        assert front.in_flight() == 1
        body.close()  # type: ignore[attr-defined]
        assert front.in_flight() == 0


def left(status: int, fields: Fields) -> None:
    raise ClientGone("left")


def test_that_a_client_left_is_told_to_our_server() -> None:
    our_server: dict[str, Any] = {"lbg.early": left, "lbg.client": None}
    with proxy(EARLY + OK) as front:
        with pytest.raises(ClientGone):
            front.ask(**our_server)
        assert front.in_flight() == 0


def test_another_server_is_given_a_reply_to_a_client_that_left() -> None:
    another: dict[str, Any] = {"lbg.early": left}
    with proxy(EARLY + OK) as front:
        assert front.ask(**another).reason == "client_gone"
        assert front.in_flight() == 0


def test_an_old_client_cannot_switch_protocols() -> None:
    with proxy(OK) as front:
        front.ask(b"/", (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), SERVER_PROTOCOL="HTTP/1.0")
        assert not [line for line in front.heads[0] if line.startswith(b"Upgrade")]


def test_the_total_time_of_a_request_is_counted_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbg.proxy.forwarder.monotonic", lambda: 0.0)
    with proxy(read_head, timeouts={"total": 0.001}) as front:
        assert front.ask().reason == "response_timeout"
        assert front.in_flight() == 0


def test_a_rule_that_sets_host_leaves_the_clients_own_in_x_forwarded_host() -> None:
    rule = {"use": "headers", "request": {"set": {"Host": "inner.example"}}}
    with proxy(OK, routes=[RouteConfig.model_validate({"pool": "api", "filters": [rule]})]) as front:
        front.ask(b"/", (b"Host", b"shop.example:81"))
        assert b"Host: inner.example" in front.heads[0]
        assert b"X-Forwarded-Host: shop.example:81" in front.heads[0]


@pytest.mark.parametrize(("peer", "scheme"), [("9.9.9.9", b"http"), ("10.1.1.1", b"https")])
def test_variables_tell_the_scheme_that_a_trusted_proxy_vouches_for(peer: str, scheme: bytes) -> None:
    rule = {"use": "headers", "request": {"set": {"X-Scheme": "{scheme}"}}}
    with proxy(OK, routes=[RouteConfig.model_validate({"pool": "api", "filters": [rule]})]) as front:
        front.ask(b"/", (b"X-Forwarded-Proto", b"https"), peer=peer)
        assert b"X-Scheme: " + scheme in front.heads[0]


def test_a_pool_that_there_is_not_is_a_filter_error(caplog: pytest.LogCaptureFixture) -> None:
    with proxy(OK) as front:
        answered = front.ask(b"/", **{"lbg.pool": "nowhere"})
        assert (answered.status, answered.reason) == ("500 Internal Server Error", "filter_error")
    assert "'nowhere'" in caplog.text
    assert b"nowhere" not in answered.body


def _with_rule(**request: Any) -> list[RouteConfig]:
    filters = [{"use": "headers", "request": request}]
    return [RouteConfig.model_validate({"pool": "api", "filters": filters})]


@pytest.mark.parametrize("peer", ["9.9.9.9", "10.1.1.1"])
def test_a_rule_can_tell_the_backend_of_the_client_in_words_of_its_own(peer: str) -> None:
    rule = _with_rule(set={"X-Real-IP": "{client_ip}", "X-Forwarded-User": "ada"})
    with proxy(OK, routes=rule) as front:
        forged = [
            (b"X-Real-IP", b"6.6.6.6"),
            (b"X-Forwarded-User", b"mallory"),
            (b"x-forwarded-user", b"eve"),
        ]
        front.ask(b"/", *forged, peer=peer)
        (head,) = front.heads
    assert b"X-Real-IP: " + peer.encode() in head
    assert [line for line in head if line.lower().startswith(b"x-forwarded-user")] == [
        b"X-Forwarded-User: ada"
    ]
    assert not any(b"6.6.6.6" in line for line in head)


def test_no_filter_sees_what_a_stranger_says_of_whom_a_request_comes_from() -> None:
    rule = _with_rule(set={"X-Copy": "{header:X-Forwarded-For}{header:X-Real-IP}{header:Forwarded}"})
    said = [(b"X-Forwarded-For", b"6.6.6.6"), (b"X-Real-IP", b"6.6.6.6"), (b"Forwarded", b"for=6.6.6.6")]
    with proxy(OK, routes=rule) as front:
        front.ask(b"/", *said)
        assert not any(b"6.6.6.6" in line for line in front.heads[0])
    with proxy(OK, routes=rule) as front:
        front.ask(b"/", *said[:1], peer="10.1.1.1")
        assert b"X-Copy: 6.6.6.6" in front.heads[0]


@pytest.mark.parametrize(
    ("given", "kept"), [(b"edge-7", True), (b"has space", False), (b"x" * 200, False), (b"", False)]
)
def test_the_id_that_a_trusted_proxy_gave_is_there_for_filters_and_replies(given: bytes, kept: bool) -> None:
    rule = _with_rule(set={"X-Rid": "{request_id}"})
    with proxy(OK, routes=rule) as front:
        answered = front.ask(b"/", (b"X-Request-Id", given), peer="10.1.1.1")
        (head,) = front.heads
    assert (answered.record.request_id == given.decode()) is kept
    shown = answered.record.request_id.encode()
    assert {b"X-Rid: " + shown, b"X-Request-Id: " + shown} <= set(head)


def test_the_id_that_a_stranger_gave_is_not_kept() -> None:
    with proxy(OK, routes=_with_rule(set={"X-Rid": "{request_id}"})) as front:
        assert front.ask(b"/", (b"X-Request-Id", b"edge-7")).record.request_id != "edge-7"
