import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.net.address import Address, Bind, parse_bind, parse_endpoint_url, parse_host

HOST_OR_IP = "expected a host name or an IP address, got"
HOST_OR_IPV4 = "expected a host name or an IPv4 address, got"


@pytest.mark.parametrize(
    ("url", "text", "authority", "canonical"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000", "[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]", "[::1]:80", "[::1]", "http://[::1]"),
        ("http://[2001:DB8::A]:1", "[2001:db8::a]:1", "[2001:db8::a]:1", "http://[2001:db8::a]:1"),
        ("http://Name", "name:80", "name", "http://name"),
        ("HTTP://name:80", "name:80", "name", "http://name"),
        ("http://name:65535", "name:65535", "name:65535", "http://name:65535"),
        (
            "http://my_service.local.:1",
            "my_service.local.:1",
            "my_service.local.:1",
            "http://my_service.local.:1",
        ),
        ("unix:/run/app.sock", "unix:/run/app.sock", "localhost", "unix:/run/app.sock"),
        ("unix:/run/a b@c?d#e", "unix:/run/a b@c?d#e", "localhost", "unix:/run/a b@c?d#e"),
    ],
)
def test_endpoint_url_gives_identity_authority_and_canonical_url(url, text, authority, canonical):
    address = parse_endpoint_url(url)
    assert (address.text, address.authority, address.url) == (text, authority, canonical)
    assert str(address) == text
    assert parse_endpoint_url(address.url) == address


def test_endpoint_parts_are_what_a_socket_needs():
    assert parse_endpoint_url("http://[::1]:8000") == Address("tcp", "::1", 8000, "")
    assert parse_endpoint_url("http://name") == Address("tcp", "name", 80, "")
    assert parse_endpoint_url("unix:/s") == Address("unix", "", 0, "/s")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", 'expected http://host:port or unix:/path, got ""'),
        ("127.0.0.1:8000", 'expected http://host:port or unix:/path, got "127.0.0.1:8000"'),
        ("http:/a", 'expected http://host:port or unix:/path, got "http:/a"'),
        ("https://a", "https endpoints are not supported yet, expected http://host:port or unix:/path"),
        ("ftp://a", 'expected the scheme http or unix, got "ftp"'),
        ("http://user:secret@a", "an endpoint URL cannot carry a user name or password"),
        ("user:secret@a", "an endpoint URL cannot carry a user name or password"),
        ("http://a?q=1", "an endpoint URL cannot have a query"),
        ("http://a/?", "an endpoint URL cannot have a query"),
        ("http://a#f", "an endpoint URL cannot have a fragment"),
        ("http://a/api", 'an endpoint URL cannot have a path, got "/api"'),
        ("http://", 'expected a host after http://, got "http://"'),
        ("http://:80", 'expected a host after http://, got "http://:80"'),
        ("http://a:", 'expected a port from 1 to 65535, got ""'),
        ("http://a:0", 'expected a port from 1 to 65535, got "0"'),
        ("http://a:65536", 'expected a port from 1 to 65535, got "65536"'),
        ("http://a:+8", 'expected a port from 1 to 65535, got "+8"'),
        ("http://a:٨", 'expected a port from 1 to 65535, got "\\u0668"'),
        ("http://::1:80", 'expected an IPv6 address in brackets, such as [::1]:8000, got "::1:80"'),
        ("http://[::1", 'expected an IPv6 address in brackets, got "[::1"'),
        ("http://[::g]", 'expected an IPv6 address in brackets, got "[::g]"'),
        ("http://[::1]80", 'expected a colon and a port after the bracket, got "80"'),
        ("http://[fe80::1%25eth0]", "an IPv6 address with a zone, such as %eth0, is not supported"),
        ("http://256.1.1.1", f'{HOST_OR_IPV4} "256.1.1.1"'),
        ("http://127.1", f'{HOST_OR_IPV4} "127.1"'),
        ("http://0x7f", f'{HOST_OR_IPV4} "0x7f"'),
        ("http://8000", f'{HOST_OR_IPV4} "8000"'),
        ("http://a b", f'{HOST_OR_IP} "a b"'),
        ("http://a..b", f'{HOST_OR_IP} "a..b"'),
        ("http://-a", f'{HOST_OR_IP} "-a"'),
        ("http://a\n", f'{HOST_OR_IP} "a\\n"'),
        ("http://bücher", 'expected the xn-- form of the international name "b\\u00fccher"'),
        ("unix:run", 'expected an absolute path after unix:, such as unix:/run/app.sock, got "unix:run"'),
        (
            "unix:///run",
            'expected an absolute path after unix:, such as unix:/run/app.sock, got "unix:///run"',
        ),
        ("unix:/a\0", 'expected a socket path of printable characters, got "/a\\u0000"'),
        ("unix:/" + "a" * 107, "expected a socket path of at most 107 bytes, got 108"),
    ],
)
def test_bad_endpoint_url_is_refused_with_one_sentence(url, message):
    with pytest.raises(ValueError) as caught:
        parse_endpoint_url(url)
    assert str(caught.value) == message


def test_a_host_name_has_at_most_253_characters():
    label = "a" * 63
    assert parse_host(".".join([label] * 3)) == ".".join([label] * 3)
    for name in (f"{label}a", ".".join([label] * 4)):
        with pytest.raises(ValueError, match=HOST_OR_IP):
            parse_host(name)


@pytest.mark.parametrize(
    ("text", "canonical", "loopback"),
    [
        ("0.0.0.0:8080", "0.0.0.0:8080", False),
        (":8080", "0.0.0.0:8080", False),
        ("[::]:8080", "[::]:8080", False),
        ("[0::1]:0", "[::1]:0", True),
        ("127.0.0.1:0", "127.0.0.1:0", True),
        ("127.8.8.8:80", "127.8.8.8:80", True),
        ("LocalHost:80", "localhost:80", True),
        ("example.com:80", "example.com:80", False),
        ("10.0.0.1:80", "10.0.0.1:80", False),
        ("unix:/run/lbg.sock", "unix:/run/lbg.sock", True),
    ],
)
def test_bind_text_and_loopback(text, canonical, loopback):
    bind = parse_bind(text)
    assert (bind.text, bind.is_loopback) == (canonical, loopback)
    assert parse_bind(bind.text) == bind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8080", 'expected host:port, such as "0.0.0.0:8080", or unix:/path, got "8080"'),
        ("", 'expected host:port, such as "0.0.0.0:8080", or unix:/path, got ""'),
        ("[::]", 'expected host:port, such as "0.0.0.0:8080", or unix:/path, got "[::]"'),
        ("http://a:80", 'expected host:port, such as "0.0.0.0:8080", or unix:/path, got "http://a:80"'),
        ("a:", 'expected a port from 0 to 65535, got ""'),
        ("a:65536", 'expected a port from 0 to 65535, got "65536"'),
        (":::80", 'expected an IPv6 address in brackets, such as [::1]:8000, got ":::80"'),
        ("a b:80", f'{HOST_OR_IP} "a b"'),
        ("unix:x", 'expected an absolute path after unix:, such as unix:/run/app.sock, got "unix:x"'),
    ],
)
def test_bad_bind_is_refused_with_one_sentence(text, message):
    with pytest.raises(ValueError) as caught:
        parse_bind(text)
    assert str(caught.value) == message


def test_an_address_and_a_bind_are_different_things():
    assert Bind("tcp", "a", 80, "") != Address("tcp", "a", 80, "")
    assert len({Address("tcp", "a", 80, ""), Address("tcp", "a", 80, "")}) == 1


def canonical_or_error(parse, text):
    try:
        parsed = parse(text)
    except ValueError as error:
        return error
    return parsed.url if isinstance(parsed, Address) else parsed.text


@pytest.mark.parametrize("parse", [parse_endpoint_url, parse_bind])
@given(text=st.text(max_size=40) | st.from_regex(r"(http|unix)://?[\[\]:.a-z0-9@/?#%]*", fullmatch=True))
def test_any_text_has_a_canonical_form_that_stays_or_is_refused_in_one_line(parse, text):
    result = canonical_or_error(parse, text)
    if isinstance(result, ValueError):
        assert str(result).isprintable()
    else:
        assert canonical_or_error(parse, result) == result


@pytest.mark.parametrize(
    ("bind", "authority"),
    [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("localhost:8080", "localhost:8080"),
    ],
)
def test_a_client_on_this_machine_reaches_a_wildcard_by_loopback(bind: str, authority: str) -> None:
    assert parse_bind(bind).authority_from_here == authority


@pytest.mark.parametrize(
    ("url", "literal"),
    [
        ("http://127.0.0.1:80", [(socket.AF_INET, ("127.0.0.1", 80))]),
        ("http://[::1]:80", [(socket.AF_INET6, ("::1", 80))]),
        ("unix:/run/app.sock", [(socket.AF_UNIX, "/run/app.sock")]),
        ("http://app.example", []),
    ],
)
def test_only_a_name_must_be_looked_up(url: str, literal: list[object]) -> None:
    assert parse_endpoint_url(url).literal == literal
