"""What routes ask of requests beyond host and path."""

from typing import Any

import pytest

from lbg.routing.conditions import conditions_of
from tests.unit.routing.requests import environ, route


def failures(keys: dict[str, Any], request: dict[str, str]) -> list[str]:
    """Return why the conditions of a route do not hold."""
    conditions = conditions_of(route(**keys))
    return [one.failure(request) for one in conditions if not one.holds(request)]


@pytest.mark.parametrize(
    ("methods", "method", "holds"),
    [
        (["GET"], "GET", True),
        (["GET"], "HEAD", True),
        (["GET"], "POST", False),
        (["GET"], "get", False),
        (["POST"], "HEAD", False),
        (["POST", "PUT"], "PUT", True),
    ],
)
def test_head_may_come_where_get_may(methods: list[str], method: str, holds: bool) -> None:
    assert (failures({"methods": methods}, environ(method)) == []) is holds


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("a", "ab", False),
        ("a", "a,a", False),
        ("a", None, False),
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        (["a", ""], "", True),
        (True, "", True),
        (True, None, False),
        (False, None, True),
        (False, "", False),
        ({"regex": "b+"}, "abbc", True),
        ({"regex": "^b+$"}, "abbc", False),
        ({"regex": ""}, "x", True),
        ({"regex": "b"}, None, False),
        ("é", "é".encode().decode("latin-1"), True),
        ({"regex": "^.$"}, "é".encode().decode("latin-1"), True),
    ],
)
def test_a_header_field_is_compared(condition: Any, value: str | None, holds: bool) -> None:
    request = environ() if value is None else environ(x_env=value)
    assert (failures({"headers": {"x-Env": condition}}, request) == []) is holds


def test_content_type_is_a_header_field_too() -> None:
    request = environ() | {"CONTENT_TYPE": "text/plain"}
    assert failures({"headers": {"Content-Type": "text/plain"}}, request) == []


@pytest.mark.parametrize(
    ("condition", "query", "holds"),
    [
        ("1", "q=1", True),
        ("1", "a=2&q=1", True),
        ("1", "q=2&q=1", True),
        ("1", "q=11", False),
        ("1", "Q=1", False),
        ("1", "", False),
        ("", "q", True),
        ("", "q=", True),
        ("", "a=", False),
        (True, "q", True),
        (True, "q=", True),
        (True, "a&b=q", False),
        (False, "", True),
        (False, "q", False),
        (["a b", "ü"], "q=a+b", True),
        (["a b", "ü"], "q=a%20b", True),
        (["a b", "ü"], "%71=%C3%BC", True),
        ({"regex": "^[0-9]+$"}, "q=x&q=12", True),
        ({"regex": "^[0-9]+$"}, "q=x", False),
        ({"regex": "^a.b$"}, "q=a%0Ab", True),
    ],
)
def test_any_value_of_a_query_parameter_will_do(condition: Any, query: str, holds: bool) -> None:
    assert (failures({"query": {"q": condition}}, environ(query=query)) == []) is holds


@pytest.mark.parametrize(
    ("condition", "value", "sentence"),
    [
        ("a", "b", 'header X-Env is "b", expected "a"'),
        (["a", "c"], None, 'header X-Env is absent, expected "a" or "c"'),
        (True, None, "header X-Env is absent"),
        (False, "b", 'header X-Env is "b", expected none'),
        ({"regex": "^a"}, "b", 'header X-Env is "b", expected what matches ^a'),
    ],
)
def test_it_is_told_what_fails(condition: Any, value: str | None, sentence: str) -> None:
    request = environ() if value is None else environ(x_env=value)
    assert failures({"headers": {"X-Env": condition}}, request) == [sentence]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token"])
@pytest.mark.parametrize("condition", ["hunter2", {"regex": "hunter2"}])
def test_what_may_be_a_secret_is_not_told(name: str, condition: Any) -> None:
    config = route(headers={name: condition})
    (only,) = conditions_of(config)
    assert "hunter" not in f"{only} {only.failure(environ() | {only.key: 'hunter3'})}"  # type: ignore[attr-defined]


def test_conditions_say_what_they_expect() -> None:
    config = route(
        methods=["GET", "PUT"],
        headers={"X-A": "1", "X-B": False, "X-C": {"regex": "^c"}},
        query={"q": ["1", "2"], "r": True},
    )
    assert [str(one) for one in conditions_of(config)] == [
        "method is GET or PUT",
        'header X-A is "1"',
        "header X-B is absent",
        "header X-C matches ^c",
        'query parameter q is "1" or "2"',
        "query parameter r is there",
    ]
