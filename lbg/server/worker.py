"""The gunicorn worker: gevent underneath, our own loop per connection, a role from the master."""

from __future__ import annotations

import resource
import signal
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.pool import Pool
from gunicorn.workers.ggevent import GeventWorker

from lbg.config.schema import ServerConfig
from lbg.server.acceptor import Acceptor, AdminAcceptor
from lbg.server.roles import Role
from lbg.server.service import Service

if TYPE_CHECKING:
    from collections.abc import Collection

_POLL: Final = 0.1  # seconds in which a signal is noticed
_HEARTBEAT: Final = 1.0
_STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_QUICK_GRACE: Final = 2.0  # seconds that Ctrl+C leaves open requests
_ADMIN_CONNECTIONS: Final = 256
_ADMIN_SHARE: Final = 8  # the part of all descriptors that these may have: health checks need theirs


class ProxyWorker(GeventWorker):
    """Serves the listeners of its role. `pre_fork` sets `role`, `slot` and `generation`."""

    keeps_to_its_role = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alive = True
        self.role = Role.COMBINED
        self.slot = 0
        self.generation = 0
        self.listener_names: list[str] = []
        self.settings = ServerConfig()
        self.early_signals: SimpleQueue[int] = SimpleQueue()
        self._hurried = False

    def __str__(self) -> str:
        return f"<{self.role} worker {self.pid}>"

    def run(self) -> None:
        """Serve until told to stop, then let open requests finish for the grace period."""
        service = Service(self.wsgi, self.settings)
        attach = getattr(self.wsgi, "attach", None)
        if attach is not None:
            attach(service)
        pool = Pool(self.worker_connections)
        acceptors = self._acceptors(service, pool)
        pools = {acceptor.pool for acceptor in acceptors}
        for acceptor in acceptors:
            acceptor.start()
        self._heed_early_signals()
        heartbeat = 0.0
        while self.alive:
            if monotonic() - heartbeat >= _HEARTBEAT:
                heartbeat = monotonic()
                self.notify()
            gevent.sleep(_POLL)
            if service.requests >= self.max_requests:
                self.log.info("%s: ends after %d requests", self, service.requests)
                self.alive = False
        for acceptor in acceptors:
            acceptor.close()
        service.stop()
        stop = getattr(self.wsgi, "stop", None)
        if stop is not None:
            stop()
        self._drain(pools)
        close = getattr(self.wsgi, "close", None)
        if close is not None:
            close()

    def _heed_early_signals(self) -> None:
        """Stop if told so before our own handlers were there.

        Until then the master's handler, inherited by the fork, puts signals into its queue, which is
        nobody's in this process: a stop right after the start would be lost.
        """
        while not self.early_signals.empty():
            if self.early_signals.get() in _STOP_SIGNALS:
                self.alive = False

    def _acceptors(self, service: Service, pool: Pool) -> list[Acceptor]:
        acceptors = []
        names = self.listener_names or ["public"] * len(self.sockets)
        for listener, name in zip(self.sockets, names, strict=True):
            if name not in self.role.listeners:
                listener.close()
                continue
            listener.setblocking(False)
            acceptors.append(self._acceptor(listener, service, pool, name))
        return acceptors

    def _acceptor(self, listener: Any, service: Service, pool: Pool, name: str) -> Acceptor:
        multiprocess = self.cfg.workers > 1
        if name != "admin":
            return Acceptor(listener, service, pool, name=name, multiprocess=multiprocess)
        limit = admin_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        return AdminAcceptor(listener, service, limit, name=name, multiprocess=multiprocess)

    def _drain(self, pools: Collection[Pool]) -> None:
        grace = min(self.settings.shutdown_grace, self.cfg.graceful_timeout)
        begun = monotonic()
        while any(pools) and monotonic() - begun < (_QUICK_GRACE if self._hurried else grace):
            self.notify()
            next(filter(len, pools)).join(timeout=_POLL)
        left = sum(map(len, pools))
        if left:
            self.log.warning("%s: cut %d connections, their grace period was over", self, left)
        for pool in pools:
            pool.kill(timeout=1)

    def handle_quit(self, sig: int, frame: Any) -> None:  # noqa: ARG002
        """Stop as for TERM, but soon: INT or QUIT, Ctrl+C on a terminal."""
        self._hurried = True
        self.alive = False

    def handle_usr1(self, sig: int, frame: Any) -> None:  # noqa: ARG002
        """Reopen log files."""
        gevent.spawn(self._reopen_logs)

    def _reopen_logs(self) -> None:
        self.log.reopen_files()
        reopen = getattr(getattr(self, "wsgi", None), "reopen_logs", None)  # it may still be loading
        if reopen is not None:
            reopen()


def admin_connections(descriptors: int) -> int:
    """Return how many connections the admin listener may have in a process with so many descriptors."""
    if descriptors == resource.RLIM_INFINITY:
        return _ADMIN_CONNECTIONS
    return max(2, min(_ADMIN_CONNECTIONS, descriptors // _ADMIN_SHARE))
