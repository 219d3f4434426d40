"""The contract between a pool and its balancing policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class Candidate(Protocol):
    """What a policy needs to know of an endpoint.

    `effective_weight` is greater than 0 and a fraction during slow start. `picked` rises with each
    time this worker took the endpoint: the lowest is the one not picked for longest.
    """

    effective_weight: float
    picked: int

    def in_flight(self) -> int:
        """Return the requests in flight, over all workers."""


E_co = TypeVar("E_co", bound=Candidate, covariant=True)


class Balancer(Protocol[E_co]):
    """Ranks one fixed set of endpoints; built anew when the set, or a weight, changes."""

    def order(self, key: bytes | None, now: float) -> Iterator[E_co]:
        """Yield endpoints, best first, each once. `now` is CLOCK_MONOTONIC seconds."""
