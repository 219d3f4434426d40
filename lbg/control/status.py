"""What lbg is doing, summed over its workers from the shared cells."""

from __future__ import annotations

import os
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from lbg import __version__
from lbg.server.roles import Role
from lbg.state.layout import Header

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.control.documents import Documents
    from lbg.state.cells import Cells
    from lbg.state.document import Published


class Status:
    """Reads the cells; writes nothing."""

    def __init__(
        self,
        published: Published,
        cells: Cells,
        documents: Documents,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._snapshot = published.snapshot
        self._cells = cells
        self._documents = documents
        self._clock = clock

    def not_ready(self) -> str:
        """Return why requests cannot be served yet, nothing when they can."""
        roles = [list(Role)[role] for _, _, role, _ in self._cells.workers()]
        if roles and not any("public" in role.listeners for role in roles):
            return "No proxy worker has started yet."
        if self._cells.view[Header.CHECKED]:  # by this configuration, or by one before
            return ""
        checked, to_check = self._documents.first_round()
        if checked == to_check:
            return ""
        return f"The first round of health checks is not over: {checked} of {to_check} endpoints checked."

    def report(self) -> dict[str, Any]:
        """Return the document of `/api/v1/status`."""
        snapshot = self._snapshot
        return {
            "version": __version__,
            "config": {
                "source": snapshot.source,
                "generation": snapshot.generation,
                "digest": snapshot.digest,
            },
            "workers": [
                {"slot": slot, "pid": pid, "role": str(list(Role)[role]), "generation": generation}
                for slot, pid, role, generation in self._cells.workers()
            ],
            "control": self._control(),
            "pools": self._documents.pools(),
        }

    def _control(self) -> dict[str, Any]:
        """Return which process checks health, and how long it has been silent.

        During a reload there are two: the older one still has the right to write.
        """
        controls = [
            (generation, pid)
            for _, pid, role, generation in self._cells.workers()
            if "admin" in list(Role)[role].listeners
        ]
        beat = self._cells.view[Header.HEARTBEAT]
        age = max(0, self._clock() - beat) / 1e9 if beat else None
        return {
            "pid": min(controls)[1] if controls else os.getpid(),
            "heartbeat_age_seconds": None if age is None else round(age, 3),
        }
