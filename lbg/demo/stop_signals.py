"""The signals that ask the demo to stop, noted instead of obeyed at once."""

import signal
from collections import deque
from types import FrameType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


class StopSignals:
    """Notes the signals that arrive while it is entered, each to be taken once."""

    def __init__(self) -> None:
        self._noted: deque[int] = deque()
        self._before: dict[signal.Signals, Any] = {}

    def __repr__(self) -> str:
        """Show what was not taken yet."""
        return f"<StopSignals {list(self._noted)}>"

    def take(self) -> int | None:
        """Return the earliest signal that was not taken yet."""
        return self._noted.popleft() if self._noted else None

    def __enter__(self) -> Self:
        """Start to note; a SIGHUP that nohup ignores stays ignored."""
        for number in _NUMBERS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._noted.append(number)
