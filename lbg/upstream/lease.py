"""The loan of an endpoint to one request, counted in flight from beginning to end."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.http.headers import passing
from lbg.state.layout import Kind
from lbg.upstream.body import Upload
from lbg.upstream.connection import Connection
from lbg.upstream.exchange import Exchange
from lbg.upstream.retry import IDEMPOTENT
from lbg.upstream.timing import TimedUpload, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest

_SERVER_ERROR: Final = 500  # statuses from here on say that the endpoint is at fault


class Lease:
    """One request's use of an endpoint; it ends exactly once, with its exchange or its failure.

    `tried` are the endpoints that the request was at before, `trial` tells that an ejected endpoint
    is judged by it. `began` is when the exchange did (CLOCK_MONOTONIC), `connect_took` the seconds for a new
    connection, `head_took` those from the beginning to the response head, `reused` tells that the connection
    had served before, `cut` is why the endpoint sent less than its whole response.
    """

    __slots__ = (
        "_connection",
        "_ended",
        "_request",
        "_rescued",
        "_timing",
        "_tried",
        "_upload",
        "began",
        "connect_took",
        "cut",
        "endpoint",
        "head_took",
        "pool",
        "reused",
        "trial",
    )

    def __init__(
        self, pool: Pool, endpoint: Endpoint, tried: Sequence[Endpoint] = (), *, trial: bool = False
    ) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self.trial = trial
        self._tried = tried
        self._rescued = False
        self._timing: Timing | None = None
        self._connection: Connection | None = None
        self._request: UpstreamRequest | None = None
        self._ended = False
        self._upload: Upload | None = None
        self.began = self.connect_took = self.head_took = 0.0
        self.reused = False
        self.cut: UpstreamError | None = None
        endpoint.began()

    def __repr__(self) -> str:
        return f"<Lease {self.endpoint.name} {'ended' if self._ended else 'running'}>"

    def another(self) -> Lease | None:
        """Return another lease on the same endpoint, None when others have taken its place meanwhile."""
        endpoint = self.endpoint
        with endpoint.reserving():
            if not endpoint.has_room() or (self.trial and not endpoint.begin_trial()):
                return None
            return Lease(self.pool, endpoint, self._tried, trial=self.trial)

    def exchange(self, request: UpstreamRequest, *, fresh: bool) -> Exchange:
        """Send `request` and return its exchange once the response head is there.

        `fresh` asks for a new connection. Raises UpstreamError, or LbgError for what the client did
        meanwhile; the lease has ended then.
        """
        self._request = request
        began = self.began = monotonic()
        waiting, latency = self.endpoint.waiting, self.endpoint.latency
        timing = self._timing = Timing(latency) if latency is not None else None
        try:
            connection = self._connection = self._connect(request, fresh=fresh)
            self._send(connection, request)
            waiting.add(self)
            self._await_head(connection, request)
            exchange = Exchange(self, connection, request)
        except BaseException as error:
            failure = self._fail(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            waiting.discard(self)
        self.head_took = monotonic() - began
        self.endpoint.answered(exchange.status)
        if timing is not None:
            timing.answered(exchange.status, exchange.headers)
        if exchange.status >= _SERVER_ERROR or self.trial:
            self._judge(exchange.status)
        return exchange

    def _connect(self, request: UpstreamRequest, *, fresh: bool) -> Connection:
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
            self.reused = True
            return connection
        began = monotonic()
        stream = endpoint.connect(min(self.pool.timeouts.connect, request.ends - monotonic()))
        self.connect_took = monotonic() - began
        return Connection(stream)

    def _send(self, connection: Connection, request: UpstreamRequest) -> None:
        stream, body = connection.stream, request.body
        connection.begin(head_only=request.method == "HEAD")
        stream.deadline = min(monotonic() + self.pool.timeouts.response, request.ends)
        ready = body.ready() if body is not None and not request.expects else None
        head = request.head(self.endpoint)
        stream.begin_message()
        timing = self._timing
        if timing is not None:
            timing.sent(whole=body is None or ready is not None)
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
            upload = Upload if timing is None else partial(TimedUpload, timing)
            self._upload = upload(
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
        if self._rescued:
            raise _went_down()  # its head came in the same moment, but the rest never will
        if self._upload is not None:
            self._upload.answered = True

    def _pass_interim(self, connection: Connection, request: UpstreamRequest) -> None:
        for status, fields in connection.interim:
            if request.on_interim is not None:
                request.on_interim(status, passing(fields, self.pool.response_rules))
        connection.interim = []

    def movable_to(self, others: Iterable[Endpoint]) -> bool:
        """Return whether the request can go to one of `others` although this endpoint may have it."""
        request = self._request
        return (
            not self._rescued
            and request is not None
            and request.method in IDEMPOTENT
            and request.replayable
            and request.attempt < self.pool.retries.attempts
            and any(other not in self._tried for other in others)
        )

    def rescue(self) -> None:
        """Take the request away from the endpoint, which went down: `exchange` fails at once."""
        self._rescued = True
        if self._connection is not None:
            self._connection.stream.abort()

    def cancel(self) -> None:
        """End a lease that nobody came to use."""
        self._end_unjudged()
        self._ended = True
        self.endpoint.left()
        self._free()

    def _fail(self, error: BaseException) -> BaseException:
        """End the lease and return the error to be raised."""
        self._stop_upload()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._ended:
            return error
        self._ended = True
        self.endpoint.waiting.discard(self)  # there is nothing left to rescue
        timing = self._timing
        if not isinstance(error, UpstreamError):
            self._end_unjudged()
            if timing is not None:
                timing.given_up()
            self.endpoint.left()
        elif self._rescued:
            self._end_unjudged()
            if timing is not None:
                timing.failed()
            self.endpoint.rescued()
            error = _went_down()
        else:
            self._blame(error)
            self.endpoint.failed(connected=connection is not None)
            if _is_stale(error):
                return error  # its place is left free for the try that follows at once
        self._free()
        return error

    def _free(self) -> None:
        queue = self.pool.queue
        if queue is not None:
            queue.freed()

    def _blame(self, failure: UpstreamError) -> None:
        """Report what the failure says about the endpoint, if anything."""
        request = self._request
        late = request is not None and monotonic() >= request.ends  # other attempts used up the time
        innocent = failure.blameless or late or _is_stale(failure)
        if self._timing is not None:
            (self._timing.dropped if innocent else self._timing.failed)()
        if innocent:
            self._end_unjudged()
        elif self.trial:
            self.endpoint.judge_trial(passed=False)
        elif failure.sent is Sent.NOTHING or failure.reason.code == "upstream_reset":
            self.endpoint.report(Kind.CONNECT_FAILURE)
            self.pool.suspect(self.endpoint)
        else:
            self.endpoint.report(Kind.SERVER_ERROR)

    def _judge(self, status: int) -> None:
        if self.trial:
            self.trial = False
            self.endpoint.judge_trial(passed=status < _SERVER_ERROR)
        else:
            self.endpoint.report(Kind.SERVER_ERROR)

    def _end_unjudged(self) -> None:
        if self.trial:
            self.endpoint.end_trial()

    def _stop_upload(self) -> bool:
        """End an upload; return whether the endpoint did not get all of the body."""
        upload, self._upload = self._upload, None
        if upload is None or not upload.unfinished:
            return upload is not None and upload.failure is not None
        upload.stop()
        return True

    def end_upload(self) -> None:
        """Send nothing more of the request's body here, because it goes to another endpoint."""
        if self._stop_upload() and self._connection is not None:
            self._connection.spoiled = True

    def release(self, connection: Connection, failure: UpstreamError | None) -> None:
        """Take the connection back from its exchange and end the lease."""
        upload = self._upload
        if upload is not None:
            self.end_upload()
        if not self._ended:
            self._ended = True
            # A client that broke off its body has ended both directions.
            if failure is None or (upload is not None and upload.failure is not None):
                self.endpoint.left()
            else:
                self.cut = failure
                good = connection.status < _SERVER_ERROR
                self.endpoint.failed(connected=True, cut=good)
                if good:  # else its head was reported
                    self._blame(failure)
            self._free()
        connection.served += 1
        if connection.spoiled or failure is not None:
            connection.close()
        else:
            self.endpoint.idle.put(connection)


def _is_stale(failure: UpstreamError) -> bool:
    return failure.reason.code == "upstream_reset_reused"


def _went_down() -> UpstreamError:
    return UpstreamError(
        "upstream_reset", "went down while the request waited", sent=Sent.WRITTEN, rescued=True
    )
