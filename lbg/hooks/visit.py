"""One request's visit to a WSGI middleware: its response on the way out, held to PEP 3333."""

from __future__ import annotations

import re
import sys
from errno import EPIPE
from typing import TYPE_CHECKING, Any, Final

from lbg.hooks.guard import HookFailed, Stay
from lbg.hooks.place import place_in
from lbg.http.framing import has_no_body
from lbg.http.headers import REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lbg.hooks.guard import Guard

Headers = list[tuple[str, str]]

_END: Final = object()
_UNKNOWN: Final = -1
_STATUS: Final = re.compile(r"[1-9][0-9][0-9] [^\r\n\0]*")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS: Final = re.compile(r"[\r\n\0]")

_known_names: Final[set[str]] = set()


class Visit(Stay):
    """What is known of the response while the middleware makes it.

    `status` is `""` until somebody called start_response; `begun` says that the head may have been sent.
    `handled` is what the server wants to be returned where the connection is `switched`, None while it is not
    known. `end` must be called once.
    """

    __slots__ = (
        "_answered",
        "_bodies",
        "_headers",
        "_length",
        "_method",
        "_real_start",
        "_real_write",
        "_sent",
        "_silent",
        "begun",
        "handled",
        "status",
    )

    def __init__(self, guard: Guard, method: str, start_response: Callable[..., Any]) -> None:
        super().__init__(guard)
        self._method = method
        self._real_start = start_response
        self._real_write: Callable[[bytes], Any] | None = None
        self._headers: Headers = []
        self._bodies: list[InnerBody] = []
        self._length = _UNKNOWN
        self._sent = 0
        self._answered = False  # by the inner application
        self._silent: object = _END
        self.begun = False
        self.handled: Any = None
        self.status = ""

    @property
    def switched(self) -> bool:
        """Whether the connection speaks another protocol now: there is no response to hold to anything."""
        return False

    def broke(self, what: str) -> HookFailed:
        """Count and log what the middleware did wrong just now, with its line; return what to raise."""
        place = place_in(sys._getframe())
        return self.guard.fail(f"{what} ({place})" if place else what, place)

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """Be `start_response` for the middleware."""
        fault = _fault(status, headers)
        if fault:
            raise self.broke(f"called start_response with {fault}")
        self._real_write = self._start(status, headers, exc_info)
        return self.write

    def start_changed(self, theirs: Callable[..., Any], /, *head: Any) -> Any:
        """Be `start_response` for what the middleware calls with one of its own, `theirs`."""
        self._answered = True
        return self.guard.call(theirs, *head)

    def start_inner(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], Any]:
        """Be `start_response` for what the middleware calls, if it gave ours on."""
        self._answered = True
        return self._start(status, headers, exc_info)

    def _start(self, status: str, headers: Headers, exc_info: Any) -> Callable[[bytes], Any]:
        if exc_info is None:
            if self.status:
                raise self.broke("had start_response called twice without exc_info")
            write: Callable[[bytes], Any] = self._real_start(status, headers)
        else:
            write = self._real_start(status, headers, exc_info)
        self.status = status
        self._headers = headers.copy()
        self._length = _UNKNOWN
        return write

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once, as old applications do."""
        self.check(data)
        assert self._real_write is not None
        self.begun = True
        self.outside(self._real_write, data)

    def wrap(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """Return what the middleware gets of the inner application's `result`."""
        if self.switched:
            self.handled, self.begun = result, True
            return ()  # for some servers the result is a mark that cannot be iterated
        if type(result) in {list, tuple}:
            if not self._answered:
                self._silent = result
            return result
        body = InnerBody(self, result)
        self._bodies.append(body)
        return body

    def passed_on(self, result: object) -> bool:
        """Return whether `result` is just what the middleware got, so that the server can have the original.

        Without start_response as well: the inner application may call it late, or have switched protocols.
        """
        if type(result) is InnerBody:
            return result in self._bodies and (bool(self.status) or not self._answered)
        return result is self._silent

    def unwrap(self, result: Any) -> Iterable[bytes]:
        """Return the inner application's own result, for the server to iterate and close."""
        if type(result) is InnerBody:
            self._bodies.remove(result)
            result = result.result
        original: Iterable[bytes] = result
        return original

    def check(self, piece: object) -> None:
        """Raise HookFailed unless `piece` can be sent now."""
        if not isinstance(piece, bytes):
            raise self.guard.fail(f"gave {type(piece).__name__} as a piece of its response, expected bytes")
        if self.switched:
            return
        if not self.status:
            raise self.guard.fail("gave a body before it called start_response")
        self._sent += len(piece)
        if self._length == _UNKNOWN:
            self._length = _length(self._method, self.status, self._headers)
        if self._sent > self._length:
            raise self.guard.fail(f"gave more bytes than its Content-Length {self._length}")

    def check_end(self) -> None:
        """Raise HookFailed unless the response is whole."""
        if self.switched:
            return
        if not self.status:
            raise self.guard.fail("never called start_response")
        self.check(b"")
        if self._sent < self._length < sys.maxsize:
            raise self.guard.fail(f"gave {self._sent} bytes, its Content-Length was {self._length}")

    def end(self) -> None:
        """Close what the middleware left open of ours."""
        for body in self._bodies:
            body.close()
        self._bodies = []


class InnerBody:
    """The inner application's body in the hands of the middleware: the wait for it is not its time."""

    __slots__ = ("_closed", "_visit", "result")

    def __init__(self, visit: Visit, result: Iterable[bytes]) -> None:
        self._visit = visit
        self._closed = False
        self.result = result

    def __iter__(self) -> Iterator[bytes]:
        outside = self._visit.outside
        iterator = outside(iter, self.result)
        while (piece := outside(next, iterator, _END)) is not _END:
            yield piece

    def close(self) -> None:
        """Close the body, once."""
        if self._closed:
            return
        self._closed = True
        close = getattr(self.result, "close", None)
        if close is not None:
            self._visit.outside(close)


class HookBody:
    """The middleware's body in the hands of the server.

    A failure before anything was sent gives what `answer` returns instead; after that it raises HookFailed.
    """

    __slots__ = ("_answer", "_result", "_visit")

    def __init__(
        self, visit: Visit, result: Iterable[bytes], answer: Callable[[HookFailed], Iterable[bytes]]
    ) -> None:
        self._visit = visit
        self._result: Iterable[bytes] | None = result
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        visit = self._visit
        try:
            iterator = visit.call(iter, self._result)
            while (piece := visit.call(next, iterator, _END)) is not _END:
                visit.check(piece)
                if not visit.switched:
                    visit.begun = True
                    yield piece
            visit.check_end()
        except HookFailed as failure:
            if visit.begun:
                raise
            yield from self._answer(failure)
        if visit.handled:
            # The server can no more be told by what is returned; of a client that left it says nothing.
            raise BrokenPipeError(EPIPE, "the connection spoke another protocol")

    def close(self) -> None:
        """Close the middleware's body, once, and what it left open of ours."""
        result, self._result = self._result, None
        if result is None:
            return
        try:
            self._visit.call(_close, result)
        except HookFailed:
            pass  # counted and logged; the response is over
        finally:
            self._visit.end()


def _close(result: Any) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()


def _fault(status: object, headers: object) -> str:
    """Return what is wrong with a response head, `""` for nothing."""
    if not isinstance(status, str) or not _STATUS.fullmatch(status):
        return f"the status {status!r:.60}"
    if not isinstance(headers, list):
        return f"headers of type {type(headers).__name__}, expected list"
    lengths = 0
    for field in headers:
        if not _is_pair(field):
            return f"the header {field!r:.60}, expected a pair of str"
        name = field[0]
        if name not in _known_names and not _learn(name):
            return f"the header name {name!r:.60}"
        if len(name) == 14 and name.lower() == "content-length":
            lengths += 1
    if lengths > 1:
        return "two Content-Length fields"
    # One look at all of them is cheaper than one at each.
    values = "".join([value for _, value in headers])
    if _BREAKS.search(values) or not (values.isascii() or max(values) <= "\xff"):
        return "a value that holds a line break, NUL or characters beyond Latin-1"
    return ""


def _is_pair(field: object) -> bool:
    return (
        isinstance(field, tuple)
        and len(field) == 2
        and isinstance(field[0], str)
        and isinstance(field[1], str)
    )


def _learn(name: str) -> bool:
    """Return whether `name` can be a field's, and remember if so."""
    if not _NAME.fullmatch(name):
        return False
    if len(_known_names) < REMEMBERED:
        _known_names.add(name)
    return True


def _length(method: str, status: str, headers: Headers) -> int:
    """Return the bytes that the body must have, or a great number when nothing says so."""
    if not has_no_body(method, int(status[:3])):
        for name, value in headers:
            if name.lower() == "content-length" and value.isascii() and value.isdigit():
                return int(value)
    return sys.maxsize
