"""Rules for query parameters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.filters.around import Filtered, environ_of


def _target(before: str, **rules: Any) -> str:
    """Return the target that goes upstream, after a look that all keys of the environ agree."""
    filtered = Filtered({"use": "query", **rules})
    filtered.call(environ_of(before))
    (environ,) = filtered.seen
    target: str = environ["lbg.raw_target"].decode("latin-1")
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == target
    assert environ["QUERY_STRING"] == target.partition("?")[2]
    return target


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/x", "/x?a=1"),
        ("/x?", "/x?a=1"),
        ("/x?b=2", "/x?b=2&a=1"),
        ("/x?a=2", "/x?a=2&a=1"),
        ("/x?b=2&", "/x?b=2&&a=1"),
        ("/x?&&", "/x?&&&a=1"),
        ("/x?b=%zz&c=+&D", "/x?b=%zz&c=+&D&a=1"),
        ("/x?b?c", "/x?b?c&a=1"),
    ],
)
def test_a_parameter_is_added(before: str, after: str) -> None:
    assert _target(before, add={"a": "1"}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/x", "/x?a=1"),
        ("/x?a=2", "/x?a=1"),
        ("/x?a", "/x?a=1"),
        ("/x?b=1&a=2&c=3&a=4&d", "/x?b=1&a=1&c=3&d"),
        ("/x?%61=2", "/x?a=1"),
        ("/x?aa=2&ba=3", "/x?aa=2&ba=3&a=1"),
        ("/x?A=2", "/x?A=2&a=1"),
        ("/x?b=a=3", "/x?b=a=3&a=1"),
    ],
)
def test_a_parameter_that_is_set_takes_the_place_of_the_first_of_its_name(before: str, after: str) -> None:
    assert _target(before, set={"a": "1"}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/x", "/x"),
        ("/x?", "/x?"),
        ("/x?a=1", "/x"),
        ("/x?a", "/x"),
        ("/x?a=", "/x"),
        ("/x?a=1&a=2&a", "/x"),
        ("/x?b=%2f&a=1&c=+%zz", "/x?b=%2f&c=+%zz"),
        ("/x?a=1&b", "/x?b"),
        ("/x?b&a=1", "/x?b"),
        ("/x?b&a=1&", "/x?b&"),
        ("/x?&a=1&&b", "/x?&&b"),
        ("/x?%61=1&b", "/x?b"),
        ("/x?ab=1", "/x?ab=1"),
        ("/x?b=a", "/x?b=a"),
        ("/x?b;a=1", "/x?b;a=1"),
        ("*", "*"),
    ],
)
def test_parameters_are_removed_and_the_rest_stays_byte_for_byte(before: str, after: str) -> None:
    assert _target(before, remove=["a"]) == after


@pytest.mark.parametrize(
    "written", ["caf\xc3\xa9+b", "caf%C3%A9%20b", "c%61f%c3%a9+b", "%63%61%66%C3%a9%20%62"]
)
def test_names_are_compared_decoded(written: str) -> None:
    assert _target(f"/x?{written}=1&b", remove=["café b"]) == "/x?b"


@pytest.mark.parametrize("name", ["a.b", "a[]", "a+b", "a&b", "a=b", "(a", "a|b", "%61", "^a$"])
def test_names_are_no_patterns(name: str) -> None:
    from urllib.parse import quote

    assert _target(f"/x?{quote(name)}=1&axb=2&a=3", remove=[name]) == "/x?axb=2&a=3"
    assert _target("/x?axb=2&a=3", remove=[name]) == "/x?axb=2&a=3"


def test_names_and_values_are_escaped() -> None:
    target = _target("/x?q=%41%26b", add={"a b": "{query:q}&=é"})
    assert target == "/x?q=%41%26b&a%20b=A%26b%26%3D%C3%A9"


def test_a_value_is_escaped_once() -> None:
    assert _target("/a%20b?x=c%2fd", set={"x": "{path}{query:x}"}) == "/a%20b?x=/a%20bc/d"


def test_rules_read_the_query_as_it_came() -> None:
    assert _target("/x?a=1&b=2", set={"a": "{query:b}", "b": "{query:a}"}) == "/x?a=2&b=1"


def test_a_rule_whose_variables_leave_nothing_only_removes() -> None:
    assert _target("/x?a=1&b", set={"a": "{header:X-None}"}, add={"c": "{cookie:none}"}) == "/x?b"


def test_an_empty_constant_is_sent() -> None:
    assert _target("/x?a=1", set={"a": ""}) == "/x?a="


def test_a_target_that_is_no_path_has_no_query() -> None:
    assert _target("*", add={"a": "1"}) == "*"


def test_under_another_server_the_target_is_put_together() -> None:
    environ = environ_of("/x?b=2")
    for key in ("lbg.raw_target", "RAW_URI", "REQUEST_URI"):
        del environ[key]
    filtered = Filtered({"use": "query", "add": {"a": "1"}})
    filtered.call(environ)
    assert environ["lbg.raw_target"] == b"/x?b=2&a=1"


@given(st.text(st.characters(max_codepoint=255, exclude_characters="#"), max_size=60))
def test_any_query_without_the_name_stays_as_it_is(query: str) -> None:
    target = f"/x?{query}"
    assert _target(target, remove=["a name that nobody sends"]) == target
