"""Which answers carry a sticky cookie, and what of it the record says."""

from typing import Any

import pytest

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.state.layout import Admin, Health
from lbg.upstream.exchange import Exchange
from lbg.upstream.pool import Pool
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, ScriptedEndpoint, answering

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


def sticky_pool(*endpoints: ScriptedEndpoint, **config: Any) -> Pool:
    return pool_of(*endpoints, sticky={"secret": "0123456789abcdef"}, **config)


def set_cookies(exchange: Exchange) -> list[str]:
    return [value for name, value in exchange.headers if name == "Set-Cookie"]


def cookie_of(pool: Pool, endpoint: ScriptedEndpoint, *, secure: bool = False) -> str:
    """Return the field that leads to an endpoint."""
    assert pool.sticky is not None
    return pool.sticky.field(endpoint, secure=secure)[1]


def ask(
    pool: Pool, *, cookies: str = "", secure: bool = False, upgrades: bool = False
) -> tuple[list[str], Record]:
    """Return the cookies that the client is given, and the record."""
    record, request = Record("id1"), request_for(upgrades=upgrades)
    request.cookies, request.secure = cookies, secure
    exchange = forward(request, pool, record)
    given = set_cookies(exchange)
    exchange.close()
    return given, record


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_without_a_cookie_is_given_that_of_its_endpoint(fleet: Fleet, secure: bool) -> None:
    endpoint = fleet.endpoint(answering(OK))
    pool = sticky_pool(endpoint, fleet.endpoint())
    given, record = ask(pool, secure=secure)
    assert given == [cookie_of(pool, endpoint, secure=secure)]
    assert (record.endpoint, record.sticky) == (endpoint, False)


def test_a_client_with_its_cookie_is_led_there_and_given_none(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint(answering(OK))
    pool = sticky_pool(first, second)
    given, record = ask(pool, cookies=cookie_of(pool, second))
    assert (given, record.endpoint, record.sticky) == ([], second, True)


def test_a_client_with_an_unknown_cookie_is_given_a_good_one(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    pool = sticky_pool(endpoint)
    assert ask(pool, cookies="lbg=forged")[0] == [cookie_of(pool, endpoint)]


@pytest.mark.parametrize("fields", [{"health": Health.DOWN}, {"admin": Admin.MAINT}], ids=["down", "maint"])
def test_a_client_whose_endpoint_is_not_to_be_had_is_given_another_cookie(
    fleet: Fleet, fields: dict[str, int]
) -> None:
    first, second = fleet.endpoint(), fleet.endpoint(answering(OK))
    pool = sticky_pool(first, second)
    first.becomes(**fields)
    given, record = ask(pool, cookies=cookie_of(pool, first))
    assert (given, record.sticky) == ([cookie_of(pool, second)], False)


def test_a_client_of_an_endpoint_that_drains_keeps_its_cookie(fleet: Fleet) -> None:
    first, second = fleet.endpoint(answering(OK)), fleet.endpoint()
    pool = sticky_pool(first, second)
    first.becomes(admin=Admin.DRAIN)
    assert ask(pool, cookies=cookie_of(pool, first))[0] == []


def test_a_client_is_given_the_cookie_of_the_endpoint_that_answered_in_the_end(fleet: Fleet) -> None:
    first, second = fleet.endpoint(REFUSED), fleet.endpoint(answering(OK))
    pool = sticky_pool(first, second)
    given, record = ask(pool, cookies=cookie_of(pool, first))
    assert (given, record.sticky) == ([cookie_of(pool, second)], False)


def test_an_answer_that_another_try_replaced_has_no_say(fleet: Fleet) -> None:
    first, second = fleet.endpoint(answering(BUSY)), fleet.endpoint(answering(OK))
    pool = sticky_pool(first, second, retry={"status": [503]})
    given, record = ask(pool, cookies=cookie_of(pool, first))
    assert (given, record.endpoint, record.sticky) == ([cookie_of(pool, second)], second, False)


def test_an_answer_kept_for_want_of_a_better_one_has_its_own_cookie(fleet: Fleet) -> None:
    first, second = fleet.endpoint(answering(BUSY)), fleet.endpoint(REFUSED)
    pool = sticky_pool(first, second, retry={"status": [503]})
    assert ask(pool)[0] == [cookie_of(pool, first)]


def test_a_switch_of_protocols_has_one_too(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(SWITCHED))
    pool = sticky_pool(endpoint)
    assert ask(pool, upgrades=True)[0] == [cookie_of(pool, endpoint)]


def test_cookies_of_the_endpoint_stay(fleet: Fleet) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    endpoint = fleet.endpoint(answering(answer))
    pool = sticky_pool(endpoint)
    assert ask(pool)[0] == ["a=b", cookie_of(pool, endpoint)]


def test_without_sticky_cookies_there_is_none_and_the_record_says_nothing(fleet: Fleet) -> None:
    given, record = ask(pool_of(fleet.endpoint(answering(OK))), cookies="lbg=x")
    assert (given, record.sticky) == ([], None)


@pytest.mark.parametrize(
    ("states", "reason", "told"),
    [
        ((Admin.DRAIN, Admin.MAINT), "all_draining", "All backends are out of service for the moment."),
        ((Admin.READY, Admin.MAINT), "no_healthy", "No backend is healthy."),
    ],
)
def test_a_client_is_told_whether_an_operator_keeps_it_away(
    fleet: Fleet, states: tuple[Admin, ...], reason: str, told: str
) -> None:
    endpoints = [fleet.endpoint() for _ in states]
    for endpoint, admin in zip(endpoints, states, strict=True):
        endpoint.becomes(admin=admin, health=Health.DOWN)
    record = Record("id1")
    with pytest.raises(LocalReply) as caught:
        forward(request_for(), pool_of(*endpoints), record)
    assert (caught.value.reason.code, caught.value.status, caught.value.detail) == (reason, 503, told)
    assert "127.0.0.1:8001 in maintenance" in record.story()
