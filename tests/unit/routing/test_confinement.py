"""No spelling of a path reaches a route's backend as a path of another route."""

import pytest
from hypothesis import example, given, settings

from lbg.errors import LocalReply
from lbg.routing.lookup import find_route
from lbg.routing.table import Route, RouteTable
from tests.unit.routing.backends import BACKENDS, RAW, seen_by
from tests.unit.routing.requests import environ, route, table_of

OPEN = table_of(
    route(name="all"),
    route(name="admin", path="/admin"),
    route(name="public", path="/public"),
    route(name="deep", path="/public/a/admin"),
    route(name="exact", path_exact="/public/a"),
    route(name="pattern", path_regex="/(a|b)/[0-9]+"),
)
CLOSED = table_of(route(name="public", path="/public"))


def passed(table: RouteTable, raw: str) -> Route | None:
    """Return the route that lets a path as received pass, None where it is refused."""
    try:
        return find_route(table, "", raw, environ())[0]
    except LocalReply:
        return None


TRICKS = [
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/%2E./admin",
    "/public/..%2fadmin",
    "/public%2f..%2Fadmin",
    "/public%2Fa%2fadmin",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/;/../admin",
    "/public;/../admin",
    "/public/%3b/..%3B/admin",
    "//admin",
    "/%2Fadmin",
    "/./admin",
    "/%2e/admin",
    "/x/..//admin",
    "/x%2f../admin",
    "/public\\..\\admin",
    "/public/%5c../admin",
    "/%5Cadmin",
    "/admin/%2e%2e/%2e%2e/x",
    "/x/admin/%2e%2e/../y",
    "/c/../admin/b/%2e%2e/%2e%2e/c",
    "/admin;x",
    "/admin%3bx",
    "/..",
    "/%2e%2e",
    "/a%00/../admin",
    "/public/a/",
    "/a/1/../../admin/",
    "/a/1%2f",
]


def leak(table: RouteTable, raw: str) -> str:
    """Return which backend sees a path of another route, "" when none does."""
    found = passed(table, raw)
    if found is None:
        return ""
    for name in BACKENDS:
        seen = seen_by(name, raw)
        if table.match("", seen, environ()) is not found:
            return f"{name}: {raw} passes by {found.name} and is seen as {seen}"
    return ""


@pytest.mark.parametrize("raw", TRICKS)
def test_no_known_trick_slips_past_a_route(raw: str) -> None:
    assert leak(OPEN, raw) == ""
    assert leak(CLOSED, raw) == ""


@settings(deadline=None, max_examples=1000)
@given(RAW)
@example("/public%2Fa/../../admin")
def test_no_spelling_slips_past_a_route(raw: str) -> None:
    assert leak(OPEN, raw) == ""
    assert leak(CLOSED, raw) == ""


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("/public/x%2Fy", "public"),
        ("/public//x", "public"),
        ("/public/x/../y;v=1", "public"),
        ("/%70ublic/x%20y", "public"),
        ("/public/http://a/b", "public"),
        ("/x;v=1//y", "all"),
        ("/a/%31", "pattern"),
        ("/caf%C3%A9", "all"),
    ],
)
def test_what_every_backend_reads_as_one_route_passes(raw: str, name: str) -> None:
    found = passed(OPEN, raw)
    assert found is not None
    assert found.name == name
