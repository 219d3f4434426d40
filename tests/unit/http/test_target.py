"""Request targets: absolute form, host names."""

import pytest

from lbg.http.target import host_name, split_absolute


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"http://a/b?c", (b"a", b"/b?c")),
        (b"http://a", (b"a", b"/")),
        (b"http://a?q", (b"a", b"/?q")),
        (b"HTTPS://A:8/", (b"A:8", b"/")),
        (b"http://user@a/", (b"user@a", b"/")),
        (b"http:///x", (b"", b"/x")),
        (b"http://[::1]:8000//x/../y", (b"[::1]:8000", b"//x/../y")),
    ],
)
def test_an_absolute_target_splits_into_authority_and_origin_form(
    target: bytes, parts: tuple[bytes, bytes]
) -> None:
    assert split_absolute(target) == parts


@pytest.mark.parametrize("target", [b"/a", b"*", b"a:80", b"ftp://a/", b"http:/a", b"//a/b", b""])
def test_another_form_is_not_absolute(target: bytes) -> None:
    assert split_absolute(target) is None


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com:8080", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::A]:80", "[2001:db8::a]"),
        ("[2001:DB8:0:0:0::00A]", "[2001:db8::a]"),
        ("[FE80::1%25eth0]:80", "[fe80::1%25eth0]"),
        ("127.0.0.1:1", "127.0.0.1"),
    ],
)
def test_the_host_is_lower_case_without_port_and_root_dot(authority: str, host: str) -> None:
    assert host_name(authority) == host
