"""The loan of an endpoint to one request, counted in flight from beginning to end."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.http.headers import passing
from lbg.upstream.body import Upload
from lbg.upstream.connection import Connection
from lbg.upstream.exchange import Exchange
from lbg.upstream.retry import IDEMPOTENT

if TYPE_CHECKING:
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest


class Lease:
    """One request's use of an endpoint; it ends exactly once, with its exchange or its failure."""

    __slots__ = ("_connected", "_ended", "_upload", "endpoint", "pool")

    def __init__(self, pool: Pool, endpoint: Endpoint) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self._connected = False
        self._ended = False
        self._upload: Upload | None = None
        endpoint.began()

    def __repr__(self) -> str:
        return f"<Lease {self.endpoint.name} {'ended' if self._ended else 'running'}>"

    def again(self) -> Lease:
        """Return another lease on the same endpoint."""
        return Lease(self.pool, self.endpoint)

    def exchange(self, request: UpstreamRequest, *, fresh: bool) -> Exchange:
        """Send `request` and return its exchange once the response head is there.

        `fresh` asks for a new connection. Raises UpstreamError, or LbgError for what the client did
        meanwhile; the lease has ended then.
        """
        connection: Connection | None = None
        try:
            connection = self._connection(request, fresh=fresh)
            self._send(connection, request)
            self._await_head(connection, request)
            return Exchange(self, connection, request)
        except BaseException as error:
            self._fail(connection, error)
            raise

    def _connection(self, request: UpstreamRequest, *, fresh: bool) -> Connection:
        endpoint = self.endpoint
        connection = None if fresh else endpoint.idle.take()
        # What must not be sent twice never goes out on a connection that is already closed: one
        # system call finds that out before a byte is written.
        while (
            connection is not None
            and request.method not in IDEMPOTENT
            and connection.stream.peek() is not None
        ):
            connection.close()
            connection = endpoint.idle.take()
        if connection is not None:
            self._connected = True
            return connection
        stream = endpoint.connect(min(self.pool.timeouts.connect, request.ends - monotonic()))
        self._connected = True
        return Connection(stream)

    def _send(self, connection: Connection, request: UpstreamRequest) -> None:
        stream, body = connection.stream, request.body
        connection.begin(head_only=request.method == "HEAD")
        stream.deadline = min(monotonic() + self.pool.timeouts.response, request.ends)
        ready = body.ready() if body is not None and not request.expects else None
        head = request.head(self.endpoint)
        stream.begin_message()
        try:
            stream.send(head if ready is None else head + ready)
        except (OSError, StreamTimeout) as error:
            reused = connection.served > 0
            raise UpstreamError(
                "upstream_reset_reused" if reused else "upstream_reset",
                f"connection closed while the request was written: {error}",
                sent=Sent.WRITTEN if stream.wrote else Sent.NOTHING,
                reused=reused,
            ) from error
        if body is not None and ready is None:
            self._upload = Upload(
                body, stream, self.pool.timeouts, expects=request.expects, ends=request.ends
            )

    def _await_head(self, connection: Connection, request: UpstreamRequest) -> None:
        while True:
            try:
                connection.read_head()
            except UpstreamError:
                if self._upload is not None and self._upload.failure is not None:
                    raise self._upload.failure from None
                raise
            if connection.interim:
                self._pass_interim(connection, request)
            if connection.status:
                break
        if self._upload is not None:
            self._upload.answered = True

    def _pass_interim(self, connection: Connection, request: UpstreamRequest) -> None:
        for status, fields in connection.interim:
            if request.on_interim is not None:
                request.on_interim(status, passing(fields, self.pool.response_rules))
        connection.interim = []

    def _fail(self, connection: Connection | None, error: BaseException) -> None:
        self._stop_upload()
        if connection is not None:
            connection.close()
        if self._ended:
            return
        self._ended = True
        if isinstance(error, UpstreamError):
            self.endpoint.ended(answered=False, connected=self._connected)
        else:
            self.endpoint.left()

    def _stop_upload(self) -> bool:
        """End an upload; return whether the endpoint did not get all of the body."""
        upload, self._upload = self._upload, None
        if upload is None or not upload.unfinished:
            return upload is not None and upload.failure is not None
        upload.stop()
        return True

    def release(self, connection: Connection, failure: UpstreamError | None) -> None:
        """Take the connection back from its exchange and end the lease."""
        if self._upload is not None and self._stop_upload():
            connection.spoiled = True
        if not self._ended:
            self._ended = True
            self.endpoint.ended(answered=failure is None, connected=True)
        connection.served += 1
        if connection.spoiled or failure is not None:
            connection.close()
        else:
            self.endpoint.idle.put(connection)
