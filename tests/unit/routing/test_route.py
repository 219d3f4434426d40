"""The names of routes."""

from typing import Any

import pytest

from lbg.routing.table import routes_of
from tests.unit.routing.requests import route


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({}, "*/"),
        ({"host": "*.a", "path": "/x"}, "*.a/x"),
        ({"host": "a", "path_exact": "/x"}, "a=/x"),
        ({"path_regex": "/x[0-9]+"}, "*~/x[0-9]+"),
        ({"methods": ["GET", "PUT"], "headers": {"X-A": True}, "query": {"q": "1"}}, "*/:GET,PUT,X-A,?q"),
        ({"name": "mine", "path": "/x"}, "mine"),
    ],
)
def test_a_route_is_called_by_what_it_asks_for_unless_it_has_a_name(keys: dict[str, Any], name: str) -> None:
    (only,) = routes_of([route(**keys)])
    assert (only.name, only.index) == (name, 0)


def test_no_two_routes_have_the_same_name() -> None:
    configs = [route(headers={"X-A": value}) for value in "12345"]
    configs += [route(name="*/:X-A@2"), route(path="/x" * 100), route(path="/x" * 100 + "y")]
    names = [one.name for one in routes_of(configs)]
    assert names[:6] == ["*/:X-A", "*/:X-A@3", "*/:X-A@4", "*/:X-A@5", "*/:X-A@6", "*/:X-A@2"]
    assert len(set(names)) == len(names)


def test_a_made_up_name_is_short_and_forges_no_line_of_a_log() -> None:
    (only,) = routes_of([route(path_regex="/x\n" + "y" * 500)])
    assert "\n" not in only.name
    assert len(only.name) <= 110
