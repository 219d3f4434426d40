"""HTTP by `requests` over a unix socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

if TYPE_CHECKING:
    from requests import PreparedRequest


class UnixAdapter(HTTPAdapter):
    """Sends every request to the socket at `path`, whatever the URL names."""

    def __init__(self, path: str) -> None:
        self._pool = _Pool("localhost", socket_path=path)
        super().__init__()

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,  # noqa: ARG002
        verify: Any,  # noqa: ARG002
        proxies: Any = None,  # noqa: ARG002
        cert: Any = None,  # noqa: ARG002
    ) -> HTTPConnectionPool:
        """Return the connections to the socket."""
        return self._pool

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
        super().close()


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, socket_path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = socket_path

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise NewConnectionError(self, str(error)) from error
        return sock


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
