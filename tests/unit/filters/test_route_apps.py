"""What the applications of routes keep when another configuration comes into force."""

from ipaddress import ip_network
from typing import Any

import pytest

from lbg.config.routes import RouteConfig
from lbg.filters.route_apps import App, RouteApps
from lbg.http.forwarded import Forwarding
from lbg.proxy.client import Clients
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.record import Record
from lbg.proxy.request_head import HeadBuilder
from lbg.routing.route import Route
from lbg.state.buckets import Buckets
from lbg.telemetry.received import as_received
from lbg.upstream.pool import Pool
from tests.unit.telemetry.entries import environ_of
from tests.unit.upstream.pools import Fleet, pool_of

LIMIT = {"use": "concurrency", "limit": 1}
MIRROR = {"use": "mirror", "pool": "copy"}


@pytest.fixture
def apps() -> RouteApps:
    forwarding = Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False)
    replies = LocalReplies(Clients(forwarding), {})
    return RouteApps(HeadBuilder(forwarding, underscores=False), replies, Buckets.private())


@pytest.fixture
def pools() -> dict[str, Pool]:
    return {"api": pool_of(Fleet().endpoint()), "copy": pool_of(Fleet().endpoint())}


def route(*filters: dict[str, Any], **config: Any) -> Route:
    """Return a route with these filters."""
    config = {"pool": "api", "filters": list(filters), **config}
    return Route("shop", RouteConfig.model_validate(config), 0)


def made(apps: RouteApps, pools: dict[str, Pool], one: Route) -> App:
    """Return the application of a route."""
    return apps.make([one], pools, dict.fromkeys(pools))[one]


def chain(app: Any) -> object:
    """Return the filters of an application."""
    return app.chain


def answer(app: App) -> str:
    """Return the status that a redirecting or responding route answers."""
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "REMOTE_ADDR": "9.9.9.9",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "lbg.exchange": Record("r1"),
    }
    result: Any = app(environ, lambda status, _headers, _exc=None: said.append(status))
    b"".join(result)
    getattr(result, "close", lambda: None)()
    return said[0]


def test_filters_that_are_the_same_stay_though_the_pool_is_another(
    apps: RouteApps, pools: dict[str, Pool]
) -> None:
    before = chain(made(apps, pools, route(LIMIT)))
    pools["api"] = pool_of(Fleet().endpoint())
    assert chain(made(apps, pools, route(LIMIT))) is before


def test_a_request_that_is_in_filters_that_stay_ends_as_it_began(
    apps: RouteApps, pools: dict[str, Pool]
) -> None:
    before = made(apps, pools, route(LIMIT, pool=None, respond={"status": 201}))
    after = made(apps, pools, route(LIMIT, pool=None, respond={"status": 202}))
    assert chain(after) is chain(before)
    assert answer(before).startswith("201")
    assert answer(after).startswith("202")


def test_other_filters_are_made_anew(apps: RouteApps, pools: dict[str, Pool]) -> None:
    before = chain(made(apps, pools, route(LIMIT)))
    assert chain(made(apps, pools, route(LIMIT | {"limit": 2}))) is not before


def test_a_filter_whose_pool_is_another_is_made_anew(apps: RouteApps, pools: dict[str, Pool]) -> None:
    before = chain(made(apps, pools, route(MIRROR)))
    assert chain(made(apps, pools, route(MIRROR))) is before
    pools["copy"] = pool_of(Fleet().endpoint())
    assert chain(made(apps, pools, route(MIRROR))) is not before


def test_filters_of_a_route_that_was_gone_are_made_anew(apps: RouteApps, pools: dict[str, Pool]) -> None:
    before = chain(made(apps, pools, route(LIMIT)))
    apps.make([], pools, dict.fromkeys(pools))
    assert chain(made(apps, pools, route(LIMIT))) is not before


def test_the_request_is_kept_as_it_came_where_there_are_filters_only(
    apps: RouteApps, pools: dict[str, Pool]
) -> None:
    field = {"use": "headers", "request": {"set": {"User-Agent": "secret"}}}
    reply = {"respond": {"status": 200}, "pool": None}
    for filters in ([], [field]):
        environ = environ_of(HTTP_USER_AGENT="curl") | {"lbg.exchange": Record("r1")}
        made(apps, pools, route(*filters, **reply))(environ, lambda *_: None)
        assert as_received(environ)["HTTP_USER_AGENT"] == "curl"
        assert (as_received(environ) is environ) is (not filters)
        assert environ["HTTP_USER_AGENT"] == ("secret" if filters else "curl")
