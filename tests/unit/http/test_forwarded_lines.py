"""The forwarding fields a backend receives."""

from ipaddress import ip_network

import pytest

from lbg.http.forwarded import Forwarded, Forwarding, read_forwarded
from lbg.http.headers import Fields

NOTHING_SAID = Forwarded([], b"", b"", b"", [])


def lines(text: bytes) -> list[bytes]:
    assert text.endswith(b"\r\n")
    return text.split(b"\r\n")[:-1]


def untrusted(address: str, *, scheme: str = "http", rfc7239: bool = False) -> list[bytes]:
    forwarding = Forwarding((), "lbg", rfc7239=rfc7239)
    return lines(forwarding.untrusted(forwarding.peer(address, "8080", scheme), b"a.example", b"id1"))


def trusted(*fields: tuple[bytes, bytes], rfc7239: bool = False, scheme: str = "http") -> list[bytes]:
    forwarding = Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=rfc7239)
    peer = forwarding.peer("10.0.0.1", "8080", scheme)
    return lines(forwarding.trusted(peer, b"a.example", b"id1", read_forwarded(list(fields))))


def test_the_backend_of_an_untrusted_peer_hears_of_the_peer_alone() -> None:
    assert untrusted("9.9.9.9") == [
        b"X-Forwarded-For: 9.9.9.9",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Port: 8080",
        b"Via: 1.1 lbg",
        b"X-Forwarded-Host: a.example",
        b"X-Request-Id: id1",
    ]


def test_a_silent_trusted_peer_is_described_like_an_untrusted_one() -> None:
    assert sorted(trusted()) == sorted(line.replace(b"9.9.9.9", b"10.0.0.1") for line in untrusted("9.9.9.9"))


def test_what_a_trusted_peer_said_is_continued() -> None:
    said = trusted(
        (b"X-Forwarded-For", b"1.1.1.1, 2.2.2.2"),
        (b"x-forwarded-proto", b"HTTPS"),
        (b"X-Forwarded-Host", b"shop.example"),
        (b"X-Forwarded-Port", b"443"),
        (b"X-Real-IP", b"1.1.1.1"),
        (b"X-Forwarded-Prefix", b"/shop"),
    )
    assert b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1" in said
    assert b"X-Forwarded-Proto: https" in said
    assert b"X-Forwarded-Host: shop.example" in said
    assert b"X-Forwarded-Port: 443" in said
    assert said[-2:] == [b"X-Real-IP: 1.1.1.1", b"X-Forwarded-Prefix: /shop"]


@pytest.mark.parametrize(
    ("field", "instead"),
    [
        ((b"X-Forwarded-Proto", b"gopher"), b"X-Forwarded-Proto: http"),
        ((b"X-Forwarded-Proto", b""), b"X-Forwarded-Proto: http"),
        ((b"X-Forwarded-Port", b"http"), b"X-Forwarded-Port: 8080"),
        ((b"X-Forwarded-Port", b"123456"), b"X-Forwarded-Port: 8080"),
        ((b"X-Forwarded-Host", b""), b"X-Forwarded-Host: a.example"),
        ((b"X-Forwarded-For", b" , "), b"X-Forwarded-For: 10.0.0.1"),
    ],
)
def test_a_malformed_value_counts_as_absent(field: tuple[bytes, bytes], instead: bytes) -> None:
    assert instead in trusted(field)


def test_repeated_chains_are_joined_in_order() -> None:
    said = trusted((b"X-Forwarded-For", b"1.1.1.1"), (b"X-FORWARDED-FOR", b"2.2.2.2 ,3.3.3.3"))
    assert b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1" in said


def test_the_first_of_a_list_counts_for_fields_with_one_value() -> None:
    assert b"X-Forwarded-Proto: https" in trusted((b"X-Forwarded-Proto", b"https, http"))


def test_no_field_is_sent_twice() -> None:
    fields: Fields = [
        (b"X-Forwarded-For", b"1.1.1.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"Forwarded", b"for=a"),
    ]
    names = [line.partition(b":")[0].lower() for line in trusted(*fields, *fields, rfc7239=True)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("address", "node"),
    [("9.9.9.9", b"9.9.9.9"), ("2001:db8::1", b'"[2001:db8::1]"'), ("", b"unknown")],
)
def test_forwarded_is_added_on_request(address: str, node: bytes) -> None:
    assert untrusted(address, rfc7239=True)[-1] == b'Forwarded: for=%b;host="a.example";proto=http' % node


def test_forwarded_of_a_trusted_peer_is_continued() -> None:
    said = trusted((b"Forwarded", b"for=1.1.1.1"), (b"forwarded", b"for=2.2.2.2"), rfc7239=True)
    assert b'Forwarded: for=1.1.1.1, for=2.2.2.2, for=10.0.0.1;host="a.example";proto=http' in said


def test_forwarded_of_a_trusted_peer_passes_when_we_add_none() -> None:
    assert b"Forwarded: for=1.1.1.1, for=2.2.2.2" in trusted(
        (b"Forwarded", b"for=1.1.1.1"), (b"Forwarded", b"for=2.2.2.2")
    )


def test_forwarded_names_the_scheme_of_the_connection_of_an_untrusted_peer() -> None:
    said = untrusted("9.9.9.9", scheme="https", rfc7239=True)
    assert b"X-Forwarded-Proto: https" in said
    assert said[-1].endswith(b";proto=https")


def test_forwarded_names_the_scheme_of_the_connection_of_a_trusted_peer() -> None:
    said = trusted(scheme="https", rfc7239=True)
    assert b"X-Forwarded-Proto: https" in said
    assert said[-1].endswith(b";proto=https")


def test_nothing_said_reads_as_nothing() -> None:
    assert read_forwarded([]) == NOTHING_SAID
