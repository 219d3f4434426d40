"""The contract between a pool and its balancing policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class Weighted(Protocol):
    """What a policy needs to know of an endpoint."""

    weight: int


E_co = TypeVar("E_co", bound=Weighted, covariant=True)


class Balancer(Protocol[E_co]):
    """Ranks one fixed set of endpoints; built anew when the set changes."""

    def order(self, key: bytes | None, now: float) -> Iterator[E_co]:
        """Yield endpoints, best first, each once. `now` is CLOCK_MONOTONIC seconds."""
