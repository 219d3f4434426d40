"""The HTTP/1 side of one client connection: request in, WSGI call, response out, again."""

from __future__ import annotations

import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent

from lbg.errors import ClientGone, LbgError, LocalReply, RequestError, StreamTimeout
from lbg.http.replies import accepted, make_reply
from lbg.net.stream import WRITE_TIMEOUT
from lbg.server.body import EMPTY, RequestInput
from lbg.server.client import Client
from lbg.server.environ import fill_environ
from lbg.server.parser import RequestParser
from lbg.server.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.net.stream import Stream
    from lbg.server.environ import Environ
    from lbg.server.parser import Request
    from lbg.server.service import Service

log = logging.getLogger("lbg.server")

_READ: Final = 16384
_LINGER_TIME: Final = 2.0  # seconds a closing connection still takes bytes, so that our answer arrives
_LINGER_READ: Final = 65536
_SOON: Final = (("Retry-After", "1"),)


class Http1Connection:
    """Serves one client until it or the server wants no more.

    `idle` says that no request is under way; `fresh` that it never had one, so that a stopping
    server must still let the client's first one come.
    """

    __slots__ = (
        "_client",
        "_environ",
        "_greenlet",
        "_parser",
        "_reached",
        "_response",
        "_service",
        "_unwatchable",
        "fresh",
        "idle",
        "stream",
    )

    def __init__(self, service: Service, stream: Stream, environ: Environ) -> None:
        """Take over `stream`; `environ` is what all its requests share, and the connection's own."""
        self._service = service
        self.stream = stream
        self._environ = environ
        self._response = Response(stream, service)
        self._client = environ["lbg.client"] = Client(stream, self._response)
        environ["lbg.trailers"] = self._response.set_trailers
        environ["lbg.early"] = self._client.send_interim
        self._parser = RequestParser(service.settings.max_header_bytes)
        self._greenlet = gevent.getcurrent()
        self._unwatchable = False
        self._reached = False
        self.idle = True
        self.fresh = True

    def __repr__(self) -> str:
        return f"<Http1Connection {self._environ['REMOTE_ADDR']} idle={self.idle}>"

    def serve(self) -> None:
        """Serve requests until the connection ends; never raises what the client caused."""
        service = self._service
        service.connections.add(self)
        lingering = True
        try:
            try:
                lingering = self._serve_all()
            except RequestError as fault:
                self._refuse(fault)
        except (ClientGone, OSError, StreamTimeout):
            log.debug("client connection ended early", exc_info=True)
            lingering = False
            self._show_cut()
        except gevent.GreenletExit:
            lingering = False
            self._show_cut()
            raise
        finally:
            service.connections.discard(self)
            self._close(lingering=lingering)

    def _serve_all(self) -> bool:
        """Serve requests until no more come; return whether the client may still be sending."""
        settings = self._service.settings
        timeout = settings.header_timeout
        while True:
            self._reached = False
            request: Request | None = self._await_request(timeout)
            if request is None:
                return False
            if not self._serve(request):
                return not request.complete or self._parser.fault is not None
            self.fresh = False
            timeout = settings.keepalive_timeout
            # An idle connection keeps nothing of its last request: there may be thousands.
            request = None
            self._response.rest()
            self._client.rest()

    def _await_request(self, timeout: float) -> Request | None:
        """Return the next request, None when the client sends no more."""
        parser, stream = self._parser, self.stream
        if parser.heads or parser.fault is not None:
            return parser.next()
        stream.deadline = monotonic() + (self._service.settings.header_timeout if parser.begun else timeout)
        self.idle = not parser.begun
        while not (self.idle and self._service.stopping and not self.fresh):
            try:
                data = stream.recv(_READ)
            except StreamTimeout:
                if self.idle:
                    break
                limit = self._service.settings.header_timeout
                raise RequestError(
                    "client_header_timeout", f"The request head did not come within {limit} s."
                ) from None
            if not data:
                break
            parser.feed(data)
            request = parser.next()
            if request is not None:
                self.idle = False
                return request
            if parser.begun and self.idle:
                self.idle = False
                stream.deadline = monotonic() + self._service.settings.header_timeout
        return None

    def _serve(self, request: Request) -> bool:
        """Answer one request; return whether the connection can serve another."""
        service = self._service
        environ = self._environ.copy()
        response, client = self._response, self._client
        response.begin(request)
        client.request = request
        try:
            fill_environ(environ, request, service.keys)
            if request.complete and not request.pieces and not request.trailers:
                client.body = environ["wsgi.input"] = EMPTY
            else:
                client.body = environ["wsgi.input"] = self._input(request, environ)
        except RequestError:
            self._environ = environ  # the connection ends, and this is all that is known of the request
            raise
        service.requests += 1
        service.active.add(self)
        self._reached = True
        try:
            self._run(environ, response)
        finally:
            service.active.discard(self)
            if self.stream.armed:
                self.stream.disarm()
            self._unwatchable = False
        if request.upgrade and not client.taken:
            if request.method == "CONNECT":
                return False
            self._parser.resume(request)
        return response.keep_alive and request.complete and not client.taken

    def _input(self, request: Request, environ: Environ) -> RequestInput:
        settings = self._service.settings
        limit = settings.max_body_bytes
        if limit and max(request.length, request.received) > limit:
            raise RequestError("body_too_large", f"The request body is larger than {limit} bytes.")
        body = RequestInput(self.stream, self._parser, request, settings.body_timeout, limit)
        if request.version == "1.1" and not request.received:
            body.awaited = environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        return body

    def _run(self, environ: Environ, response: Response) -> None:
        """Call the application and send what it returns. Raises LbgError and OSError only."""
        result: Iterable[bytes] | None = None
        try:
            result = self._service.application(environ, response.start)
            if not self._client.taken:
                response.send_all(result)
        except LbgError as error:
            if isinstance(error, RequestError) and not response.begun:
                environ["lbg.fault"] = error
                self._environ = environ
                raise
            environ["lbg.cut"] = error
            # The head is out: all that can be told is that the body is not whole.
            raise ClientGone(f"response cut short: {error}") from error
        except Exception as error:
            if response.begun:
                environ["lbg.cut"] = error
            if isinstance(error, OSError) and response.begun:
                raise
            request = self._client.request
            path = request.target.partition(b"?")[0].decode("ascii", "backslashreplace")
            log.exception("the application failed: %s %s", request.method, path)
            if response.begun:
                raise ClientGone("response cut short") from error
            fault = environ["lbg.fault"] = RequestError("internal", "The application failed.")
            self._environ = environ  # the connection ends; this knows the id of the request
            raise fault from error
        except gevent.GreenletExit as error:  # the grace period of a stop is over
            if response.begun or self._client.taken:
                environ["lbg.cut"] = error
                raise
            fault = environ["lbg.fault"] = RequestError("shutdown", "lbg is stopping.", headers=_SOON)
            self._environ = environ
            raise fault from error
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
            _tell(environ, response)

    def watch(self) -> None:
        """Notice from now on when the client leaves while it waits for its answer."""
        if self._unwatchable or self.stream.reader.active or self.stream.closed:
            return
        self.stream.arm(self._readable)

    def _readable(self) -> None:
        said = self.stream.peek()
        if said is None:
            return
        self.stream.disarm()
        if said:
            self._unwatchable = True  # a pipelined request: it waits its turn
        else:
            self._greenlet.throw(ClientGone("the client closed the connection"))

    def _refuse(self, fault: LocalReply) -> None:
        """Answer in place of the application, and close."""
        environ = self._environ
        given = getattr(environ.get("lbg.exchange"), "request_id", None)
        request_id = environ["lbg.request_id"] = given or _new_id()
        if not self._reached:
            for tell in self._service.on_refusal:
                tell(fault, environ)
        reply = make_reply(fault, accepted(environ), request_id)
        head = [f"HTTP/1.1 {reply.status}\r\n", self._service.date, "Connection: close\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in reply.headers]
        body = b"" if environ.get("REQUEST_METHOD") == "HEAD" else reply.body
        self.stream.send("".join([*head, "\r\n"]).encode("latin-1") + body)

    def _close(self, *, lingering: bool) -> None:
        stream = self.stream
        stream.deadline = monotonic() + (_LINGER_TIME if lingering else WRITE_TIMEOUT)
        try:
            stream.flush()
            if lingering:
                # An upload that was just ended holds the read watcher until its greenlet had its turn.
                gevent.sleep(0)
                self._linger()
        except (OSError, StreamTimeout):
            log.debug("client left before it had all of its answer")
        finally:
            stream.close()
            self._parser.close()

    def _show_cut(self) -> None:
        """Let the client tell a cut response from a whole one where only a reset can say so."""
        if self._response.ends_with_connection:
            self.stream.reset_at_close()

    def _linger(self) -> None:
        """Take what the client still sends for a moment: closing at once would reset our answer away."""
        self.stream.end_writing()
        ends = monotonic() + _LINGER_TIME
        while self.stream.recv(_LINGER_READ) and monotonic() < ends:
            pass


def _tell(environ: Environ, response: Response) -> None:
    """Tell who wants to know that a request is over."""
    finished = environ.get("lbg.finished")
    if finished is None:
        return
    try:
        finished(environ, response.status, response.sent)
    except Exception:
        # A filter may have spoilt the environ: that must not cost the client its answer.
        log.exception("a request that is over could not be counted and logged")


def _new_id() -> str:
    """Return an id for a request that never reached the application, which gives the others theirs."""
    return os.urandom(10).hex()
