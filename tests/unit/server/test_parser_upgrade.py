"""Requests to switch protocols: what comes behind them, granted or not."""

import pytest

from lbg.errors import RequestError
from lbg.server.parser import Request, RequestParser
from tests.unit.server.requests import (
    PLAIN,
    UPGRADE,
    UPGRADE_CHUNKED,
    UPGRADE_WITH_LENGTH,
    Fed,
    Sample,
    content,
    shown,
)

CONNECT = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"


def first(*pieces: bytes) -> tuple[RequestParser, Request]:
    parser = RequestParser(65536)
    for piece in pieces:
        parser.feed(piece)
    request = parser.next()
    assert request is not None
    return parser, request


def test_the_bytes_of_the_new_protocol_are_kept() -> None:
    parser, request = first(UPGRADE.raw + b"\x00\x01 not http")
    assert (request.upgrade, request.complete, request.rest) == (True, True, b"\x00\x01 not http")
    assert parser.next() is None


def test_a_switch_that_is_not_granted_goes_on_with_http() -> None:
    parser, request = first(UPGRADE.raw + PLAIN.raw + PLAIN.raw)
    parser.resume(request)
    assert (request.upgrade, request.rest) == (False, b"")
    assert [shown(following) for following in parser.heads] == content(PLAIN, PLAIN)


def test_bytes_that_come_after_a_refused_switch_are_http() -> None:
    parser, request = first(UPGRADE.raw)
    parser.resume(request)
    parser.feed(PLAIN.raw)
    following = parser.next()
    assert following is not None
    assert content(PLAIN) == [shown(following)]


@pytest.mark.parametrize("sample", [UPGRADE_WITH_LENGTH, UPGRADE_CHUNKED])
def test_a_request_with_a_body_is_read_on_as_http(sample: Sample) -> None:
    _, request = first(sample.raw)
    assert (request.upgrade, request.rest) == (False, b"")
    assert [shown(request)] == content(sample)


@pytest.mark.parametrize("sample", [UPGRADE_WITH_LENGTH, UPGRADE_CHUNKED])
@pytest.mark.parametrize("following", [PLAIN, UPGRADE, UPGRADE_WITH_LENGTH, UPGRADE_CHUNKED])
def test_a_request_behind_one_with_a_body_is_found(sample: Sample, following: Sample) -> None:
    assert Fed().feed(sample.raw + following.raw).samples() == content(sample, following)
    assert Fed().feed(sample.raw, following.raw).samples() == content(sample, following)


def test_a_bad_body_behind_a_wish_to_switch_is_a_fault() -> None:
    with pytest.raises(RequestError):
        Fed().feed(UPGRADE_CHUNKED.raw.replace(b"2\r\nab", b"zz\r\nab"))


def test_connect_stops_http_and_never_keeps_the_connection() -> None:
    parser, request = first(CONNECT + b"tls bytes")
    assert (request.method, request.upgrade, request.keep_alive) == ("CONNECT", True, False)
    assert request.rest == b"tls bytes"
    assert parser.next() is None
