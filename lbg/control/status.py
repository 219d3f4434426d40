"""What lbg is doing, summed over its workers from the shared cells."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from lbg import __version__
from lbg.server.roles import Role
from lbg.state.layout import Header

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.control.documents import Documents
    from lbg.control.live_config import Failure
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
        *,
        failure: Callable[[], Failure | None] = lambda: None,
    ) -> None:
        self._amendments = published.amendments
        self._failure = failure
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
        return {
            "version": __version__,
            "config": self._config(),
            "master": self._master(),
            "workers": [
                {"slot": slot, "pid": pid, "role": str(list(Role)[role]), "generation": generation}
                for slot, pid, role, generation in self._cells.workers()
            ],
            "control": self._control(),
            "pools": self._documents.pools(),
        }

    def _config(self) -> dict[str, Any]:
        snapshot, failure = self._snapshot, self._failure()
        return {
            "source": snapshot.source,
            "generation": snapshot.generation,
            "digest": snapshot.digest,
            **self._amendments.names(),
            "error": None if failure is None else _error(failure),
        }

    def _master(self) -> int | None:
        """Return the pid that takes signals, None where no master of ours started this process."""
        pids = {pid for _, pid, _, _ in self._cells.workers()}
        return os.getppid() if os.getpid() in pids else None

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


def _error(failure: Failure) -> dict[str, Any]:
    since = datetime.fromtimestamp(failure.since, UTC).isoformat(timespec="seconds")
    return {"since": since.replace("+00:00", "Z"), "mistakes": list(failure.mistakes)}
