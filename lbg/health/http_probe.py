"""The HTTP check: one request on a connection of its own, and whether the answer is the expected one.

A check goes through requests at its lowest level, a prepared request and a transport adapter: no session,
so no proxies, credentials, cookies or redirects, and less than half of the CPU.
"""

from __future__ import annotations

import io
import re
import ssl
from email.errors import MultipartInvariantViolationDefect, StartBoundaryNotFoundDefect
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPResponse,
    RemoteDisconnected,
    UnknownProtocol,
)
from typing import TYPE_CHECKING, Any, Final, cast

import requests
from requests.adapters import BaseAdapter

from lbg import __version__
from lbg.config.pool_fields import status_ranges
from lbg.config.problems import shown
from lbg.health.tcp_probe import CheckFailed, in_words
from lbg.health.tls import TlsClient, tls_in_words

if TYPE_CHECKING:
    from socket import socket

    from requests import PreparedRequest

    from lbg.config.pools import EndpointConfig, PoolConfig
    from lbg.health.tcp_probe import Wire

MAX_BODY: Final = 65536  # bytes of the body that are read and searched
MAX_HEAD: Final = 262144  # bytes of lines: heads, interim responses and chunk sizes

_CUT: Final = "connection closed in the middle of the answer"
# What these two say is about the body of a message, and there is only a head to parse.
_ABOUT_THE_BODY: Final = (StartBoundaryNotFoundDefect, MultipartInvariantViolationDefect)


class HttpCheck:
    """Sends the request of one endpoint and compares the answer."""

    __slots__ = ("_body", "_expected", "_pattern", "_request", "_statuses", "_tls")

    def __init__(self, endpoint: EndpointConfig, pool: PoolConfig) -> None:
        health = pool.health
        self._request = _prepared(endpoint, pool)
        self._expected = health.expect_status
        self._statuses = status_ranges(health.expect_status)
        self._pattern = health.expect_body
        self._body = re.compile(health.expect_body.encode()) if health.expect_body else None
        self._tls = TlsClient(pool.tls, endpoint.address.host) if health.scheme == "https" else None

    def __call__(self, line: Wire) -> str:
        """Talk over a connected line, which is closed by its owner. Raises CheckFailed."""
        if self._tls is not None:
            line = self._tls.shake_hands(line)
        response = _Adapter(line).send(self._request)
        status = response.status_code
        if not any(status in statuses for statuses in self._statuses):
            raise CheckFailed(f"status {status}, expected {self._expected}")
        body = response.raw.read(MAX_BODY)
        if self._body is not None and not self._body.search(body):
            raise CheckFailed(f"body without {shown(self._pattern)}")
        return f"status {status}"


def _prepared(endpoint: EndpointConfig, pool: PoolConfig) -> PreparedRequest:
    health = pool.health
    authority = endpoint.address.authority
    host = f"[{health.host}]" if ":" in health.host else health.host or authority
    headers = {
        "Host": host,
        "User-Agent": f"lbg-health/{__version__}",
        "Accept-Encoding": "identity",
        **health.headers,
        "Connection": "close",
    }
    return requests.Request(health.method, f"{health.scheme}://{authority}{health.path}", headers).prepare()


class _Adapter(BaseAdapter):
    """The transport of requests for one exchange on a line that is connected already."""

    def __init__(self, line: Wire) -> None:
        super().__init__()
        self._line = line

    def send(self, request: PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Exchange the request for the head of its answer; the rest is for the owner of the line."""
        try:
            self._line.sendall(_head_of(request))
        except OSError:
            pass  # what it said before it closed says more than the failure to write
        answer = _Answer(_Received(self._line), request.method)
        answer.begin()
        response = requests.Response()
        response.request = request
        response.status_code = answer.status
        response.raw = answer
        return response

    def close(self) -> None:
        """Keep the line: it has an owner."""


def _head_of(request: PreparedRequest) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"{request.method} {request.path_url} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


class _Answer(HTTPResponse):
    """A response that is read as strictly as those to clients: what they could not get fails the check.

    Its methods raise CheckFailed.
    """

    def __init__(self, received: _Received, method: str | None) -> None:
        super().__init__(cast("socket", received), method=method)
        self._received = received

    def begin(self) -> None:
        """Read the final head."""
        try:
            super().begin()
            while 100 < self.status < 200 and self.status != 101:  # http.client skips 100 only
                self.headers = None  # type: ignore[assignment]
                super().begin()
        except RemoteDisconnected as error:
            raise CheckFailed("connection closed without an answer") from error
        except HTTPException as error:
            raise CheckFailed(f"invalid answer: {_fault(error)}") from error
        fault = _framing_fault(self)
        if fault:
            raise CheckFailed(f"invalid answer: {fault}")
        if self.length == 0:
            self.chunked = False  # 204 and 304 have no body, whatever their fields say

    def read(self, amt: int | None = None) -> bytes:
        """Return `amt` bytes of the body, fewer only when they are all of it."""
        try:
            body = super().read(amt)
        except (HTTPException, ValueError) as error:  # ValueError: a chunk of negative size
            raise CheckFailed(_CUT if self._received.ended else "invalid answer: bad chunk") from error
        if self.length and (amt is None or len(body) < amt):
            raise CheckFailed(_CUT)
        return body


def _fault(error: HTTPException) -> str:
    match error:
        case BadStatusLine():
            return "no HTTP status line"
        case UnknownProtocol():
            return "unknown HTTP version"
        case _:  # a line too long, or too many of them
            return "head too large"


def _framing_fault(answer: HTTPResponse) -> str:
    """Say why the end of a message cannot be told for certain (RFC 9112 section 6.3)."""
    if any(not isinstance(defect, _ABOUT_THE_BODY) for defect in answer.msg.defects):
        return "malformed header field"
    lengths = answer.msg.get_all("Content-Length", [])
    codings = answer.msg.get_all("Transfer-Encoding", [])
    if lengths and codings:
        return "Content-Length and Transfer-Encoding together"
    if len(set(lengths)) > 1 or any(not re.fullmatch(r"[0-9]+", length.strip()) for length in lengths):
        return "bad Content-Length"
    if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
        return "unknown Transfer-Encoding"
    return ""


class _Received(io.RawIOBase):
    """The bytes that come on a line, as http.client wants to be given them; `ended` after the last one."""

    def __init__(self, line: Wire) -> None:
        super().__init__()
        self.ended = False
        self._line = line
        self._total = 0

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Lines(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._line.recv_into(buffer)
        except ssl.SSLError as error:
            raise CheckFailed(tls_in_words(error)) from error
        except ConnectionResetError as error:
            where = "in the middle of the answer" if self._total else "without an answer"
            raise CheckFailed(f"connection reset {where}") from error
        except OSError as error:
            raise CheckFailed(f"connection failed: {in_words(error)}") from error
        self.ended = count == 0
        self._total += count
        return count


class _Lines(io.BufferedReader):
    """Refuses what http.client would let pass: a cut, a folded or a badly ended line, and endless ones."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self._total = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        begun = self._total > 0
        self._total += len(line)
        if self._total > MAX_HEAD:
            raise CheckFailed("invalid answer: head too large")
        if not line.endswith(b"\n"):
            if (not line and not begun) or len(line) == size:
                return line
            raise CheckFailed(_CUT)
        if not line.endswith(b"\r\n"):
            raise CheckFailed("invalid answer: bare line feed")
        if line[:1] in (b" ", b"\t"):
            raise CheckFailed("invalid answer: folded header field")
        return line
