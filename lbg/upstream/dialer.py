"""Connecting to one address, for requests."""

from __future__ import annotations

import errno
import os
import socket as stdlib_socket
from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent
from gevent import socket as gevent_socket

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.net.faults import OWN_FAULTS
from lbg.net.stream import Socket, Stream

if TYPE_CHECKING:
    from lbg.net.address import Address, Sockaddr

_IN_PROGRESS: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})


class Dialer:
    """Makes connections to `address`. A name is looked up for each, the last answer kept for an outage."""

    __slots__ = ("_address", "_literal", "_resolved")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._literal = address.literal
        self._resolved: list[tuple[int, Sockaddr]] = []

    def __repr__(self) -> str:
        return f"<Dialer {self._address}>"

    def connect(self, timeout: float) -> Stream:
        """Return a connected stream, from the first of the addresses that answers.

        `timeout` is in seconds, for each of them. Raises UpstreamError with nothing sent.
        """
        failure: UpstreamError | None = None
        for family, sockaddr in self._literal or self._resolve(timeout):
            try:
                return self._connect_to(family, sockaddr, timeout)
            except UpstreamError as error:
                failure = error
        raise failure or _failed("dns_failure", f"{self._address.host} has no address")

    def _connect_to(self, family: int, sockaddr: Sockaddr, timeout: float) -> Stream:
        try:
            sock = Socket(family, stdlib_socket.SOCK_STREAM)
        except OSError as error:  # no descriptors left
            raise _failed("connect_refused", f"connect failed: {error.strerror}", blameless=True) from error
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

    def _await_connect(self, stream: Stream, sockaddr: Sockaddr, timeout: float) -> None:
        stream.deadline = monotonic() + timeout
        code = stream.sock.connect_ex(sockaddr)
        if code == errno.EAGAIN and isinstance(sockaddr, str):
            raise _failed("connect_refused", "connect refused: the backlog is full")  # unix(7)
        if code in _IN_PROGRESS:
            try:
                stream.wait_writable()
            except StreamTimeout:
                raise _failed("connect_timeout", f"connect timeout after {timeout} s") from None
            code = stream.sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        if code == errno.ETIMEDOUT:
            raise _failed("connect_timeout", "connect timeout by the system")
        if code:
            raise _failed("connect_refused", f"connect {_in_words(code)}", blameless=code in OWN_FAULTS)

    def _resolve(self, timeout: float) -> list[tuple[int, Sockaddr]]:
        late = _failed("dns_failure", f"{self._address.host}: not resolved within {timeout} s")
        try:
            with gevent.Timeout(timeout, late):
                found = gevent_socket.getaddrinfo(
                    self._address.host, self._address.port, type=stdlib_socket.SOCK_STREAM
                )
        except (OSError, UpstreamError) as error:
            if self._resolved:
                return self._resolved  # an outage of the resolver is none of the endpoint
            if error is late:
                raise
            raise _failed("dns_failure", f"{self._address.host}: {_told(error)}") from error
        self._resolved = [(family, sockaddr) for family, _, _, _, sockaddr in found]
        return self._resolved


def _failed(reason: str, detail: str, *, blameless: bool = False) -> UpstreamError:
    return UpstreamError(reason, detail, sent=Sent.NOTHING, blameless=blameless)


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _in_words(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "refused"
    return f"failed: {os.strerror(code).lower()}"
