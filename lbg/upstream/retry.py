"""Whether a failed attempt is tried again: one table, no I/O (RFC 9110 section 9.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lbg.errors import Sent

if TYPE_CHECKING:
    from lbg.errors import UpstreamError

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

# Failures after which the endpoint may still be busy with the request: never tried elsewhere unasked.
_MAY_BE_RUNNING: Final = frozenset({"response_timeout", "bad_response"})


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. `free` tries cost no attempt and go to the same endpoint on a new connection."""

    free: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer the client with the failure; `why` says in words why there is no further try."""

    why: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many endpoints one request may try."""

    attempts: int = 3

    def decide(
        self, method: str, failure: UpstreamError, attempt: int, *, replayable: bool
    ) -> Retry | GiveUp:
        """Return what follows `failure` of the `attempt`-th try (from 1) of a request with `method`.

        `replayable` tells whether the request's body, if any, can be sent once more.
        """
        if failure.sent is Sent.ANSWERED:
            return GiveUp("the response had begun")
        if failure.sent is Sent.WRITTEN:
            if failure.reason.code in _MAY_BE_RUNNING:
                return GiveUp(f"the endpoint may have acted on it ({failure.reason})")
            if method not in IDEMPOTENT:
                return GiveUp(f"{method} is not idempotent and was written")
        if not replayable:
            return GiveUp("its body had been read and is larger than the replay buffer")
        if failure.reused:
            return Retry(free=True)
        if attempt >= self.attempts:
            return GiveUp(f"{attempt} attempts were made")
        return Retry(free=False)
