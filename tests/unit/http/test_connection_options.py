"""What `Connection` names, and what it cannot remove."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.headers import PROTECTED, connection_options, removable, without

CANNOT_BE_REMOVED = [
    b"host",
    b"content-length",
    b"via",
    b"x-request-id",
    b"forwarded",
    b"x-real-ip",
    b"cookie",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (b"close", {b"close"}),
        (b"Keep-Alive, X-A", {b"keep-alive", b"x-a"}),
        (b"x-a,x-b", {b"x-a", b"x-b"}),
        (b" \tX-A\t ,, ", {b"x-a"}),
        (b"", set()),
        (b",", set()),
    ],
)
def test_options_are_a_list_without_case(value: bytes, options: set[bytes]) -> None:
    assert connection_options(value) == options


def test_a_named_field_is_removable() -> None:
    assert removable(frozenset({b"x-a", b"authorization"})) == {b"x-a", b"authorization"}


@pytest.mark.parametrize("name", CANNOT_BE_REMOVED)
def test_connection_cannot_remove_what_tells_the_next_hop_who_asks(name: bytes) -> None:
    assert removable(frozenset({name})) == frozenset()


@pytest.mark.parametrize("option", [b"close", b"keep-alive", b"upgrade", b"te", b"transfer-encoding"])
def test_options_of_the_connection_itself_name_no_field(option: bytes) -> None:
    assert removable(frozenset({option})) == frozenset()


def test_protected_names_are_compared_in_lower_case() -> None:
    assert all(name == name.lower() for name in PROTECTED)


FIELDS = st.lists(st.tuples(st.sampled_from([b"X-A", b"x-a", b"X-B", b"x-C"]), st.binary(max_size=3)))


@settings(deadline=None)
@given(FIELDS)
def test_removing_keeps_order_and_repeats_of_the_others(fields: list[tuple[bytes, bytes]]) -> None:
    left = without(fields, frozenset({b"x-a"}))
    assert left == [(name, value) for name, value in fields if name not in {b"X-A", b"x-a"}]
