"""Rules for the fields of requests and responses."""

from typing import Any

import pytest

from tests.unit.filters.around import Filtered


def _request(**rules: Any) -> Filtered:
    return Filtered({"use": "headers", "request": rules})


def _response(*headers: tuple[str, str], **rules: Any) -> Filtered:
    return Filtered({"use": "headers", "response": rules}, headers)


def test_a_field_of_a_request_is_set_in_place_of_all_it_has() -> None:
    answer = _request(set={"X-A": "new"}).ask("/", ("x-a", "1"), ("X-B", "2"), ("X-A", "3"))
    assert answer.sent("x-a") == ["new"]
    assert answer.environ["HTTP_X_A"] == "new"
    assert answer.sent("x-b") == ["2"]


def test_a_value_is_added_to_a_field_of_a_request() -> None:
    answer = _request(add={"X-A": "new"}).ask("/", ("X-A", "1"))
    assert answer.sent("x-a") == ["1", "new"]
    assert answer.environ["HTTP_X_A"] == "1,new"


def test_fields_of_a_request_are_removed_in_every_way_of_writing_them() -> None:
    answer = _request(remove=["X-A-B"]).ask("/", ("x-a-b", "1"), ("X_A_B", "2"), ("X-A", "3"))
    assert answer.sent("x-a-b") == answer.sent("x_a_b") == []
    assert "HTTP_X_A_B" not in answer.environ
    assert answer.sent("x-a") == ["3"]


def test_rules_remove_then_set_then_add() -> None:
    answer = _request(add={"X-A": "3"}, set={"X-A": "2"}, remove=["X-A"]).ask("/", ("X-A", "1"))
    assert answer.sent("x-a") == ["2", "3"]


def test_a_rule_may_read_what_another_removes() -> None:
    answer = _request(set={"X-New": "{header:X-Old}"}, remove=["X-Old"]).ask("/", ("X-Old", "1"))
    assert (answer.sent("x-new"), answer.sent("x-old")) == (["1"], [])


def test_a_rule_whose_variables_leave_nothing_only_removes() -> None:
    rules = {"set": {"X-A": "{query:none}"}, "add": {"X-B": "{cookie:none}"}}
    answer = _request(**rules).ask("/", ("X-A", "the client's own"))
    assert answer.sent("x-a") == answer.sent("x-b") == []


def test_an_empty_constant_is_sent() -> None:
    assert _request(set={"X-A": ""}).ask().sent("x-a") == [""]


def test_host_is_set_for_the_backend() -> None:
    answer = _request(set={"host": "{query:to}:81"}).ask("/?to=b.example", ("Host", "a"))
    assert answer.sent("host") == ["b.example:81"]
    assert answer.environ["HTTP_HOST"] == "b.example:81"


@pytest.mark.parametrize(
    "query",
    ["", "to=", "to=a/b", "to=a@b", "to=a:99999", "to=:80", "to=[::1", "to=a,b", "to=a:1:2"],
)
def test_a_host_that_cannot_be_one_is_an_error_of_the_filter(query: str) -> None:
    filtered = _request(set={"Host": "{query:to}"})
    answer = filtered.ask(f"/?{query}")
    assert (answer.code, answer.reason, filtered.seen) == (500, "filter_error", [])


@pytest.mark.parametrize("target", ["/%0d%0aX-Evil:%201", "/?q=%0d%0aX-Evil:%201", "/?q=%00", "/?q=%80%ff"])
def test_no_value_can_begin_another_field(target: str) -> None:
    answer = _request(set={"X-Path": "{path}", "X-Query": "{query:q}", "X-Uri": "{uri}"}).ask(target)
    for name in ("x-path", "x-query", "x-uri"):
        assert all(value.isascii() and value.isprintable() for value in answer.sent(name))


@pytest.mark.parametrize("said", ["x-user", "close, X-USER", "keep-alive,x-user ,x-other"])
def test_a_client_cannot_have_a_field_removed_that_a_rule_sets(said: str) -> None:
    answer = _request(set={"X-User": "me"}).ask("/", ("Connection", said), ("X-User", "root"))
    assert answer.sent("x-user") == ["me"]
    assert "x-user" not in ",".join(answer.sent("connection")).lower()


def test_a_field_of_a_response_is_set_in_place_of_all_it_has() -> None:
    filtered = _response(("server", "b"), ("X-B", "1"), ("Server", "c"), set={"Server": "lbg"})
    assert filtered.ask().headers == [("X-B", "1"), ("Server", "lbg")]


def test_response_rules_remove_then_set_then_add() -> None:
    filtered = _response(("X-A", "1"), ("X-B", "2"), remove=["x-b"], set={"X-A": "3"}, add={"X-A": "4"})
    assert filtered.ask().headers == [("X-A", "3"), ("X-A", "4")]


def test_a_value_is_added_beside_those_of_a_response() -> None:
    assert _response(("Vary", "A"), add={"Vary": "B"}).ask().values("vary") == ["A", "B"]


def test_response_rules_know_status_and_request() -> None:
    table = {"use": "headers", "response": {"set": {"X-A": "{status} {method} {header:User-Agent} {pool}."}}}
    answer = Filtered(table, status="404 Not Found").ask("/", ("User-Agent", "curl"))
    assert answer.values("x-a") == ["404 GET curl ."]


def test_a_response_rule_whose_variables_leave_nothing_sets_nothing() -> None:
    assert _response(("X-A", "1"), set={"X-A": "{endpoint}"}).ask().headers == []


def test_replies_made_further_inside_get_the_fields_too() -> None:
    answer = Filtered(
        {"use": "headers", "response": {"set": {"X-Frame-Options": "DENY"}}}, status="502 Bad Gateway"
    ).ask()
    assert (answer.code, answer.values("x-frame-options")) == (502, ["DENY"])


def test_the_body_is_the_very_object_the_application_returned() -> None:
    body = [b"ok"]
    filtered = Filtered({"use": "headers", "response": {"set": {"A": "b"}}}, answer=lambda _: body)
    environ = filtered.ask().environ
    assert filtered.filter(environ, lambda *_: None) is body


def test_exc_info_reaches_the_server() -> None:
    filtered = Filtered({"use": "headers", "response": {"set": {"A": "b"}}})
    calls: list[tuple[Any, ...]] = []
    info = (ValueError, ValueError(), None)
    environ = filtered.ask().environ
    filtered.filter._app = lambda _, start: start("500 Oh", [], info) or []
    filtered.filter(environ, lambda *args: calls.append(args))
    assert calls == [("500 Oh", [("A", "b")], info)]
