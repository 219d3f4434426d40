"""Which trailer fields pass a proxy."""

import pytest

from lbg.http.headers import forwardable_trailers
from tests.unit.http.test_request_rules import HOP_BY_HOP

# RFC 9110 section 6.5.1: framing, routing, request modifiers, authentication, content format; and what
# names the client to the backend.
FORBIDDEN = [
    b"Content-Length",
    b"Host",
    b"Cache-Control",
    b"Max-Forwards",
    b"Authorization",
    b"Set-Cookie",
    b"Cookie",
    b"Content-Encoding",
    b"Content-Type",
    b"Content-Range",
    b"X-Forwarded-For",
    b"X-Real-IP",
    b"X-Request-Id",
    b"Via",
    b"Proxy",
]


def passed(name: bytes, *, underscores: bool = False) -> bool:
    return bool(forwardable_trailers([(name, b"1")], underscores=underscores))


@pytest.mark.parametrize("name", [*FORBIDDEN, *HOP_BY_HOP])
def test_a_field_with_a_meaning_for_the_message_is_no_trailer(name: bytes) -> None:
    assert not passed(name)
    assert not passed(name.lower())


def test_forwarded_is_no_trailer() -> None:
    assert not passed(b"Forwarded")


@pytest.mark.parametrize("name", [b"X-Checksum", b"Server-Timing", b"grpc-status", b"ETag", b"Digest"])
def test_any_other_trailer_passes(name: bytes) -> None:
    assert passed(name)


def test_order_case_and_repeats_are_kept() -> None:
    trailers = [(b"X-B", b"1"), (b"x-a", b"2"), (b"X-B", b"3")]
    assert forwardable_trailers(trailers, underscores=False) == trailers


def test_underscores_pass_only_when_allowed() -> None:
    assert not passed(b"x_a")
    assert passed(b"x_a", underscores=True)
