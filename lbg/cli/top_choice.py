"""Which endpoints a screen shows that has no room for all: the worst ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Document = dict[str, Any]
Chosen = dict[str, list[Document]]

_RANKS: Final = ("down", "ejected", "trial", "stale", "unknown", "draining", "maint")


def choose(pools: Mapping[str, Document], numbers: Mapping[str, Document], rows: int | None) -> Chosen:
    """Return endpoints by the name of their pool, as many as fit `rows` with a row for each pool.

    All in the order of the configuration when they fit; else the worst first, by state, errors and latency.
    `numbers` are those of the API by `pool/endpoint`. `rows` None is no limit.
    """
    every = [endpoint for pool in pools.values() for endpoint in pool["endpoints"]]
    if rows is None or len(pools) + len(every) <= rows:
        return {name: pool["endpoints"] for name, pool in pools.items()}
    return _as_fit(sorted(every, key=lambda endpoint: _rank(endpoint, numbers)), rows)


def name_of(endpoint: Document) -> str:
    """Return what an endpoint is called in the numbers."""
    return f"{endpoint['pool']}/{endpoint['name']}"


def _as_fit(endpoints: Iterable[Document], rows: int) -> Chosen:
    chosen: Chosen = {}
    for endpoint in endpoints:
        rows -= 1 if endpoint["pool"] in chosen else 2
        if rows < 0:
            break
        chosen.setdefault(endpoint["pool"], []).append(endpoint)
    return chosen


def _rank(endpoint: Document, numbers: Mapping[str, Document]) -> tuple[int, float, float]:
    """Return what sorts the worst endpoint first."""
    state = endpoint["state"]
    rank = _RANKS.index(state) if state in _RANKS else len(_RANKS)
    its = numbers.get(name_of(endpoint), {})
    errors = (its.get("requests_per_second") or 0.0) * (its.get("error_rate") or 0.0)
    return rank, -errors, -(its.get("p95_ms") or 0.0)
