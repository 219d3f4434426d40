"""`lbg.client`: the client's side of a request, for interim responses and protocol switches."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.errors import ClientGone, StreamTimeout
from lbg.net.stream import WRITE_TIMEOUT
from lbg.server.body import EMPTY
from lbg.server.parser import NO_REQUEST

if TYPE_CHECKING:
    from lbg.http.headers import Fields
    from lbg.net.stream import Stream
    from lbg.server.body import EmptyInput, RequestInput
    from lbg.server.response import Response


_PHRASES: Final = {102: b"Processing", 103: b"Early Hints", 104: b"Upload Resumption Supported"}


class Client:
    """What an application may do with the connection besides answering; one per connection.

    `request` and `body` are those of the request being answered. `taken` says that the application
    has the stream and speaks another protocol on it.
    """

    __slots__ = ("_response", "_stream", "body", "request", "taken")

    def __init__(self, stream: Stream, response: Response) -> None:
        self._stream = stream
        self._response = response
        self.request = NO_REQUEST
        self.body: RequestInput | EmptyInput = EMPTY
        self.taken = False

    def rest(self) -> None:
        """Let go of the last request."""
        self.request = NO_REQUEST
        self.body = EMPTY

    def send_interim(self, status: int, fields: Fields) -> None:
        """Send a 1xx response; a 100 only once, and only to a client that still awaits it.

        An HTTP/1.0 client gets none (RFC 9110 section 15.2). Raises ClientGone when the client left.
        """
        if self._response.begun or self.request.version == "1.0":
            return
        if status == 100:
            self.body.answer_continue()
            return
        head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (
            status,
            _PHRASES.get(status, b"Interim"),
            b"".join(b"%b: %b\r\n" % field for field in fields),
        )
        self._stream.deadline = monotonic() + WRITE_TIMEOUT
        try:
            self._stream.send(head)
        except (OSError, StreamTimeout) as error:
            raise ClientGone(str(error)) from error

    def take(self) -> tuple[Stream, bytes]:
        """Return the stream and the bytes that came after the request, to speak another protocol on.

        HTTP is over for this connection; it closes when the application returns.
        """
        self.taken = True
        self._response.give_up()
        self._stream.disarm()
        rest, self.request.rest = self.request.rest, b""
        return self._stream, rest
