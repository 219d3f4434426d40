"""A stream without a socket: it reads what a test wrote down, and keeps what is sent."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from lbg.net.deadline import NEVER

if TYPE_CHECKING:
    from lbg.net.stream import Stream

Scripted = bytes | Exception


class Descriptor:
    """The socket of a scripted stream: nothing but a number."""

    def fileno(self) -> int:
        """Return a number no test opens."""
        return 1_000_000


class ScriptedStream:
    """Gives its script piece by piece, exceptions included, then the end of the stream.

    `sent` is all that was written, `deadlines` are those in force at each read.
    """

    def __init__(self, *script: Scripted, refuses: Exception | None = None) -> None:
        self.script = deque(script)
        self.sent = b""
        self.deadline = NEVER
        self.deadlines: list[float] = []
        self.unwritten = False
        self.aborted = False
        self.closed = False
        self.armed = False
        self.on_readable: Callable[[], object] = lambda: None
        self.sock = Descriptor()
        self._refuses = refuses

    def recv(self, size: int) -> bytes:
        """Return the next piece of the script, `b""` once it is over."""
        assert not self.closed, "read from a closed stream"
        self.armed = False
        self.deadlines.append(self.deadline)
        if not self.script:
            return b""
        item = self.script.popleft()
        if isinstance(item, Exception):
            raise item
        if len(item) > size:
            self.script.appendleft(item[size:])
        return item[:size]

    def wait_readable(self) -> None:
        """Wait until something is in the script; raise the exception that is next, if one is."""
        if self.script and isinstance(self.script[0], Exception):
            raise cast("Exception", self.script.popleft())

    def peek(self) -> bytes | None:
        """Return the next byte of the script, None when nothing is left in it."""
        item = self.script[0] if self.script else None
        return b"" if isinstance(item, Exception) else item and item[:1]

    def send(self, data: bytes) -> None:
        """Keep `data`."""
        assert not self.closed, "wrote to a closed stream"
        if self._refuses is not None:
            raise self._refuses
        self.sent += data

    def arm(self, callback: Callable[..., None], *args: object) -> None:
        """Keep the callback for `turn_readable`."""
        assert not self.closed, "armed a closed stream"
        self.armed = True
        self.on_readable = lambda: callback(*args)

    def disarm(self) -> None:
        """Take `arm` back."""
        self.armed = False

    def turn_readable(self) -> None:
        """Call back as the loop would."""
        assert self.armed
        self.on_readable()

    def begin_message(self) -> None:
        """Do nothing: the test sets `unwritten`."""

    def abort(self) -> None:
        """End the script."""
        self.aborted = True
        self.script.clear()

    def close(self) -> None:
        """Note that it is closed."""
        self.closed = True


def as_stream(stream: Any) -> "Stream":
    """Return `stream` under the type the product asks for."""
    return cast("Stream", stream)
