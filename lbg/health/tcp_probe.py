"""Connecting to an endpoint for a check, and the check that does no more than that.

Plain blocking sockets with a timeout for what is left of the check: where gevent has patched them only
the greenlet waits, elsewhere only the thread.
"""

from __future__ import annotations

import errno
import socket
from contextlib import nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import gevent
from gevent.monkey import is_module_patched

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lbg.net.address import Address, Sockaddr

_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})


class CheckFailed(Exception):
    """The endpoint failed a check; str() says why, in words and without anything the endpoint sent."""


class OutOfTime(CheckFailed):
    """The time of a check is over; str() says what it was spent on."""


class Wire(Protocol):
    """What a check talks over: a line, or TLS on one. OSError and CheckFailed leave it."""

    def sendall(self, data: bytes) -> None: ...
    def recv_into(self, buffer: memoryview) -> int: ...


class Line:
    """A connected socket until `deadline`, CLOCK_MONOTONIC seconds.

    Its calls raise OutOfTime then, and OSError as those of a socket do.
    """

    __slots__ = ("_deadline", "_sock")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self._sock.settimeout(left(self._deadline, "timeout"))
        try:
            self._sock.sendall(data)
        except TimeoutError as error:
            raise _late(error, "timeout") from error

    def recv_into(self, buffer: memoryview) -> int:
        """Return how many bytes came, 0 at the end."""
        self._sock.settimeout(left(self._deadline, "timeout"))
        try:
            return self._sock.recv_into(buffer)
        except TimeoutError as error:
            raise _late(error, "timeout") from error

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class Dialer:
    """Connects to one address, a new connection each time."""

    __slots__ = ("_address", "_literal", "_resolved")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._literal = address.literal
        self._resolved: list[tuple[int, Sockaddr]] = []

    def __repr__(self) -> str:
        return f"<Dialer {self._address}>"

    def connect(self, deadline: float) -> Line:
        """Return a line to the first of the addresses that answers. Raises CheckFailed."""
        failure = CheckFailed(f"name without an address: {self._address.host}")
        for family, sockaddr in self._literal or self._resolve(deadline):
            try:
                return _connect(family, sockaddr, deadline)
            except OutOfTime:
                raise
            except CheckFailed as error:
                failure = error
        raise failure

    def _resolve(self, deadline: float) -> list[tuple[int, Sockaddr]]:
        host = self._address.host
        try:
            with _look_up_limit(deadline):
                found = socket.getaddrinfo(host, self._address.port, type=socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                raise CheckFailed(f"name not found: {host}") from error
            if self._resolved:
                return self._resolved  # an outage of the resolver is none of the endpoint
            raise CheckFailed(f"name look-up failed: {in_words(error)}") from error
        self._resolved = [(family, sockaddr) for family, _, _, _, sockaddr in found]
        return self._resolved


def tcp_check(_: Wire) -> str:
    """Pass: that the endpoint accepts connections is all there is to see."""
    return "connected"


def left(deadline: float, what: str) -> float:
    """Return the seconds until `deadline`; raises OutOfTime when there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise OutOfTime(what)
    return seconds


def in_words(error: OSError) -> str:
    """Say what an error of the system means, without numbers and addresses."""
    if error.errno in _NO_DESCRIPTOR:
        return "no file descriptors left"
    return (error.strerror or "unknown reason").lower()


def _late(error: TimeoutError, what: str) -> Exception:
    """Tell our own timeout, which has no number, from that of the system."""
    return OutOfTime(what) if error.errno is None else error


def _look_up_limit(deadline: float) -> AbstractContextManager[object]:
    """Return what ends a look-up under gevent; a thread cannot be freed from the resolver."""
    what = "name look-up timeout"
    seconds = left(deadline, what)
    return gevent.Timeout(seconds, OutOfTime(what)) if is_module_patched("socket") else nullcontext()


def _connect(family: int, sockaddr: Sockaddr, deadline: float) -> Line:
    seconds = left(deadline, "connect timeout")
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CheckFailed(in_words(error)) from error
    try:
        # A unix socket connects at once or never, and gevent would spin on one with a full backlog.
        sock.settimeout(0.0 if family == socket.AF_UNIX else seconds)
        sock.connect(sockaddr)
    except OSError as error:
        sock.close()
        raise _refusal(error) from error
    except BaseException:
        sock.close()
        raise
    return Line(sock, deadline)


def _refusal(error: OSError) -> CheckFailed:
    match error:
        case ConnectionRefusedError():
            return CheckFailed("connect refused")
        case BlockingIOError():
            return CheckFailed("connect refused: the backlog is full")  # EAGAIN, unix(7)
        case TimeoutError(errno=errno.ETIMEDOUT):
            return CheckFailed("connect timeout by the system")
        case TimeoutError():
            return OutOfTime("connect timeout")
        case _:
            return CheckFailed(f"connect failed: {in_words(error)}")
