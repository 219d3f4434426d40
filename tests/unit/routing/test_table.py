"""Which route a request takes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.config.routes import RouteConfig
from lbg.routing.table import Route, RouteTable, routes_of
from tests.unit.routing.requests import environ, matched, route, table_of

PREFIXES = [
    route(name="any"),
    route(name="static", path="/static"),
    route(name="img", path="/static/img/"),
    route(name="api", host="api.example.com"),
    route(name="v1", host="api.example.com", path="/v1"),
    route(name="wild", host="*.example.com"),
    route(name="deep", host="*.b.example.com"),
    route(name="lonely", host="lonely.example.com", path="/only"),
]


@pytest.mark.parametrize(
    ("host", "path", "name"),
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
def test_the_most_specific_host_and_prefix_win(host: str, path: str, name: str) -> None:
    found = table_of(*PREFIXES).match(host, path, environ())
    assert found is not None
    assert found.name == name


def test_nothing_matches_where_no_route_leads() -> None:
    table = table_of(route(host="a", path="/x"))
    assert table.match("a", "/", environ()) is None
    assert table.match("b", "/x", environ()) is None
    assert table_of().match("", "/", environ()) is None


def test_an_exact_path_is_that_path_only() -> None:
    table = table_of(route(name="exact", path_exact="/a"))
    assert [matched(table, path) for path in ("/a", "/a/", "/a/b", "/ab")] == ["exact", None, None, None]


def test_a_pattern_stands_for_the_whole_path() -> None:
    table = table_of(route(name="pattern", path_regex="/users/[0-9]+"))
    assert [matched(table, f"/users/{end}") for end in ("1", "1/", "1/x", "x")] == [
        "pattern",
        None,
        None,
        None,
    ]
    assert matched(table, "/v1/users/1") is None


def test_a_line_break_does_not_hide_a_path_from_a_pattern() -> None:
    table = table_of(route(name="pattern", path_regex="/admin.*"))
    assert matched(table, "/admin") == "pattern"
    found = table.match("", "/admin\nx", environ())
    assert found is not None


def test_patterns_and_paths_beyond_ascii_are_compared_as_text() -> None:
    table = table_of(
        route(name="pattern", path_regex="/caf.", host="a"), route(name="path", path="/caf%C3%A9")
    )
    path = "/café".encode().decode("latin-1")
    assert matched(table, f"//a{path}") == "pattern"
    assert matched(table, f"//b{path}/x") == "path"


@pytest.mark.parametrize("written", ["/a%62c", "/%61%62%63", "/abc"])
def test_configured_paths_are_compared_normalised(written: str) -> None:
    for kind in ("path", "path_exact"):
        assert matched(table_of(route(name="r", **{kind: written})), "/abc") == "r"


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/a/b/?c", "/a/bc"),
        ("/a/b/*c", "/a/bc"),
        ("/a/b/{0,1}c", "/a/bc"),
        ("/a/b|/c", "/c"),
        ("/a/b(x|y)|/c", "/c"),
        ("/a/(b|c)", "/a/c"),
        ("/a/b[|]", "/a/b|"),
        ("^/a/b", "/a/b"),
        ("/a/+b", "/a/b"),
        ("(?i)/a/b", "/A/B"),
        ("/a/b()", "/a/b"),
        (r"/a/b\.c", "/a/b.c"),
        ("", "*"),
    ],
)
def test_a_pattern_is_found_however_it_begins(pattern: str, path: str) -> None:
    table = table_of(route(name="pattern", path_regex=pattern or "[*]"), route(path="/other"))
    found = table.match("", path, environ())
    assert found is not None
    assert found.name == "pattern"


def test_exact_comes_before_patterns_and_those_before_prefixes() -> None:
    table = table_of(
        route(name="long", path="/a/b/c"),
        route(name="pattern", path_regex="/a/b/.*"),
        route(name="exact", path_exact="/a/b/c"),
        route(name="all"),
    )
    asked = ["/a/b/c", "/a/b/c/", "/a/b/d", "/a/b"]
    assert [matched(table, path) for path in asked] == ["exact", "pattern", "pattern", "all"]


def test_of_patterns_the_first_of_the_file_wins_wherever_it_begins() -> None:
    first, second = route(name="first", path_regex="/a/.*"), route(name="second", path_regex="/a/b/[c]")
    third = route(name="third", path_regex=".*")
    assert matched(table_of(first, second, third), "/a/b/c") == "first"
    assert matched(table_of(second, first, third), "/a/b/c") == "second"
    assert matched(table_of(third, second, first), "/a/b/c") == "third"


def test_a_pattern_of_a_host_comes_before_an_exact_path_of_any_host() -> None:
    table = table_of(route(name="any", path_exact="/a"), route(name="host", host="h", path_regex="/a"))
    assert matched(table, "//h/a") == "host"


@pytest.mark.parametrize("keys", [{}, {"path": "/x"}, {"path_exact": "/x"}, {"path_regex": "/x"}])
def test_more_conditions_win_then_the_order_of_the_file(keys: dict[str, Any]) -> None:
    table = table_of(
        route(name="none", **keys),
        route(name="first", methods=["GET"], **keys),
        route(name="second", headers={"X-A": True}, **keys),
        route(name="both", headers={"X-A": True}, query={"q": "1"}, **keys),
    )
    assert matched(table, "/x?q=1", x_a="1") == "both"
    assert matched(table, "/x?q=2", x_a="1") == "first"
    assert matched(table, "/x?q=2", method="PUT", x_a="1") == "second"
    assert matched(table, "/x", method="PUT") == "none"


def test_a_longer_prefix_comes_before_more_conditions() -> None:
    table = table_of(route(name="long", path="/a/b"), route(name="conditions", path="/a", methods=["GET"]))
    assert matched(table, "/a/b") == "long"


def test_a_route_whose_conditions_fail_lets_shorter_ones_and_other_hosts_have_the_request() -> None:
    table = table_of(
        route(name="exact", host="h.x", methods=["PUT"]),
        route(name="short", host="*.x", path="/a"),
        route(name="long", host="*.x", path="/a/b", headers={"X-A": "1"}),
    )
    assert matched(table, "//h.x/a/b") == "short"
    assert matched(table, "//h.x/a/b", x_a="1") == "long"
    assert matched(table, "//h.x/b") is None


@pytest.mark.parametrize(
    ("configs", "only"),
    [
        ([{}], True),
        ([{"path": "/"}], True),
        ([{"filters": ["access"]}], True),
        ([{}, {"path": "/x"}], False),
        ([{}, {"host": "a"}], False),
        ([{}, {"methods": ["GET"]}], False),
        ([{"path": "/x"}], False),
        ([{"path_exact": "/"}], False),
        ([{"path_regex": ".*"}], False),
        ([{"host": "a"}], False),
        ([{"methods": ["GET"]}], False),
        ([{"headers": {"X-A": True}}], False),
        ([{"query": {"a": True}}], False),
        ([], False),
    ],
)
def test_only_a_lone_catch_all_needs_no_comparison(configs: list[dict[str, Any]], only: bool) -> None:
    assert (table_of(*[route(**keys) for keys in configs]).only is not None) is only


def test_many_routes_that_differ_by_a_header_are_told_apart() -> None:
    tenants = [route(name=f"t{number}", headers={"X-Tenant": f"t{number}"}) for number in range(50)]
    others = [
        route(name="put", methods=["PUT"], headers={"X-Tenant": ["t7", "t8"]}),
        route(name="empty", headers={"X-Tenant": ""}),
        route(name="debug", headers={"X-Debug": True}, query={"q": True}),
        route(name="rest"),
    ]
    table = table_of(*tenants, *others)
    assert matched(table, "/", x_tenant="t7") == "t7"
    assert matched(table, "/", method="PUT", x_tenant="t7") == "put"
    assert matched(table, "/?q", x_tenant="t8", x_debug="1") == "debug"
    assert matched(table, "/", x_tenant="") == "empty"
    assert matched(table, "/") == "rest"
    assert matched(table, "/", x_tenant="t99") == "rest"


def test_a_long_host_of_many_labels_still_finds_its_wildcard() -> None:
    table = table_of(route(name="wild", host="*.b.c"))
    assert matched(table, "//" + "a." * 5000 + "b.c/") == "wild"
    assert matched(table, "//b.c/") is None


def test_the_routes_are_told_in_order_of_precedence() -> None:
    routes = [
        route(name="all"),
        route(name="prefix", path="/a"),
        route(name="longer", path="/a/b"),
        route(name="pattern", path_regex="/a"),
        route(name="exact", path_exact="/a"),
        route(name="wild", host="*.x"),
        route(name="longer-wild", host="*.y.x"),
        route(name="host", host="h.x"),
        route(name="host-put", host="h.x", methods=["PUT"]),
    ]
    names = [each.name for each in table_of(*routes).routes]
    assert names == [
        "host-put",
        "host",
        "longer-wild",
        "wild",
        "exact",
        "pattern",
        "longer",
        "prefix",
        "all",
    ]


def test_it_is_explained_which_routes_were_passed_over_and_why() -> None:
    table = table_of(
        route(name="elsewhere", path="/b"),
        route(name="put", path="/a", methods=["PUT", "POST"]),
        route(name="env", path="/a", headers={"X-Env": "canary"}),
        route(name="a", path="/a"),
        route(name="all"),
    )
    verdicts = [(one.route.name, one.why_not) for one in table.explain("", "/a", environ())]
    assert verdicts == [
        ("put", "the method is GET, expected PUT or POST"),
        ("env", 'header X-Env is absent, expected "canary"'),
        ("a", ""),
    ]


HOSTS = st.sampled_from(["", "a", "b.a", "c.b.a", "*.a", "*.b.a", "x.org"])
SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3)
PATHS = st.tuples(SEGMENTS, st.booleans()).map(
    lambda pair: "/" + "/".join(pair[0]) + "/" * (pair[1] and bool(pair[0]))
)
PATTERNS = st.sampled_from(
    ["/a.*", "/a/b", "/a/[ab]+", "/(a|b)/.*", "/a|/b", "/a/b?", "(?i)/A", "^/ab/a*$", ".*"]
)
KINDS = st.one_of(
    st.builds(lambda path: {"path": path}, PATHS),
    st.builds(lambda path: {"path_exact": path}, PATHS),
    st.builds(lambda pattern: {"path_regex": pattern}, PATTERNS),
)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "methods": st.sampled_from([["GET"], ["PUT"], ["GET", "PUT"]]),
        "headers": st.sampled_from(
            [{"X-A": "1"}, {"X-A": ["1", "2"]}, {"X-B": True}, {"X-A": False, "X-B": "1"}]
        ),
        "query": st.sampled_from([{"q": "1"}, {"q": False}]),
    },
)
CONFIGURED = st.lists(
    st.builds(
        lambda host, kind, more: route(**({"host": host} if host else {}), **kind, **more),
        HOSTS,
        KINDS,
        CONDITIONS,
    ),
    max_size=20,
)
REQUESTS = st.builds(
    environ,
    st.sampled_from(["GET", "HEAD", "PUT"]),
    st.sampled_from(["", "q", "q=1", "q=2&q=1"]),
    x_a=st.sampled_from(["1", "2", "3"]),
)


def fits(config: RouteConfig, host: str, path: str) -> bool:
    """Return whether host and path fit, by a table of that one route and no conditions."""
    bare = config.model_copy(update={"methods": (), "headers": {}, "query": {}})
    return RouteTable([Route("r", bare, 0)]).match(host, path, environ()) is not None


def specificity(one: Route, first_patterns: dict[tuple[str | None, str], int]) -> tuple[int, ...]:
    """Return what the documentation says of the order, greatest first."""
    config = one.config
    host = config.host or ""
    kind = 2 if config.path_exact is not None else 1 if config.path_regex else 0
    within = (
        -first_patterns[config.host, config.path_regex] if kind == 1 else len((config.path or "").rstrip("/"))
    )
    conditions = bool(config.methods) + len(config.headers) + len(config.query)
    wild = host.startswith("*.")
    return (
        2 if host and not wild else 1 if wild else 0,
        len(host) * wild,
        kind,
        within,
        conditions,
        -one.index,
    )


@settings(deadline=None, max_examples=300)
@given(CONFIGURED, st.sampled_from(["", "a", "b.a", "c.b.a", "d.c.b.a", "x.org", "y.x.org"]), PATHS, REQUESTS)
def test_it_agrees_with_comparing_every_route(
    configured: list[RouteConfig], host: str, path: str, request: dict[str, str]
) -> None:
    routes = routes_of(configured)
    first: dict[tuple[str | None, str], int] = {}
    for one in routes:
        first.setdefault((one.config.host, one.config.path_regex), one.index)
    fitting = [
        one
        for one in routes
        if fits(one.config, host, path)
        and RouteTable([Route("r", one.config.model_copy(update={"host": None}), 0)]).match("", path, request)
    ]
    best = max(fitting, key=lambda one: specificity(one, first), default=None)
    table = RouteTable(routes)
    assert table.match(host, path, request) is best
    told = list(table.explain(host, path, request))
    assert [one.route for one in told if not one.why_not] == ([best] if best else [])


def headers_of(number: int) -> dict[str, Any]:
    return {"headers": {"X-Tenant": f"t{number}"}}


@pytest.mark.parametrize(
    ("keys", "host", "path"),
    [
        (
            lambda number: {"host": f"h{number // 2}.example", "path": "/v1" if number % 2 else "/"},
            "h4999.example",
            "/v1/x",
        ),
        (lambda number: {"host": f"*.h{number}.example"}, "a.h9999.example", "/v1/x"),
        (lambda number: {"path": f"/service{number}/v1"}, "h", "/service9999/v1/x/y"),
        (lambda number: {"path_exact": f"/service/{number}"}, "h", "/service/9999"),
        (lambda number: {"path_regex": f"^/service{number}/[a-z]+"}, "h", "/service9999/x"),
        (headers_of, "h", "/x"),
    ],
)
def test_among_ten_thousand_routes_one_is_found_without_looking_at_all(
    keys: Callable[[int], dict[str, Any]], host: str, path: str
) -> None:
    table = table_of(*[route(**keys(number)) for number in range(10_000)])
    request = environ(x_tenant="t9999")
    best = 1.0
    for _ in range(20):
        began = time.process_time()
        found = table.match(host, path, request)
        best = min(best, time.process_time() - began)
    assert found is not None
    assert found.index == 9999
    assert best < 0.0002  # seconds; comparing all of them takes ten times as long
