"""From the path as received to a route."""

import pytest

from lbg.errors import LocalReply
from lbg.routing.lookup import find_route
from tests.unit.routing.requests import environ, route, table_of

TABLE = table_of(route(name="all", host="a"), route(name="private", host="a", path="/private"))


@pytest.mark.parametrize(
    ("raw", "name", "path"),
    [("/x", "all", "/x"), ("/private/%61//b", "private", "/private/a/b"), ("/x/../y", "all", "/y")],
)
def test_a_route_and_the_normalised_path_are_found(raw: str, name: str, path: str) -> None:
    found, normalised = find_route(TABLE, "a", raw, environ())
    assert (found.name, normalised) == (name, path)


@pytest.mark.parametrize(
    ("host", "raw", "reason", "detail"),
    [
        ("a", "/..", "bad_request", "leaves the root"),
        ("a", "/%00", "bad_request", "leaves the root"),
        ("a", "/x/../private", "bad_request", "leaves its route"),
        ("a", "/x%2Fprivate%2F..", "bad_request", "leaves the root"),
        ("a", "/%2Fprivate", "bad_request", "leaves its route"),
        ("b", "/x", "no_route", "No route"),
    ],
)
def test_what_cannot_pass_is_refused_with_a_reason(host: str, raw: str, reason: str, detail: str) -> None:
    with pytest.raises(LocalReply, match=detail) as refused:
        find_route(TABLE, host, raw, environ())
    assert refused.value.reason.code == reason
