"""Whether a peer is believed, and who the client is."""

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.forwarded import Forwarding, Peer

INSIDE = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8")))


def forwarding(*, trust: bool = True) -> Forwarding:
    return Forwarding(INSIDE if trust else (), "lbg", rfc7239=False)


def peer(address: str) -> Peer:
    return forwarding().peer(address, "80", "http")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "fd00::1", "::ffff:10.1.2.3", "fd00::1%eth0"])
def test_a_peer_in_a_trusted_network_is_believed(address: str) -> None:
    assert peer(address).trusted


@pytest.mark.parametrize(
    "address", ["11.0.0.1", "127.0.0.2", "2001:db8::1", "::ffff:11.0.0.1", "", "no address"]
)
def test_any_other_peer_is_not(address: str) -> None:
    assert not peer(address).trusted


def test_nobody_is_believed_without_trusted_networks() -> None:
    assert not forwarding(trust=False).peer("127.0.0.1", "80", "http").trusted


def test_a_peer_on_a_unix_socket_is_shown_as_such() -> None:
    assert peer("").address == b"unix:"


def test_a_peer_is_remembered_per_listener() -> None:
    known = forwarding()
    assert known.peer("10.0.0.1", "80", "http") is known.peer("10.0.0.1", "80", "http")
    assert b"X-Forwarded-Port: 81" in known.peer("10.0.0.1", "81", "http").lines
    assert b"X-Forwarded-Proto: https" in known.peer("10.0.0.1", "80", "https").lines


def test_many_peers_do_not_fill_the_memory() -> None:
    known = forwarding()
    first = known.peer("10.0.0.1", "80", "http")
    for number in range(4100):
        known.peer(f"11.1.{number // 250}.{number % 250}", "80", "http")
    assert known.peer("10.0.0.1", "80", "http") is not first
    assert known.peer("10.0.0.1", "80", "http") == first


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ([], b"10.0.0.1"),
        ([b"1.1.1.1"], b"1.1.1.1"),
        ([b"6.6.6.6", b"1.1.1.1"], b"1.1.1.1"),
        ([b"6.6.6.6", b"1.1.1.1", b"10.0.0.2"], b"1.1.1.1"),
        ([b"10.0.0.3", b"10.0.0.2"], b"10.0.0.3"),
        ([b"6.6.6.6", b" 1.1.1.1", b"\t10.0.0.2 "], b"1.1.1.1"),
        ([b"1.1.1.1:4711"], b"1.1.1.1"),
        ([b"[2001:db8::1]:80"], b"2001:db8::1"),
        ([b"[2001:db8::1]"], b"2001:db8::1"),
        ([b"2001:db8::1"], b"2001:db8::1"),
        ([b'"[2001:db8::1]:80"'], b"2001:db8::1"),
        ([b"1.1.1.1", b"fd00::2"], b"1.1.1.1"),
        ([b"1.1.1.1", b"unknown"], b"10.0.0.1"),
        ([b"1.1.1.1", b"unknown", b"10.0.0.2"], b"10.0.0.2"),
        ([b"1.1.1.1", b"999.1.1.1"], b"10.0.0.1"),
        ([b"1.1.1.1", b"\xff"], b"10.0.0.1"),
        ([b"1.1.1.1", b"["], b"10.0.0.1"),
    ],
)
def test_the_client_is_the_first_untrusted_address_from_the_right(chain: list[bytes], client: bytes) -> None:
    assert forwarding().client(peer("10.0.0.1"), chain) == client


def test_an_untrusted_peer_is_the_client_whatever_it_says() -> None:
    assert forwarding().client(peer("9.9.9.9"), [b"1.1.1.1"]) == b"9.9.9.9"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=5), st.lists(st.binary(max_size=12), max_size=5))
def test_what_stands_left_of_an_untrusted_address_changes_nothing(
    left: list[bytes], other: list[bytes]
) -> None:
    known, last = forwarding(), [b"8.8.8.8", b"10.0.0.7"]
    trusted = known.peer("10.0.0.1", "80", "http")
    assert known.client(trusted, left + last) == known.client(trusted, other + last) == b"8.8.8.8"
