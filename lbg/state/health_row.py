"""The row of one endpoint in the cell file, as the control worker writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.state.layout import Admin, Ejection, Health, HealthField, health_row

if TYPE_CHECKING:
    from lbg.state.cells import Cells


class HealthRow:
    """Numbers by HealthField. Nobody sees a change for certain before `Cells.changed`."""

    __slots__ = ("_first", "_view")

    def __init__(self, cells: Cells, slot: int) -> None:
        self._view = cells.view
        self._first = health_row(slot)

    def __repr__(self) -> str:
        return f"<HealthRow {self.health.name} {self.ejection.name}>"

    def __getitem__(self, field: HealthField) -> int:
        return self._view[self._first + field]

    def __setitem__(self, field: HealthField, value: int) -> None:
        self._view[self._first + field] = value

    def add(self, field: HealthField) -> None:
        """Count one more."""
        self._view[self._first + field] += 1

    @property
    def health(self) -> Health:
        """What active checks say."""
        return Health(self[HealthField.HEALTH])

    @property
    def ejection(self) -> Ejection:
        """What passive detection says."""
        return Ejection(self[HealthField.EJECTION])

    @property
    def admin(self) -> Admin:
        """What an operator says."""
        return Admin(self[HealthField.ADMIN])

    @property
    def usable(self) -> bool:
        """Whether requests of any client may go to the endpoint."""
        in_service = self.admin is Admin.READY and self.ejection is Ejection.NONE
        return in_service and self.health is not Health.DOWN
