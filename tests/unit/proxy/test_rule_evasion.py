"""However a request is spelled, what its backend makes of it was judged by the rules that hold for that."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.config.routes import RouteConfig
from tests.support.rules import TOLD, rows
from tests.unit.proxy.proxies import proxy
from tests.unit.proxy.seen import (
    RULES,
    SERVERS,
    Environ,
    ask,
    by_another_server,
    by_our_server,
    inside,
    misjudged,
    rule_for,
)
from tests.unit.routing.backends import PIECES
from tests.unit.upstream.scripted_endpoint import OK

Server = Callable[..., Environ | None]

CLOSED = {"use": "access", "deny": ["0.0.0.0/0"]}
HOST = (b"Host", b"a")

steady = settings(deadline=None, derandomize=True, database=None, max_examples=300)


def a_route(*filters: dict[str, Any], **keys: Any) -> RouteConfig:
    """Return a route that tells the backend its name."""
    return RouteConfig.model_validate({"pool": "api", "filters": [*filters, TOLD], **keys})


@pytest.mark.parametrize("server", SERVERS)
def test_no_spelling_of_the_corpus_reaches_a_backend_past_a_rule(server: Server) -> None:
    requests = [(target, "a") for target, _ in rows("targets.txt")]
    requests += [("/", host) for host, _ in rows("hosts.txt")]
    requests += [("http://a/", host) for host, _ in rows("hosts.txt")]
    routes = [route.model_copy(update={"pool": route.pool and "api"}) for route in RULES]
    with proxy(OK, routes=routes) as front:
        for target, host in requests:
            got = ask(front, server(target.encode(), (b"Host", host.encode())))
            assert got is None or not misjudged(got)


def test_the_backend_gets_the_host_that_was_judged() -> None:
    routes = [a_route(), a_route(CLOSED, host="admin.example")]
    with proxy(OK, routes=routes) as front:
        for server, inner, outer in (
            (by_our_server, b"b", b"admin.example"),
            (by_another_server, b"x", b"b"),
        ):
            got = ask(front, server(b"http://%b/" % inner, (b"Host", outer)))
            assert got is not None
            assert got.host == "b"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("peer", "route"), [("9.9.9.9", "rest"), ("10.0.0.1", "tls")])
def test_only_a_trusted_proxy_fulfils_a_condition_on_whence_it_came(
    server: Server, peer: str, route: str
) -> None:
    routes = [a_route(name="rest"), a_route(name="tls", headers={"X-Forwarded-Proto": "https"})]
    with proxy(OK, routes=routes) as front:
        environ = server(b"/", HOST, (b"X-Forwarded-Proto", b"https"))
        assert environ is not None
        got = ask(front, environ | {"REMOTE_ADDR": peer})
        assert got is not None
        assert got.values("x-route") == [route]


PATHS = ["/admin", "/public", "/public/a", "/a", "/a/b"]
PATTERNS = ["/(a|b)/[0-9]+", "/[a-z]+/admin", r".*\.php", "/public/.*;.*"]
HOSTS = [None, None, "a.example", "*.example", "admin.example", "*.internal.example"]

conditions = st.one_of(
    st.sampled_from(PATHS).map(lambda path: {"path": path}),
    st.sampled_from(PATHS).map(lambda path: {"path_exact": path}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"path_regex": pattern}),
    st.just({}),
)


@st.composite
def tables(draw: st.DrawFn) -> list[RouteConfig]:
    """Draw routes, some of them closed, of which one takes all that the others leave."""
    places = st.tuples(st.sampled_from(HOSTS), conditions)
    drawn = draw(st.lists(places, min_size=1, max_size=5, unique_by=str))
    routes = [
        a_route(*([CLOSED] if draw(st.booleans()) else []), name=f"r{index}", host=host, **keys)
        for index, (host, keys) in enumerate(drawn)
    ]
    return routes if (None, {}) in drawn else [*routes, a_route(name="rest")]


MORE = ["%2e", "..;", "%5c..", "./", "%3b%2f", ".php", "%2ephp", "%00", "%0a", "%c0%ae", "%252f", "%2561"]
paths = st.lists(st.sampled_from([*PIECES, *MORE]), max_size=9).map(lambda pieces: "/" + "".join(pieces))
queries = st.sampled_from(["", "", "", "?", "?/../admin", "?x=//admin"])
authorities = st.sampled_from(["a.example", "A.example:80", *(host for host, _ in rows("hosts.txt"))])
targets = st.one_of(
    st.tuples(paths, queries),
    st.tuples(st.just("http://"), authorities, paths, queries),
    st.tuples(st.sampled_from(["ftp://a", "//", "http:", "*", "x", ""]), paths),
    st.tuples(paths, st.sampled_from(["#", "#/../.."])),
).map(lambda parts: "".join(parts).encode("ascii"))
asked = st.tuples(st.sampled_from(SERVERS), targets, authorities.map(str.encode))


@steady
@given(tables(), st.lists(asked, max_size=8))
def test_every_backend_sees_a_path_and_a_host_of_the_route_that_judged(
    routes: list[RouteConfig], requests: list[tuple[Server, bytes, bytes]]
) -> None:
    with proxy(OK, routes=routes) as front:
        for server, target, authority in requests:
            got = ask(front, server(target, (b"Host", authority)))
            if got is not None:
                judges = {name: [rule_for(routes, got.host, path)] for name, path in got.paths.items()}
                assert judges == dict.fromkeys(judges, got.values("x-route"))


DENIED = r"\.php$|/\.git(/|$)"
DENYING = {"use": "access", "deny_paths": ["/admin", "/public/a", "/a/admin"], "deny_path_regex": DENIED}
hidden = st.lists(st.sampled_from([*PIECES, *MORE, ".git", "%2egit"]), max_size=9).map("".join)


@steady
@given(st.lists(hidden, max_size=16))
def test_no_backend_sees_a_path_that_access_denies(rests: list[str]) -> None:
    with proxy(OK, routes=[a_route(DENYING)]) as front:
        for rest in rests:
            got = ask(front, by_our_server(f"/{rest}".encode(), HOST))
            for path in got.paths.values() if got is not None else ():
                assert not any(inside(path, prefix) for prefix in DENYING["deny_paths"])
                assert not re.search(DENIED, path)


@steady
@given(st.lists(hidden, max_size=16))
def test_what_loses_its_prefix_is_still_not_what_access_denies(rests: list[str]) -> None:
    with proxy(OK, routes=[a_route(), a_route(DENYING, path="/a", strip_prefix="/a")]) as front:
        for rest in rests:
            got = ask(front, by_our_server(f"/a{rest}".encode(), HOST))
            for path in got.paths.values() if got is not None and got.values("x-route") == ["*/a"] else ():
                assert not inside(path, "/admin")
                assert not re.search(DENIED, path)


NAMES = [
    "debug",
    "%64ebug",
    "DEBUG",
    "debug%00",
    "tenant",
    "te%6Eant",
    "tenant ",
    "+tenant",
    "",
    "x",
    "debu%67",
]
SAID = ["", "=", "=1", "==", "=%26debug=1", "=;debug", "=a+b", "=%31"]
pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(SAID)).map("".join)
parameters = st.lists(st.one_of(pairs, st.just("")), max_size=6).map("&".join)


@steady
@given(parameters)
def test_no_spelling_of_a_parameter_passes_its_rule(query: str) -> None:
    rule = {"use": "query", "remove": ["debug"], "set": {"tenant": "ours"}}
    with proxy(OK, routes=[a_route(rule)]) as front:
        got = ask(front, by_our_server(b"/?" + query.replace(" ", "%20").encode(), HOST))
        assert got is not None
        assert "debug" not in dict(got.query)
        assert [value for name, value in got.query if name == "tenant"] == ["ours"]


@steady
@given(parameters)
def test_no_spelling_of_a_parameter_slips_past_its_condition(query: str) -> None:
    routes = [
        a_route(),
        a_route(CLOSED, query={"debug": ["1", "a b"]}),
        a_route(CLOSED, query={"tenant": True}),
    ]
    with proxy(OK, routes=routes) as front:
        got = ask(front, by_our_server(b"/?" + query.replace(" ", "%20").encode(), HOST))
        assert got is None or not {("debug", "1"), ("debug", "a b")} & set(got.query)
        assert got is None or "tenant" not in dict(got.query)


FORGED = [b"X-User", b"x-user", b"X_User", b"x_USER", b"X-Debug", b"X_Debug", b"X-Route", b"X-Forwarded-For"]
OPTIONS = [
    "close",
    "X-User",
    "x-route",
    "X_User",
    "x-debug",
    "host",
    "x-forwarded-for",
    "via",
    ' "X-User"',
    "",
]
forgeries = st.lists(
    st.tuples(st.sampled_from(FORGED), st.sampled_from([b"root", b"", b"9.9.9.8"])), max_size=5
)
naming = st.lists(
    st.lists(st.sampled_from(OPTIONS), max_size=4).map(
        lambda names: (b"Connection", ", ".join(names).encode())
    ),
    max_size=3,
)


@steady
@given(st.sampled_from(SERVERS), forgeries, naming)
def test_no_client_forges_or_removes_a_field_of_a_rule(server: Server, forged: Any, naming: Any) -> None:
    rule = {"use": "headers", "request": {"set": {"X-User": "nobody"}, "remove": ["X-Debug"]}}
    with proxy(OK, routes=[a_route(rule, name="only")]) as front:
        got = ask(front, server(b"/", HOST, *forged, *naming))
        assert got is not None
        assert (got.values("x-user"), got.values("x-debug")) == (["nobody"], [])
        assert (got.values("x-route"), got.values("x-forwarded-for")) == (["only"], ["9.9.9.9"])
        assert got.values("host") == ["a"]
