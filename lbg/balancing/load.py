"""How busy an endpoint is for its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbg.balancing.balancer import Candidate


def load(endpoint: Candidate) -> tuple[float, int]:
    """Return a key that sorts by (requests in flight + 1) / weight, then by how long ago it was taken."""
    return (endpoint.in_flight() + 1) / endpoint.effective_weight, endpoint.picked
