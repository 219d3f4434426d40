"""Which keys may be secrets."""

import pytest

from lbg.filters.limit_key import is_secret


@pytest.mark.parametrize(
    "spec",
    [
        "header:Authorization",
        "header:Proxy-Authorization",
        "header:Cookie",
        "header:X-API-Key",
        "header:X-Auth-Token",
        "header:Session-Id",
        "query:access_token",
        "query:signature",
        "cookie:anything",
    ],
)
def test_what_clients_prove_themselves_with_is_secret(spec: str) -> None:
    assert is_secret(spec)


@pytest.mark.parametrize(
    "spec", ["client_ip", "path", "host", "route", "header:X-Tenant", "query:page", "shop.limits:tenant"]
)
def test_what_says_only_who_or_what_it_is_is_not(spec: str) -> None:
    assert not is_secret(spec)
