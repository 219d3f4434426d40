"""The row of one endpoint, as the control worker writes it."""

import pytest

from lbg.state.cells import Cells
from lbg.state.health_row import HealthRow
from lbg.state.layout import ENDPOINT_SLOTS, HEALTH_FIELDS, Admin, Ejection, Health, HealthField, health_row


def test_a_new_row_knows_nothing() -> None:
    row = HealthRow(Cells.private(), 0)
    assert (row.health, row.ejection, row.admin) == (Health.UNKNOWN, Ejection.NONE, Admin.READY)
    assert [row[field] for field in HealthField] == [0] * HEALTH_FIELDS


@pytest.mark.parametrize("slot", [0, 7, ENDPOINT_SLOTS - 1])
def test_every_field_has_a_cell_of_its_own_in_the_row_of_its_slot(slot: int) -> None:
    cells = Cells.private()
    row = HealthRow(cells, slot)
    for field in HealthField:
        row[field] = 100 + field
    first = health_row(slot)
    assert list(cells.view[first : first + HEALTH_FIELDS]) == [100 + field for field in HealthField]


def test_rows_do_not_touch_each_other() -> None:
    cells = Cells.private()
    rows = [HealthRow(cells, slot) for slot in range(3)]
    for field in HealthField:
        rows[1][field] = 9
    assert [row[field] for row in (rows[0], rows[2]) for field in HealthField] == [0] * 2 * HEALTH_FIELDS


def test_two_views_of_a_slot_see_the_same() -> None:
    cells = Cells.private()
    HealthRow(cells, 2)[HealthField.COUNT] = 4
    assert HealthRow(cells, 2)[HealthField.COUNT] == 4


def test_counts_go_up_one_by_one() -> None:
    row = HealthRow(Cells.private(), 0)
    for _ in range(3):
        row.add(HealthField.CHECKS_FAILED)
    assert row[HealthField.CHECKS_FAILED] == 3


@pytest.mark.parametrize(
    ("health", "ejection", "usable"),
    [
        (Health.UNKNOWN, Ejection.NONE, True),
        (Health.UP, Ejection.NONE, True),
        (Health.DOWN, Ejection.NONE, False),
        (Health.UP, Ejection.EJECTED, False),
        (Health.UP, Ejection.TRIAL, False),
        (Health.UNKNOWN, Ejection.EJECTED, False),
        (Health.DOWN, Ejection.EJECTED, False),
    ],
)
def test_requests_may_go_to_what_is_neither_down_nor_ejected(
    health: Health, ejection: Ejection, usable: bool
) -> None:
    row = HealthRow(Cells.private(), 0)
    row[HealthField.HEALTH] = health
    row[HealthField.EJECTION] = ejection
    assert row.usable is usable


@pytest.mark.parametrize("admin", [Admin.DRAIN, Admin.MAINT])
def test_requests_may_not_go_to_what_an_operator_keeps_them_from(admin: Admin) -> None:
    row = HealthRow(Cells.private(), 0)
    row[HealthField.HEALTH], row[HealthField.ADMIN] = Health.UP, admin
    assert (row.admin, row.usable) == (admin, False)


def test_writing_alone_tells_nobody_and_raises_no_epoch() -> None:
    cells = Cells.private()
    HealthRow(cells, 0)[HealthField.HEALTH] = Health.DOWN
    before = list(cells.view[:8])
    HealthRow(cells, 0)[HealthField.HEALTH] = Health.UP
    assert list(cells.view[:8]) == before


def test_the_repr_tells_health_and_ejection() -> None:
    row = HealthRow(Cells.private(), 0)
    row[HealthField.HEALTH], row[HealthField.EJECTION] = Health.UP, Ejection.TRIAL
    assert repr(row) == "<HealthRow UP TRIAL>"
