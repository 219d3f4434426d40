"""The contract between a pool and its balancing policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class Candidate(Protocol):
    """What a policy sees of an endpoint; the contract for policies of the user, too, who must not change it.

    `name` is its address, such as `10.0.0.7:8080`, and the same in every process. `weight` is the configured
    weight; `effective_weight` is the one to go by: greater than 0, a fraction during slow start, and
    what an operator has set at run time. `picked` rises with each time this worker took the endpoint: the
    lowest is the one not picked for longest.
    """

    name: str
    effective_weight: float
    picked: int

    @property
    def weight(self) -> float:
        """The configured weight."""

    def in_flight(self) -> int:
        """Return the requests in flight, over all workers."""


E_co = TypeVar("E_co", bound=Candidate, covariant=True)


class Balancer(Protocol[E_co]):
    """Ranks one fixed set of endpoints; built anew when the set, or a weight, changes."""

    def order(self, key: bytes | None, now: float) -> Iterator[E_co]:
        """Yield endpoints, best first, each once. `now` is CLOCK_MONOTONIC seconds."""
