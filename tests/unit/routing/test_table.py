"""Which route a request takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.routing.table import Route, RouteTable

ROUTES = [
    Route("", "/", "any"),
    Route("", "/static", "static"),
    Route("", "/static/img/", "img"),
    Route("api.example.com", "/", "api"),
    Route("api.example.com", "/v1", "v1"),
    Route("*.example.com", "/", "wild"),
    Route("*.b.example.com", "/", "deep"),
    Route("lonely.example.com", "/only", "lonely"),
]


@pytest.fixture
def table() -> RouteTable:
    return RouteTable(ROUTES)


@pytest.mark.parametrize(
    ("host", "path", "pool"),
    [
        ("other.org", "/", "any"),
        ("other.org", "/static", "static"),
        ("other.org", "/static/", "static"),
        ("other.org", "/static/x", "static"),
        ("other.org", "/staticx", "any"),
        ("other.org", "/static/img", "img"),
        ("other.org", "/static/img/a/b", "img"),
        ("other.org", "/static/imgs", "static"),
        ("other.org", "/Static", "any"),
        ("api.example.com", "/", "api"),
        ("api.example.com", "/v1/users", "v1"),
        ("api.example.com", "/v10", "api"),
        ("api.example.com", "/static", "api"),
        ("www.example.com", "/static", "wild"),
        ("a.api.example.com", "/v1", "wild"),
        ("x.b.example.com", "/", "deep"),
        ("y.x.b.example.com", "/", "deep"),
        ("b.example.com", "/", "wild"),
        ("example.com", "/", "any"),
        ("notexample.com", "/", "any"),
        ("lonely.example.com", "/only/x", "lonely"),
        ("lonely.example.com", "/else", "wild"),
        ("", "/", "any"),
        ("", "*", "any"),
    ],
)
def test_the_most_specific_route_wins(table: RouteTable, host: str, path: str, pool: str) -> None:
    route = table.match(host, path)
    assert route is not None
    assert route.pool == pool


def test_nothing_matches_where_no_route_leads() -> None:
    table = RouteTable([Route("a", "/x", "p")])
    assert table.match("a", "/") is None
    assert table.match("b", "/x") is None
    assert RouteTable([]).match("", "/") is None


@pytest.mark.parametrize(
    ("routes", "only"),
    [
        ([Route("", "/", "p")], "p"),
        ([Route("", "/", "p"), Route("", "/x", "q")], None),
        ([Route("", "/", "p"), Route("a", "/", "q")], None),
        ([Route("", "/", "p"), Route("*.a", "/", "q")], None),
        ([Route("", "/x", "p")], None),
        ([Route("a", "/", "p")], None),
        ([], None),
    ],
)
def test_only_a_lone_catch_all_needs_no_comparison(routes: list[Route], only: str | None) -> None:
    route = RouteTable(routes).only
    assert (route.pool if route else None) == only


def test_a_route_is_called_by_host_and_path() -> None:
    assert (Route("", "/", "p").name, Route("*.a", "/x", "p").name) == ("*/", "*.a/x")


HOSTS = st.sampled_from(["", "a", "b.a", "c.b.a", "*.a", "*.b.a", "x.org"])
SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3)
PATHS = st.tuples(SEGMENTS, st.booleans()).map(
    lambda pair: "/" + "/".join(pair[0]) + "/" * (pair[1] and bool(pair[0]))
)
CONFIGURED = st.lists(
    st.tuples(HOSTS, PATHS), max_size=10, unique_by=lambda pair: (pair[0], pair[1].rstrip("/"))
)


def host_rank(route: Route, host: str) -> int:
    """Return how specific the host of `route` is for `host`, -1 when it does not match."""
    if not route.host:
        return 0
    if route.host.startswith("*."):
        return len(route.host) if host.endswith(route.host[1:]) and host != route.host[1:] else -1
    return 1000 if route.host == host else -1


def path_matches(route: Route, path: str) -> bool:
    prefix = route.path.rstrip("/")
    return path == prefix or path.startswith(prefix + "/")


@settings(deadline=None)
@given(CONFIGURED, st.sampled_from(["", "a", "b.a", "c.b.a", "d.c.b.a", "x.org", "y.x.org"]), PATHS)
def test_it_agrees_with_comparing_every_route(
    configured: list[tuple[str, str]], host: str, path: str
) -> None:
    routes = [Route(name, prefix, f"{name}{prefix}") for name, prefix in configured]
    matching = [route for route in routes if host_rank(route, host) >= 0 and path_matches(route, path)]
    best = max(
        matching, key=lambda route: (host_rank(route, host), len(route.path.rstrip("/"))), default=None
    )
    assert RouteTable(routes).match(host, path) == best
