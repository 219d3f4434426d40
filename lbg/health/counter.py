"""How many checks in a row turn an endpoint up or down: HAProxy's counter (its `rise` and `fall`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthCounter:
    """The rule for one pool; the count itself, 0 to `full`, is kept by the caller for each endpoint.

    A count from `rise` on is up. `fall` checks must fail in a row to bring down what is fully up,
    and `rise` must pass in a row to bring up what is fully down. Both are at least 1.
    """

    rise: int
    fall: int

    @property
    def full(self) -> int:
        """The count of an endpoint that is fully up."""
        return self.rise + self.fall - 1

    @property
    def start(self) -> int:
        """The count before the first check: up, and one failure from down."""
        return self.rise

    def observe(self, count: int, passed: bool) -> int:
        """Return the count after one more check."""
        if passed:
            return count + 1 if count + 1 < self.rise else self.full
        return count - 1 if count > self.rise else 0

    def is_up(self, count: int) -> bool:
        """Return whether requests may go to an endpoint with this count."""
        return count >= self.rise

    def is_settled(self, count: int) -> bool:
        """Return whether the endpoint is fully up or fully down; in between it is checked more often."""
        return count in (0, self.full)

    def doubtful(self, *, up: bool) -> int:
        """Return the count of an endpoint that is up, or down, and one check from the opposite."""
        return self.rise if up else self.rise - 1

    def clamp(self, count: int, up: bool | None = None) -> int:
        """Return the count nearest to one that was kept under another `rise` or `fall`.

        `up` says what the endpoint was then, and is kept: a new rule alone flips no endpoint.
        """
        least = self.rise if up else 0
        most = self.rise - 1 if up is False else self.full
        return min(max(count, least), most)
