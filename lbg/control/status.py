"""What lbg is doing, summed over its workers from the shared cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg import __version__
from lbg.server.roles import Role
from lbg.state.layout import Field, identity

if TYPE_CHECKING:
    from lbg.state.cells import Cells
    from lbg.state.document import Published


class Status:
    """Reads the cells; writes nothing."""

    def __init__(self, published: Published, cells: Cells) -> None:
        self._published = published
        self._cells = cells

    def not_ready(self) -> str:
        """Return why requests cannot be served yet, nothing when they can."""
        roles = [list(Role)[role] for _, _, role, _ in self._cells.workers()]
        if roles and not any("public" in role.listeners for role in roles):
            return "No proxy worker has started yet."
        return ""

    def report(self) -> dict[str, Any]:
        """Return the document of `/api/v1/status`."""
        snapshot = self._published.snapshot
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
            "pools": {name: self._pool(name) for name in snapshot.config.pools},
        }

    def _pool(self, name: str) -> dict[str, Any]:
        endpoints = []
        for endpoint in self._published.snapshot.config.pools[name].endpoints:
            slot = self._published.slots[identity(name, endpoint.address.text)]
            counts = {field.name.lower(): self._cells.total(slot, field) for field in Field}
            endpoints.append({"url": endpoint.url, "weight": endpoint.weight, **counts})
        return {"endpoints": endpoints}
