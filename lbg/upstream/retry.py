"""Whether a failed attempt is tried again: one table, no I/O (RFC 9110 section 9.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

from lbg.errors import Sent

if TYPE_CHECKING:
    from lbg.config.pools import RetryConfig
    from lbg.errors import UpstreamError

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

_WRITTEN: Final = Sent.WRITTEN

# Failures that a pool can opt in or out of trying again, by the word for them in `retry.on`.
_WORDS: Final = {
    "upstream_reset": "reset",
    "upstream_reset_reused": "stale",
    "response_timeout": "timeout",
}


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. `free` tries cost no attempt and go to the same endpoint on a new connection."""

    free: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer the client with the failure; `why` says in words why there is no further try."""

    why: str


class Tried(Protocol):
    """What of a request counts for another try: its method, the number of this try, and its body."""

    method: str
    attempt: int

    @property
    def replayable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What is tried again: `on` names failures, `status` lists statuses; `attempts` counts all tries."""

    attempts: int = 3
    on: frozenset[str] = frozenset({"connect", "stale", "reset", "down"})
    status: frozenset[int] = frozenset()
    non_idempotent: bool = False

    @classmethod
    def of(cls, config: RetryConfig) -> Self:
        """Return the policy that `config` describes."""
        return cls(config.attempts, frozenset(config.on), frozenset(config.status), config.non_idempotent)

    def decide(self, request: Tried, failure: UpstreamError) -> Retry | GiveUp:
        """Return what follows `failure` of the try under way."""
        code = failure.reason.code
        if failure.sent is Sent.ANSWERED:
            return GiveUp("the response had begun")
        if failure.sent is _WRITTEN:
            if code == "bad_response":
                return GiveUp("the endpoint may have acted on it (bad_response)")
            if request.method not in IDEMPOTENT:
                return GiveUp(f"{request.method} is not idempotent and was written")
        word = _word(failure)
        if word not in self.on:
            return GiveUp(f'"{word}" is not in retry.on')
        if not request.replayable:
            return GiveUp("its body had been read and is larger than the replay buffer")
        return Retry(free=True) if word == "stale" else self._another(request)

    def decide_status(self, request: Tried) -> Retry | GiveUp:
        """Return what follows a response whose status is one of `status`."""
        if request.method not in IDEMPOTENT and not self.non_idempotent:
            return GiveUp(f"{request.method} is not idempotent")
        if not request.replayable:
            return GiveUp("its body had been read and is larger than the replay buffer")
        return self._another(request)

    def _another(self, request: Tried) -> Retry | GiveUp:
        if request.attempt >= self.attempts:
            return GiveUp(f"{request.attempt} attempts were made")
        return Retry(free=False)


def _word(failure: UpstreamError) -> str:
    if failure.rescued:
        return "down"
    return _WORDS.get(failure.reason.code, "connect")
