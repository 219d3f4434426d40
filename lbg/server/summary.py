"""What lbg says when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.state.layout import RESPONSES, Field, identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbg.state.cells import Cells
    from lbg.state.document import Published

Counts = tuple[int, int, int]
"""Requests answered, those of them with a 5xx, and failed attempts."""
Totals = dict[str, Counts]


def totals(published: Published, cells: Cells) -> Totals:
    """Return the counts of every endpoint that has a slot."""
    return {
        name: (
            sum(cells.total(slot, field) for field in RESPONSES),
            cells.total(slot, Field.RESPONSES_5XX),
            cells.total(slot, Field.FAILURES),
        )
        for name, slot in published.slots.items()
    }


def summary(published: Published, cells: Cells, before: Mapping[str, Counts]) -> str:
    """Return the requests answered since the totals were `before`, in all and by each endpoint.

    An endpoint that is not configured any more is named if it had any.
    """
    pools = published.snapshot.config.pools
    configured = {identity(name, each.address.text) for name in pools for each in pools[name].endpoints}
    lines = []
    answered = 0
    for name, now in totals(published, cells).items():
        requests, errors, failures = _since(before.get(name, (0, 0, 0)), now)
        answered += requests
        if requests or failures or name in configured:
            wrong = f", {errors} with 5xx" if errors else ""
            failed = f", {failures} failed attempts" if failures else ""
            lines.append(f"  {name}: {requests} requests{wrong}{failed}")
    return "\n".join([f"lbg answered {answered} requests from its endpoints", *lines])


def _since(before: Counts, now: Counts) -> Counts:
    """Return what came to `before`; all of `now` when the slot was another endpoint's meanwhile."""
    if any(one < other for one, other in zip(now, before, strict=True)):
        return now
    return now[0] - before[0], now[1] - before[1], now[2] - before[2]
