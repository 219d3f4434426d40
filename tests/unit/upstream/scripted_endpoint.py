"""An endpoint whose connections lead to greenlets of the test, over socket pairs."""

from collections.abc import Callable
from typing import Any

import gevent

from lbg.config.schema import ConnectionsConfig, EndpointConfig
from lbg.errors import UpstreamError
from lbg.net.stream import Stream
from lbg.state.cells import Cells
from lbg.state.layout import Field, counters
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections
from tests.unit.net.stream_pair import connected

Answer = Callable[[Stream], object]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read_head(stream: Stream) -> bytes:
    """Return what the proxy sends up to the end of a head, and what came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return data
        data += more
    return data


def answering(*responses: bytes, close: bool = False) -> Answer:
    """Return a behaviour: one response for each request, then silence or the end."""

    def answer(stream: Stream) -> None:
        for response in responses:
            if not read_head(stream):
                return
            stream.send(response)
        if close:
            stream.flush()
            stream.close()

    return answer


def closing(stream: Stream) -> None:
    """Read a request and close without an answer."""
    read_head(stream)
    stream.close()


class ScriptedEndpoint(Endpoint):
    """Each connect takes the next of `answers`: a behaviour for the other end, or a failure."""

    def __init__(
        self, *answers: Answer | UpstreamError, connections: ConnectionsConfig | None = None
    ) -> None:
        self.cells = Cells.private()
        idle = IdleConnections(connections or ConnectionsConfig())
        super().__init__(EndpointConfig(url="http://127.0.0.1:8000"), idle, self.cells, counters(0, 0))
        self.answers = list(answers)
        self.timeouts: list[float] = []
        self._peers: list[Stream] = []
        self._running: list[Any] = []

    def connect(self, timeout: float) -> Stream:
        """Return one end of a socket pair, with the next behaviour on the other."""
        self.timeouts.append(timeout)
        answer = self.answers.pop(0)
        if isinstance(answer, UpstreamError):
            raise answer
        ours, theirs = connected()
        self._peers.append(theirs)
        self._running.append(gevent.spawn(answer, theirs))
        return ours

    @property
    def connects(self) -> int:
        """How many connections were asked for."""
        return len(self.timeouts)

    def counts(self) -> dict[str, int]:
        """Return what its cells say."""
        return {field.name.lower(): self.cells.total(0, field) for field in Field}

    def was_left(self) -> bool:
        """Return whether the proxy has ended all connections."""
        return len(self.idle) == 0 and [stream.peek() for stream in self._peers] == [b""] * len(self._peers)

    def shut(self) -> None:
        """End all connections and their greenlets."""
        gevent.killall(self._running)
        self.idle.close()
        for stream in self._peers:
            stream.close()
        gevent.idle()
