"""Finds traces in the memory of all workers, and tells of each in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lbg.state.trace_layout import LONGEST
from lbg.telemetry.trace_advice import advice
from lbg.telemetry.trace_sentence import sentence
from lbg.telemetry.trace_steps import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.state.trace_memory import Place, TraceMemory

Document = dict[str, Any]

KINDS: Final = ("failed", "refused", "slow", "sampled")
_BRIEF: Final = (
    "kind",
    "method",
    "host",
    "path",
    "status",
    "reason",
    "route",
    "pool",
    "endpoint",
    "took_ms",
)
_FULL: Final = ("filters", "candidates", "attempts", "queue_ms", "setting", "trace_id")


class TraceReader:
    """Reads what workers write; `pause` is called between workers, so that others have their turn."""

    def __init__(self, memory: TraceMemory, pause: Callable[[], None]) -> None:
        self._memory = memory
        self._pause = pause

    def latest(self, limit: int, wanted: Callable[[Document], bool]) -> list[Document]:
        """Return up to `limit` of those that are wanted, in brief, the latest first."""
        found: list[Document] = []
        for number, place in enumerate(sorted(self._places(), reverse=True)):
            if len(found) == limit:
                break
            if number % 100 == 99:
                self._pause()
            stored = self._stored(place)
            if stored is not None and wanted(stored):
                found.append(brief(stored))
        return found

    def find(self, request_id: str) -> Document | None:
        """Return all of the latest trace with this id, None when it is not kept."""
        begins = _beginning(request_id)
        for place in sorted(self._places(), reverse=True):
            if self._memory.read(place, len(begins)) == begins:
                stored = self._stored(place)
                if stored is not None:
                    return full(stored, place.worker)
        return None

    def oldest(self) -> float | None:
        """Return since when failed requests may be found, UNIX seconds; None without any."""
        return min((place.at / 1e9 for place in self._places()), default=None)

    def left_out(self) -> int:
        """Return how many were not kept because too many failed in the same way."""
        return self._memory.left_out()

    def _places(self) -> Iterator[Place]:
        for worker in self._memory.workers():
            yield from self._memory.places(worker)
            self._pause()

    def _stored(self, place: Place) -> Document | None:
        data = self._memory.read(place, LONGEST)
        if data is None:
            return None
        document: Document = json.loads(data)
        return document


def _beginning(request_id: str) -> bytes:
    return f'{{"id":{json.dumps(request_id)},'.encode("ascii", "replace")


def brief(stored: Document) -> Document:
    """Return the document of a list."""
    at = datetime.fromtimestamp(stored["at"], UTC).isoformat(timespec="milliseconds")
    document = {"id": stored["id"], "at": at.replace("+00:00", "Z")}
    return document | {name: stored[name] for name in _BRIEF} | {"sentence": sentence(stored)}


def full(stored: Document, worker: int) -> Document:
    """Return all that is told of one; `worker` is the slot of the process that served it."""
    told = {name: stored[name] for name in _FULL}
    return brief(stored) | told | {"advice": advice(stored), "worker": worker, "steps": steps(stored)}
