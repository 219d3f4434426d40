"""An endpoint whose connections lead to greenlets of the test, over socket pairs."""

from collections.abc import Callable
from typing import Any

import gevent

from lbg.config.pools import ConnectionsConfig, EndpointConfig
from lbg.errors import UpstreamError
from lbg.net.stream import Stream
from lbg.state.cells import Cells
from lbg.state.health_row import HealthRow
from lbg.state.layout import Field, HealthField
from lbg.upstream.endpoint import Endpoint, Reporter
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


def silent(stream: Stream) -> None:
    """Read and never answer."""
    while stream.recv(65536):
        pass


def stale_then(answer: bytes) -> Answer:
    """Answer once, then close on the next request."""

    def serve(stream: Stream) -> None:
        answering(answer)(stream)
        closing(stream)

    return serve


class ScriptedEndpoint(Endpoint):
    """Each connect takes the next of `answers`: a behaviour for the other end, or a failure.

    Without `cells` it has some of its own. Endpoints of one pool share them, in different slots.
    """

    def __init__(
        self,
        *answers: Answer | UpstreamError,
        cells: Cells | None = None,
        slot: int = 0,
        worker: int = 0,
        reporter: Reporter | None = None,
        connections: ConnectionsConfig | None = None,
        **config: Any,
    ) -> None:
        self.cells = cells or Cells.private()
        super().__init__(
            EndpointConfig(url=f"http://127.0.0.1:{8000 + slot}", **config),
            IdleConnections(connections or ConnectionsConfig()),
            self.cells,
            slot=slot,
            worker=worker,
            reporter=reporter,
        )
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
        """Return what its cells say, without what is zero and the gauge that only a tick writes."""
        fields = set(Field) - {Field.AWAITING}
        totals = {field.name.lower(): self.cells.total(self.slot, field) for field in fields}
        return {name: total for name, total in totals.items() if total}

    def becomes(self, **fields: int) -> None:
        """Let its row say so from now on, as the control worker writes it."""
        row = HealthRow(self.cells, self.slot)
        for name, value in fields.items():
            row[HealthField[name.upper()]] = value
        self.cells.changed()

    def hang_up(self) -> None:
        """End all connections from its side, before the loop has told anybody."""
        for stream in self._peers:
            stream.close()

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
