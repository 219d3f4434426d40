"""The request head that goes upstream."""

from ipaddress import ip_network

import pytest

from lbg.errors import LocalReply
from lbg.http.forwarded import Forwarding
from lbg.http.headers import Fields
from lbg.proxy.request_head import Head, HeadBuilder
from lbg.upstream.request import UpstreamRequest
from tests.unit.http.test_connection_options import CANNOT_BE_REMOVED
from tests.unit.http.test_request_rules import HOP_BY_HOP

OURS = [
    b"X-Forwarded-For: 9.9.9.9",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Port: 8080",
    b"Via: 1.1 lbg",
    b"X-Forwarded-Host: a",
    b"X-Request-Id: id1",
]
FORWARDING = Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False)


def builder(*, underscores: bool = False) -> HeadBuilder:
    return HeadBuilder(FORWARDING, underscores=underscores)


def read(*fields: tuple[bytes, bytes]) -> Head:
    return builder().read([(b"Host", b"a"), *fields])


def built(*fields: tuple[bytes, bytes], peer: str = "9.9.9.9", underscores: bool = False) -> UpstreamRequest:
    """Return the request upstream for these fields besides Host."""
    heads = builder(underscores=underscores)
    head = heads.read([(b"Host", b"a"), *fields])
    return heads.build("GET", b"/a?b", head, FORWARDING.peer(peer, "8080", "http"), "id1")


def lines(request: UpstreamRequest) -> list[bytes]:
    """Return the field lines behind Host, without the forwarding fields."""
    assert request.after_host.endswith(b"\r\n\r\n")
    found = request.after_host.split(b"\r\n")[:-2]
    assert [line for line in found if line in OURS] == OURS
    return [line for line in found if line not in OURS]


def sent(*fields: tuple[bytes, bytes], underscores: bool = False) -> list[bytes]:
    return lines(built(*fields, underscores=underscores))


def test_the_request_line_and_host_go_first_and_as_received() -> None:
    request = built()
    assert (request.before_host, request.host) == (b"GET /a?b HTTP/1.1\r\n", b"Host: a\r\n")


def test_without_a_host_the_endpoint_is_named() -> None:
    head = builder().read([])
    assert builder().build("GET", b"/", head, FORWARDING.peer("9.9.9.9", "80", "http"), "id1").host is None


def test_order_case_and_repeats_are_kept() -> None:
    fields = [(b"B", b"1"), (b"a", b"2"), (b"B", b"3"), (b"ACCEPT", b"*/*")]
    assert sent(*fields) == [b"B: 1", b"a: 2", b"B: 3", b"ACCEPT: */*"]


@pytest.mark.parametrize(
    "name", [name for name in HOP_BY_HOP if name not in {b"Transfer-Encoding", b"Connection"}]
)
def test_a_hop_by_hop_field_ends_here(name: bytes) -> None:
    assert sent((b"A", b"1"), (name, b"x"), (name.lower(), b"y")) == [b"A: 1"]


def test_what_connection_names_ends_here_in_any_case_and_place() -> None:
    fields = [
        (b"X-Gone", b"1"),
        (b"A", b"1"),
        (b"Connection", b"x-gone"),
        (b"connection", b"X-ALSO, close"),
        (b"x-also", b"2"),
    ]
    assert sent(*fields) == [b"A: 1"]


@pytest.mark.parametrize("name", CANNOT_BE_REMOVED)
def test_connection_cannot_remove_what_tells_the_endpoint_who_asks(name: bytes) -> None:
    fields: Fields = [(b"Cookie", b"a=1"), (b"Content-Length", b"5"), (b"Connection", name)]
    assert sent(*fields) == [b"Cookie: a=1", b"Content-Length: 5"]
    assert built(*fields).host == b"Host: a\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"X-Real-IP",
        b"Forwarded",
        b"X-Request-Id",
        b"x-forwarded-else",
    ],
)
def test_forwarding_fields_of_a_stranger_end_here(name: bytes) -> None:
    assert sent((name, b"forged")) == []


@pytest.mark.parametrize("name", [b"Proxy", b"HTTP2-Settings", b"X_A", b"X_Forwarded_For"])
def test_dangerous_names_end_here(name: bytes) -> None:
    assert sent((name, b"x")) == []


def test_underscores_pass_when_allowed() -> None:
    assert sent((b"X_A", b"1"), underscores=True) == [b"X_A: 1"]


def test_a_trusted_peer_is_believed() -> None:
    request = built((b"X-Forwarded-For", b"1.1.1.1"), (b"X-Forwarded-Proto", b"https"), peer="10.0.0.1")
    assert b"X-Forwarded-For: 1.1.1.1, 10.0.0.1\r\n" in request.after_host
    assert b"X-Forwarded-Proto: https\r\n" in request.after_host


def test_cookie_lines_join_where_the_first_one_was() -> None:
    fields = [(b"A", b"1"), (b"Cookie", b"a=1"), (b"B", b"1"), (b"cookie", b"b=2"), (b"COOKIE", b"c=3")]
    assert sent(*fields) == [b"A: 1", b"Cookie: a=1; b=2; c=3", b"B: 1"]


def test_via_is_continued() -> None:
    assert sent((b"Via", b"1.0 x")) == [b"Via: 1.0 x"]


def test_a_request_that_came_back_is_a_loop() -> None:
    with pytest.raises(LocalReply) as caught:
        built((b"Via", b"1.0 x, 1.1 LBG"))
    assert (caught.value.status, caught.value.reason.code) == (508, "loop")


def test_the_length_of_the_body_is_read_and_passes() -> None:
    assert read((b"Content-Length", b"5")).length == 5
    assert sent((b"content-length", b"5")) == [b"Content-Length: 5"]


def test_a_chunked_body_is_announced_with_its_trailers() -> None:
    fields = [(b"Transfer-Encoding", b"chunked"), (b"Trailer", b"X-T"), (b"Trailer", b"X-U")]
    assert read(*fields).chunked
    assert sent(*fields) == [b"Transfer-Encoding: chunked", b"Trailer: X-T", b"Trailer: X-U"]


def test_trailers_are_not_announced_where_there_are_none() -> None:
    assert sent((b"Trailer", b"X-T"), (b"Content-Length", b"5")) == [b"Content-Length: 5"]


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (b"trailers", True),
        (b"gzip, Trailers", True),
        (b"trailers;q=0.5", True),
        (b"gzip", False),
        (b"", False),
    ],
)
def test_of_te_only_trailers_passes(value: bytes, passes: bool) -> None:
    expected = [b"TE: trailers", b"Connection: TE"] if passes else []
    assert sent((b"TE", value), (b"Connection", b"TE")) == expected


@pytest.mark.parametrize(
    ("value", "passes"), [(b"100-continue", True), (b"100-Continue", True), (b"tea", False)]
)
def test_of_expect_only_100_continue_passes(value: bytes, passes: bool) -> None:
    assert read((b"Expect", value)).expects is passes
    assert sent((b"Expect", value)) == ([b"Expect: 100-continue"] if passes else [])


@pytest.mark.parametrize(
    ("upgrade", "connection", "passes"),
    [
        (b"websocket", b"Upgrade", b"websocket"),
        (b"websocket", b"keep-alive, upgrade", b"websocket"),
        (b"websocket", b"keep-alive", b""),
        (b"h2c", b"Upgrade", b""),
        (b"H2C", b"Upgrade", b""),
        (b"h2c, websocket", b"Upgrade", b"websocket"),
        (b"websocket, h2c,foo/2", b"Upgrade", b"websocket, foo/2"),
        (b" , ", b"Upgrade", b""),
    ],
)
def test_an_upgrade_passes_when_connection_names_it_and_never_to_h2c(
    upgrade: bytes, connection: bytes, passes: bytes
) -> None:
    request = built((b"Upgrade", upgrade), (b"Connection", connection))
    assert lines(request) == ([b"Upgrade: " + passes, b"Connection: Upgrade"] if passes else [])
    assert request.upgrades is bool(passes)


def test_an_upgrade_without_connection_ends_here() -> None:
    assert sent((b"Upgrade", b"websocket")) == []


@pytest.mark.parametrize(
    ("value", "number"), [(b"5", 5), (b"0", 0), (b"-1", None), (b"x", None), (b"", None)]
)
def test_max_forwards_is_a_number_or_nothing(value: bytes, number: int | None) -> None:
    assert read((b"Max-Forwards", value)).max_forwards == number


def test_a_max_forwards_of_thousands_of_digits_is_not_an_error() -> None:
    read((b"Max-Forwards", b"9" * 5000))


@pytest.mark.parametrize(
    ("given", "taken"), [(b"abc-1", "abc-1"), (b"", "own"), (b"a b", "own"), (b"x" * 200, "own")]
)
def test_a_well_formed_request_id_is_kept(given: bytes, taken: str) -> None:
    assert builder().request_id(read((b"X-Request-Id", given)), "own") == taken


TRACE = [(b"traceparent", b"00-x"), (b"TraceParent", b"y"), (b"Tracestate", b"a=b")]


def test_the_trace_context_passes_as_it_came() -> None:
    assert sent(*TRACE) == [b"traceparent: 00-x", b"TraceParent: y", b"Tracestate: a=b"]


def test_where_lbg_writes_its_own_the_trace_context_of_the_client_ends_here() -> None:
    heads = HeadBuilder(FORWARDING, underscores=False, traced=True)
    head = heads.read([(b"Host", b"a"), (b"A", b"1"), *TRACE])
    request = heads.build("GET", b"/", head, FORWARDING.peer("9.9.9.9", "8080", "http"), "id1")
    assert lines(request) == [b"A: 1"]
