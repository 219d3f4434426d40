"""Whose id a request has, and under which names it travels."""

from typing import Any

import pytest

from tests.unit.filters.around import TRUSTED, Answer, Filtered


def _ask(*fields: tuple[str, str], peer: str = "192.0.2.1", **table: Any) -> Answer:
    return Filtered({"use": "request_id", **table}, [("x-request-id", "backend"), ("A", "b")]).ask(
        "/", *fields, peer=peer
    )


def _id(answer: Answer) -> str:
    request_id: str = answer.environ["lbg.exchange"].request_id
    return request_id


def test_the_client_is_told_the_id_in_place_of_what_the_backend_said() -> None:
    assert _ask().headers == [("A", "b"), ("X-Request-Id", "id-1")]


def test_the_response_can_be_left_alone() -> None:
    assert _ask(respond=False).values("x-request-id") == ["backend"]


@pytest.mark.parametrize("accept", [True, False])
def test_a_client_chooses_the_id_only_where_it_may(accept: bool) -> None:
    answer = _ask(("X-Request-Id", "mine"), accept=accept)
    assert _id(answer) == ("mine" if accept else "id-1")
    assert answer.values("x-request-id") == [_id(answer)]


@pytest.mark.parametrize("bad", ["", "two words", "x" * 129, "caf\xe9", "a\tb", "\x01"])
def test_an_id_that_cannot_be_one_is_not_accepted(bad: str) -> None:
    assert _id(_ask(("X-Request-Id", bad), accept=True)) == "id-1"


def test_the_longest_id_is_accepted() -> None:
    assert _id(_ask(("X-Request-Id", "x" * 128), accept=True)) == "x" * 128


def test_under_another_name_the_backend_gets_the_id_in_place_of_the_clients() -> None:
    answer = _ask(("X-Correlation-Id", "mine"), ("x-correlation-id", "other"), header="X-Correlation-Id")
    assert answer.sent("x-correlation-id") == ["id-1"]
    assert answer.values("x-correlation-id") == ["id-1"]
    assert answer.values("x-request-id") == ["backend"]


def test_another_name_is_where_a_client_chooses() -> None:
    fields = (("X-Request-Id", "usual"), ("X-Correlation-Id", "mine"))
    assert _id(_ask(*fields, header="X-Correlation-Id", accept=True)) == "mine"
    assert _id(_ask(fields[0], header="X-Correlation-Id", accept=True)) == "id-1"


def test_a_trusted_peer_is_believed_under_both_names() -> None:
    fields = (("X-Request-Id", "usual"), ("X-Correlation-Id", "theirs"))
    assert _id(_ask(*fields, peer=TRUSTED, header="X-Correlation-Id")) == "theirs"
    assert _id(_ask(fields[0], peer=TRUSTED, header="X-Correlation-Id")) == "usual"


def test_what_is_settled_is_not_replaced_further_on() -> None:
    answer = _ask(("X-Request-Id", "usual"), peer=TRUSTED, header="X-Correlation-Id")
    assert answer.sent("x-request-id") == []
