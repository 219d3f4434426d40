"""Which client a request comes from."""

from ipaddress import ip_network
from typing import Any

import pytest

from lbg.http.forwarded import Forwarding
from lbg.proxy.client import Clients

CLIENTS = Clients(Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False))


def _environ(peer: str, **fields: str) -> dict[str, Any]:
    return {"REMOTE_ADDR": peer, "SERVER_PORT": "80", "wsgi.url_scheme": "http", **fields}


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6,1.1.1.1 ,\t10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, nobody", "10.0.0.1"),
        ("", "1.1.1.1", "unix:"),
    ],
)
def test_the_client_is_who_trusted_proxies_say(peer: str, said: str, client: str) -> None:
    assert CLIENTS.address(_environ(peer, HTTP_X_FORWARDED_FOR=said)) == client


@pytest.mark.parametrize(
    ("peer", "said", "secure"),
    [
        ("9.9.9.9", "https", False),
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "HTTPS, http", True),
        ("10.0.0.1", "http, https", False),
        ("10.0.0.1", "", False),
    ],
)
def test_https_is_believed_of_trusted_proxies_only(peer: str, said: str, secure: bool) -> None:
    assert CLIENTS.secure(_environ(peer, HTTP_X_FORWARDED_PROTO=said)) is secure


def test_https_of_our_own_needs_nobodys_word() -> None:
    assert CLIENTS.secure(_environ("9.9.9.9") | {"wsgi.url_scheme": "https"})
