"""What other servers than lbg's own leave to us: threads, and which listener a request came by."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from gevent.monkey import get_original

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.net.address import Bind

log = logging.getLogger("lbg.app")


class FirstThread:
    """Connections belong to the event loop of the native thread that made them, and so does a worker."""

    def __init__(self) -> None:
        self._seen = (0, 0)  # process, thread
        self._told = False
        self._ident = get_original("_thread", "get_ident")

    def is_another(self) -> bool:
        """Return whether this thread is not the first one that asked in this process."""
        here = os.getpid(), self._ident()
        if self._seen[0] != here[0]:
            self._seen = here
        elif self._seen != here:
            if not self._told:
                self._told = True
                log.error(
                    "requests come in several threads, which lbg does not serve: use gevent, or one thread"
                )
            return True
        return False


def refuse_thread(start_response: Any) -> Iterable[bytes]:
    body = b"lbg serves one thread, or gevent: see its log.\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("500 Internal Server Error", headers)
    return [body]


def came_by(environ: Mapping[str, Any], admin: Bind) -> bool:
    """Return whether another server than ours accepted the request on the admin address.

    Only the socket tells: SERVER_NAME and SERVER_PORT may be the client's own words.
    """
    sock = environ.get("gunicorn.socket")
    if sock is None:
        return False
    name = sock.getsockname()
    return bool(name == (admin.path if admin.family == "unix" else (admin.host, admin.port)))
