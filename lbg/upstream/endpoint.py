"""One address of a pool: its counters, and connecting to it."""

from __future__ import annotations

import errno
import os
import socket as stdlib_socket
from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent
from gevent import socket as gevent_socket

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.net.stream import Socket, Stream
from lbg.state.layout import Field

if TYPE_CHECKING:
    from lbg.config.schema import EndpointConfig
    from lbg.net.address import Address
    from lbg.state.cells import Cells
    from lbg.upstream.idle import IdleConnections

SocketAddress = tuple[str, int] | str

_IN_PROGRESS: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})

_REQUESTS: Final = int(Field.REQUESTS)
_FAILURES: Final = int(Field.FAILURES)
_CONNECT_FAILURES: Final = int(Field.CONNECT_FAILURES)
_IN_FLIGHT: Final = int(Field.IN_FLIGHT)


class Endpoint:
    """An address with a weight, its idle connections, and its cells.

    `base` is the index of the first of the cells in which this worker counts for it.
    """

    __slots__ = ("_base", "_cells", "_literal", "address", "host_line", "idle", "name", "weight")

    def __init__(self, config: EndpointConfig, idle: IdleConnections, cells: Cells, base: int) -> None:
        address = config.address
        self.address = address
        self.name = address.text
        self.weight = config.weight
        self.idle = idle
        self.host_line = b"Host: %b\r\n" % address.authority.encode("ascii")
        self._cells = cells.view
        self._base = base
        self._literal = _literal(address)

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} weight={self.weight}>"

    def began(self) -> None:
        """Count one more request in flight."""
        self._cells[self._base + _IN_FLIGHT] += 1

    def ended(self, *, answered: bool, connected: bool) -> None:
        """Count one request less in flight, and how it went."""
        cells, base = self._cells, self._base
        cells[base + _IN_FLIGHT] -= 1
        if answered:
            cells[base + _REQUESTS] += 1
            return
        cells[base + _FAILURES] += 1
        if not connected:
            cells[base + _CONNECT_FAILURES] += 1

    def left(self) -> None:
        """Count one request less in flight that says nothing about the endpoint: its client went away."""
        self._cells[self._base + _IN_FLIGHT] -= 1

    def connect(self, timeout: float) -> Stream:
        """Return a connected stream, from the first of the endpoint's addresses that answers.

        `timeout` is in seconds, for each of them. Raises UpstreamError with nothing sent.
        """
        failure: UpstreamError | None = None
        for family, sockaddr in self._literal or self._resolve(timeout):
            try:
                return self._connect_to(family, sockaddr, timeout)
            except UpstreamError as error:
                failure = error
        raise failure or self._failed("dns_failure", f"{self.address.host} has no address")

    def _connect_to(self, family: int, sockaddr: SocketAddress, timeout: float) -> Stream:
        try:
            sock = Socket(family, stdlib_socket.SOCK_STREAM)
        except OSError as error:  # no descriptors left
            raise self._failed("connect_refused", f"connect failed: {error.strerror}") from error
        sock.setblocking(False)
        stream = Stream(sock)
        try:
            if family != stdlib_socket.AF_UNIX:
                sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
            self._await_connect(stream, sockaddr, timeout)
        except BaseException:
            stream.close()
            raise
        return stream

    def _await_connect(self, stream: Stream, sockaddr: SocketAddress, timeout: float) -> None:
        stream.deadline = monotonic() + timeout
        code = stream.sock.connect_ex(sockaddr)
        if code == errno.EAGAIN and isinstance(sockaddr, str):
            raise self._failed("connect_refused", "connect refused: the backlog is full")  # unix(7)
        if code in _IN_PROGRESS:
            try:
                stream.wait_writable()
            except StreamTimeout:
                raise self._failed("connect_timeout", f"connect timeout after {timeout} s") from None
            code = stream.sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        if code == errno.ETIMEDOUT:
            raise self._failed("connect_timeout", "connect timeout by the system")
        if code:
            raise self._failed("connect_refused", f"connect {_in_words(code)}")

    def _resolve(self, timeout: float) -> list[tuple[int, SocketAddress]]:
        late = self._failed("dns_failure", f"{self.address.host}: not resolved within {timeout} s")
        try:
            with gevent.Timeout(timeout, late):
                found = gevent_socket.getaddrinfo(
                    self.address.host, self.address.port, type=stdlib_socket.SOCK_STREAM
                )
        except OSError as error:
            raise self._failed("dns_failure", f"{self.address.host}: {error.strerror or error}") from error
        return [(family, sockaddr) for family, _, _, _, sockaddr in found]

    def _failed(self, reason: str, detail: str) -> UpstreamError:
        return UpstreamError(reason, detail, sent=Sent.NOTHING)


def _literal(address: Address) -> list[tuple[int, SocketAddress]]:
    """Return the socket address that needs no look-up, nothing for a name."""
    if address.family == "unix":
        return [(stdlib_socket.AF_UNIX, address.path)]
    for family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
        try:
            stdlib_socket.inet_pton(family, address.host)
        except OSError:
            continue
        return [(family, (address.host, address.port))]
    return []


def _in_words(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "refused"
    return f"failed: {os.strerror(code).lower()}"
