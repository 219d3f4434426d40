"""Which response fields pass to the client, which end at the proxy."""

import pytest

from lbg.http.headers import REMEMBERED, ResponseRules, Rule
from tests.unit.http.test_request_rules import HOP_BY_HOP


@pytest.fixture
def rules() -> ResponseRules:
    return ResponseRules(underscores=False)


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_a_hop_by_hop_field_does_not_simply_pass(rules: ResponseRules, name: bytes) -> None:
    for form in (name, name.lower(), name.upper()):
        assert isinstance(rules[form], Rule)
        assert rules[form] is not Rule.PASS


@pytest.mark.parametrize(
    "name", [b"Set-Cookie", b"SERVER", b"date", b"Via", b"WWW-Authenticate", b"Trailers"]
)
def test_an_end_to_end_field_passes_in_its_own_case(rules: ResponseRules, name: bytes) -> None:
    assert rules[name] == name.decode()


def test_a_name_with_an_underscore_is_dropped(rules: ResponseRules) -> None:
    assert rules[b"X_A"] is Rule.DROP


def test_underscores_pass_when_allowed() -> None:
    assert ResponseRules(underscores=True)[b"X_A"] == "X_A"


def test_content_length_is_read(rules: ResponseRules) -> None:
    assert rules[b"content-LENGTH"] is Rule.CONTENT_LENGTH


def test_strange_names_do_not_fill_the_memory(rules: ResponseRules) -> None:
    for number in range(REMEMBERED + 100):
        rules[b"x-%d" % number]
    assert len(rules) == REMEMBERED
    assert rules[b"x-%d" % REMEMBERED] == f"x-{REMEMBERED}"
