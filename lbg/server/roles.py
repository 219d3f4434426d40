"""Which worker does what: one controls, the others proxy; with one in all, it does both.

The arbiter trims the workers with the smallest `age` first, at TTOU and after a reload. The
control worker therefore gets the greatest age there is, and the one it replaces the smallest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

OLDEST: Final = -1
YOUNGEST: Final = float("inf")


class Role(StrEnum):
    """What a worker serves."""

    CONTROL = "control"
    PROXY = "proxy"
    COMBINED = "combined"

    @property
    def number(self) -> int:
        """How the cells write it."""
        return list(Role).index(self)

    @property
    def listeners(self) -> frozenset[str]:
        """The names of the listeners it serves."""
        return _LISTENERS[self]


_LISTENERS: Final = {
    Role.CONTROL: frozenset({"admin"}),
    Role.PROXY: frozenset({"public"}),
    Role.COMBINED: frozenset({"admin", "public"}),
}


def assign(
    worker: Any, siblings: Iterable[Any], generation: int, workers: int, taken: Iterable[int] = ()
) -> None:
    """Give `worker`, about to be forked, its role, its slot and its age.

    `siblings` are the live workers, `generation` counts reloads, `workers` is how many there shall
    be. The slots in `taken` belong to workers of another master. A worker of another class than ours serves
    every listener, so the one that controls does both.
    """
    alive = list(siblings)
    worker.generation = generation
    used = {sibling.slot for sibling in alive} | set(taken)
    worker.slot = next(slot for slot in range(len(used) + 1) if slot not in used)
    controls = [sibling for sibling in alive if "admin" in sibling.role.listeners]
    if any(control.generation == generation for control in controls):
        worker.role = Role.PROXY
        return
    both = workers == 1 or not getattr(worker, "keeps_to_its_role", False)
    worker.role = Role.COMBINED if both else Role.CONTROL
    worker.age = YOUNGEST
    for control in controls:
        control.age = OLDEST
