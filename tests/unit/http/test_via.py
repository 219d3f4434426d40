"""Loops found in Via, and request ids that may be kept."""

import pytest

from lbg.http.forwarded import Forwarding, valid_request_id


@pytest.fixture
def forwarding() -> Forwarding:
    return Forwarding((), "lbg-1", rfc7239=False)


def test_our_pseudonym_is_added_to_via(forwarding: Forwarding) -> None:
    assert forwarding.via_line == b"Via: 1.1 lbg-1\r\n"


@pytest.mark.parametrize(
    "via",
    [
        (b"1.1 lbg-1",),
        (b"1.1 LBG-1",),
        (b"1.0 a, 1.1 lbg-1 (comment)",),
        (b"1.0 a", b"1.1 b,HTTP/1.1\tlbg-1"),
    ],
)
def test_our_pseudonym_in_via_is_a_loop(forwarding: Forwarding, via: tuple[bytes, ...]) -> None:
    assert forwarding.is_loop(via)


@pytest.mark.parametrize(
    "via", [(), (b"",), (b"1.1 lbg",), (b"1.1 lbg-12",), (b"lbg-1",), (b"1.1 a (lbg-1)",), (b"1.1 a lbg-1",)]
)
def test_another_via_is_none(forwarding: Forwarding, via: tuple[bytes, ...]) -> None:
    assert not forwarding.is_loop(via)


@pytest.mark.parametrize("value", [b"a", b"x" * 128, b"3f-{a}:1/2", b"!~"])
def test_short_visible_ascii_is_a_request_id(value: bytes) -> None:
    assert valid_request_id(value)


@pytest.mark.parametrize("value", [b"", b"x" * 129, b"a b", b"a\r\nb", b"\xe9", b"a\x00", b"\x7f", b"a\n"])
def test_anything_else_is_not(value: bytes) -> None:
    assert not valid_request_id(value)
