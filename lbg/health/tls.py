"""TLS of the checks: a client's side of it over a line, and what went wrong in words."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from lbg.health.tcp_probe import CheckFailed, in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.pools import TlsConfig
    from lbg.health.tcp_probe import Wire

T = TypeVar("T")
Stamp = tuple[int, int]

_NAME_MISMATCH: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH
_RECORD: Final = 16384


class TlsClient:
    """Makes TLS of connections to one endpoint; files that were renewed are read at the next check."""

    __slots__ = ("_config", "_name")

    def __init__(self, config: TlsConfig, host: str) -> None:
        self._config = config
        self._name = (config.server_name or host).removesuffix(".")

    def shake_hands(self, line: Wire) -> TlsLine:
        """Return the encrypted line over a plain one, which keeps its owner. Raises CheckFailed."""
        encrypted = TlsLine(line, _context(self._config, _stamps(self._config)), self._name)
        try:
            encrypted.do_handshake()
        except OSError as error:
            raise CheckFailed(tls_in_words(error)) from error
        return encrypted


class TlsLine:
    """A line whose bytes are encrypted; its calls raise what those of a line do.

    Not an `ssl.SSLSocket`: gevent's leaks its descriptor when a connection is reset before the handshake.
    """

    __slots__ = ("_buffer", "_incoming", "_line", "_outgoing", "_tls")

    def __init__(self, line: Wire, context: ssl.SSLContext, name: str) -> None:
        self._line = line
        self._buffer = memoryview(bytearray(_RECORD))
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def do_handshake(self) -> None:
        """Agree on the keys and verify the endpoint's certificate."""
        self._step(self._tls.do_handshake)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        self._step(lambda: self._tls.write(data))

    def recv_into(self, buffer: memoryview) -> int:
        """Return how many bytes came, 0 at the end, announced or not."""
        try:
            data = self._step(lambda: self._tls.read(len(buffer)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return 0
        buffer[: len(data)] = data
        return len(data)

    def _step(self, call: Callable[[], T]) -> T:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._line.sendall(self._outgoing.read())

    def _fill(self) -> None:
        count = self._line.recv_into(self._buffer)
        if count:
            self._incoming.write(self._buffer[:count])
        else:
            self._incoming.write_eof()


def tls_in_words(error: OSError) -> str:
    """Say why a handshake or a record failed."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in _NAME_MISMATCH:
            return "TLS: certificate is for another name"
        case ssl.SSLCertVerificationError(verify_message=message):
            return f"TLS: {message}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionError():
            return "TLS: connection closed in the handshake"
        case ssl.SSLError(reason=str(reason)):
            return f"TLS: {reason.replace('_', ' ').lower()}"
        case _:
            return f"TLS: {in_words(error)}"


def _stamps(config: TlsConfig) -> tuple[Stamp, ...]:
    """Return what changes when one of the files does."""
    return tuple(_stamp(path) for path in (config.ca, config.cert, config.key) if path)


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError as error:
        raise CheckFailed(f"TLS: {os.path.basename(path)}: {in_words(error)}") from error
    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=64)
def _context(config: TlsConfig, _: tuple[Stamp, ...]) -> ssl.SSLContext:
    """Return the context that all endpoints of a pool share; the system's certificates take 20 ms to read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif config.ca:
        _load("tls.ca", lambda: context.load_verify_locations(config.ca))
    else:
        context.load_default_certs()
    if config.cert:
        # Without a password OpenSSL would ask for it on the terminal.
        _load("tls.cert", lambda: context.load_cert_chain(config.cert, config.key or None, password=""))
    return context


def _load(key: str, call: Callable[[], None]) -> None:
    try:
        call()
    except OSError as error:
        reason = getattr(error, "reason", None)
        why = reason.replace("_", " ").lower() if reason else in_words(error)
        raise CheckFailed(f"TLS: {key} cannot be used: {why}") from error
