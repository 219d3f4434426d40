"""Sticky cookies: what they say, whom they name, and what is sent to the client."""

import re

import pytest

from lbg.config.pools import StickyConfig
from lbg.upstream.sticky import StickyCookies
from tests.unit.upstream.pools import Fleet
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint

SECRET = "0123456789abcdef"
# printf api/127.0.0.1:8000 | openssl dgst -sha256 -hmac $SECRET -binary | head -c 16 | basenc --base64url
OF_THE_FIRST = "B17UO4P8PMr5RVGSS06NAQ"


def cookies(*endpoints: ScriptedEndpoint, pool: str = "api", **config: object) -> StickyCookies:
    """Return the cookies of a pool."""
    checked = StickyConfig.model_validate({"secret": SECRET, **config})
    return StickyCookies(checked, pool, endpoints)


def value(made: StickyCookies, endpoint: ScriptedEndpoint) -> str:
    """Return what the cookie of an endpoint says."""
    name, field = made.field(endpoint, secure=False)
    assert name == "Set-Cookie"
    return field.partition(";")[0].partition("=")[2]


@pytest.fixture
def two(fleet: Fleet) -> tuple[ScriptedEndpoint, ScriptedEndpoint]:
    """Give two endpoints."""
    return fleet.endpoint(), fleet.endpoint()


Two = tuple[ScriptedEndpoint, ScriptedEndpoint]


def test_a_value_is_the_first_half_of_an_hmac_of_pool_and_address(two: Two) -> None:
    assert value(cookies(*two), two[0]) == OF_THE_FIRST


def test_a_value_says_nothing_of_the_address_and_differs_by_endpoint_pool_and_secret(two: Two) -> None:
    values = [
        value(cookies(*two), two[0]),
        value(cookies(*two), two[1]),
        value(cookies(*two, pool="web"), two[0]),
        value(cookies(*two, secret="another-secret--"), two[0]),
    ]
    assert len(set(values)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", one) for one in values)


def test_whoever_has_the_secret_knows_the_cookies_of_another_process(two: Two) -> None:
    first, second = two
    told = value(cookies(first, second), second)
    assert cookies(second, first).endpoint(f"lbg={told}") is second


def test_every_endpoint_is_found_again(fleet: Fleet) -> None:
    endpoints = [fleet.endpoint() for _ in range(100)]
    made = cookies(*endpoints)
    assert [made.endpoint(f"lbg={value(made, one)}") for one in endpoints] == endpoints


@pytest.mark.parametrize(
    "field",
    [
        "lbg={}",
        "a=b; lbg={}",
        "a=b;lbg={};c=d",
        "a=b; \t lbg={} ; c=d",
        "lbg=; lbg={}",
        "lbg=unknown; lbg={}",
        "xlbg=1; lbg={}",
        "lbgx=1; lbg={}",
        "a; ; =; lbg={}",
    ],
)
def test_the_first_value_that_is_known_counts(two: Two, field: str) -> None:
    made = cookies(*two)
    mine, other = (value(made, one) for one in two)
    assert made.endpoint(field.format(mine)) is two[0]
    assert made.endpoint(field.format(mine) + f"; lbg={other}") is two[0]


@pytest.mark.parametrize(
    "field",
    [
        "",
        "a=b",
        "lbg",
        "lbg=",
        "lbg=127.0.0.1:8000",
        "LBG={}",
        "xlbg={}",
        "x lbg={}",
        "lbgx={}",
        "a=lbg={}",
        "lbg ={}",
        "lbg={}x",
        "lbg=x{}",
        'lbg="{}"',
        "lbg=\xff{}",
    ],
)
def test_what_is_not_its_value_is_unknown(two: Two, field: str) -> None:
    made = cookies(*two)
    assert made.endpoint(field.format(value(made, two[0]))) is None


def test_a_field_with_thousands_of_our_name_is_not_read_to_its_end(two: Two) -> None:
    made = cookies(*two)
    mine = f"lbg={value(made, two[0])}"
    assert made.endpoint("lbg=x; " * 15 + mine) is two[0]
    assert made.endpoint("lbg=x; " * 16 + mine) is None


def test_the_value_of_an_endpoint_that_is_gone_is_unknown(two: Two) -> None:
    told = value(cookies(*two), two[0])
    assert cookies(two[1]).endpoint(f"lbg={told}") is None


@pytest.mark.parametrize("name", ["l.b", "l*b", "l|b", "^lb$"])
def test_a_name_is_no_pattern(two: Two, name: str) -> None:
    made = cookies(*two, cookie=name)
    told = value(made, two[0])
    assert made.endpoint(f"{name}={told}") is two[0]
    for other in ("lxb", "lb", "b", "l"):
        assert made.endpoint(f"{other}={told}; {name}=1") is None


@pytest.mark.parametrize(
    ("config", "secure", "rest"),
    [
        ({}, False, "; Path=/; HttpOnly; SameSite=Lax"),
        ({}, True, "; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"ttl": 3600}, False, "; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
        ({"ttl": 60}, True, "; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"),
    ],
)
def test_the_field_for_the_client(two: Two, config: dict[str, int], secure: bool, rest: str) -> None:
    made = cookies(*two, cookie="where", **config)
    name, field = made.field(two[0], secure=secure)
    assert name == "Set-Cookie"
    assert field == f"where={value(made, two[0])}{rest}"


def test_the_repr_has_neither_secret_nor_values(two: Two) -> None:
    assert repr(cookies(*two)) == "<StickyCookies lbg of 2 endpoints>"
