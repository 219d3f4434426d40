"""Active checks of one endpoint: what they tell, and the time they may take."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, Self

from lbg.health.http_probe import HttpCheck
from lbg.health.tcp_probe import CheckFailed, Dialer, OutOfTime, tcp_check
from lbg.net.faults import OWN_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.pools import EndpointConfig, PoolConfig
    from lbg.health.tcp_probe import Line

MAX_TEXT: Final = 127  # bytes

_UNPRINTABLE: Final = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one check found: `text` in words, at most 127 printable ASCII characters, without addresses.

    `connected` says that the endpoint accepted the connection, `timed_out` that the whole answer was not
    there in time. One that was not `made`, by a fault of ours, says nothing about the endpoint.
    """

    passed: bool
    text: str
    seconds: float
    timed_out: bool
    connected: bool
    made: bool = True

    @classmethod
    def unmade(cls, why: str) -> Self:
        """Return what stands for a check that could not be made."""
        return cls(False, _plain(f"check not made: {why}"), 0.0, False, False, made=False)


class Probe(Protocol):
    """Checks one endpoint."""

    def check(self, timeout: float) -> ProbeResult:
        """Take at most `timeout` seconds, whatever the endpoint does; it never raises for that."""


def probe_of(endpoint: EndpointConfig, pool: PoolConfig) -> Probe | None:
    """Return the probe that a pool wants for one of its endpoints, None when it wants no checks."""
    if pool.health.type == "none":
        return None
    address = endpoint.address
    if pool.health.port:
        address = replace(address, port=pool.health.port)
    check = tcp_check if pool.health.type == "tcp" else HttpCheck(endpoint, pool)
    return _TimedProbe(Dialer(address), check)


class _TimedProbe:
    """Connects, talks and closes within one timeout."""

    __slots__ = ("_dialer", "_talk")

    def __init__(self, dialer: Dialer, talk: Callable[[Line], str]) -> None:
        self._dialer = dialer
        self._talk = talk

    def __repr__(self) -> str:
        return f"<Probe {self._dialer!r} {self._talk!r}>"

    def check(self, timeout: float) -> ProbeResult:
        began = monotonic()
        line = None
        passed = timed_out = False
        try:
            line = self._dialer.connect(began + timeout)
            text = self._talk(line)
            passed = True
        except OutOfTime as late:
            text = f"{late} after {float(timeout)} s"
            timed_out = True
        except CheckFailed as failure:
            if _is_our_fault(failure.__cause__):
                return ProbeResult.unmade(str(failure))
            text = str(failure)
        finally:
            if line is not None:
                line.close()
        seconds = monotonic() - began
        if passed:
            text += f" in {max(1, round(seconds * 1000))} ms"
        return ProbeResult(passed, _plain(text), seconds, timed_out, line is not None)


def _is_our_fault(cause: BaseException | None) -> bool:
    # TLS and the resolver have numbers of their own: 1 is any TLS failure, and EPERM.
    foreign = isinstance(cause, (ssl.SSLError, socket.gaierror))
    return isinstance(cause, OSError) and not foreign and cause.errno in OWN_FAULTS


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:MAX_TEXT]
