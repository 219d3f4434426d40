"""What the gunicorn master does for lbg: configuration, state directory, roles, the summary.

It loads the configuration, publishes it for the workers and keeps the last good one, so that a
broken file never stops it. It serves nothing and is not monkey-patched.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lbg.config.load import ConfigError, load
from lbg.config.snapshot import Snapshot
from lbg.net.address import Bind
from lbg.server import listeners, roles
from lbg.state import directory
from lbg.state.cells import Cells
from lbg.state.document import Published, decode, encode
from lbg.state.layout import Field, NoSlot, assign_slots, identity

if TYPE_CHECKING:
    from lbg.config.schema import Config

log = logging.getLogger("lbg.master")

_HANDED_OVER: Final = "LBG_STATE_HANDED_OVER"  # to the next master at USR2, with the pid that may use it
_INHERITED: Final = ("GUNICORN_FD", "LISTEN_FDS")
_DESCRIPTORS_PER_CONNECTION: Final = 2
_DESCRIPTORS_BESIDES: Final = 1024


class Master:
    """The master's state across reloads. `published` is the configuration in force."""

    def __init__(self) -> None:
        self.generation = 0
        self.published: Published | None = None
        self._directory: Path | None = None
        self._fresh = False
        self._cells: Cells | None = None
        self._listener_names: list[str] = []

    @property
    def config(self) -> Config:
        """The configuration in force."""
        if self.published is None:
            raise RuntimeError("the configuration was not loaded")
        return self.published.snapshot.config

    def load(self) -> None:
        """Load and publish the configuration; at the first time exit with status 2 when it is wrong."""
        try:
            loaded = load(os.environ, Path.cwd())
            config = self._with_addresses_in_force(loaded.config)
            self._publish(Snapshot.of(config, self._next_generation(), loaded.source))
        except (ConfigError, NoSlot, OSError, ValueError, directory.UnsafeDirectory) as error:
            if self.published is None:
                _exit(str(error))
            log.error("the configuration was not changed: %s", error)  # noqa: TRY400 - one clear line

    def _with_addresses_in_force(self, config: Config) -> Config:
        """Return `config` with the addresses that are listened on.

        gunicorn closes all listeners when one changes and cannot bind them again while the old workers
        hold them: a reload would end the service.
        """
        if self.published is None:
            return config
        server, admin = self.config.server, self.config.admin
        if (config.server.bind, config.admin.bind) != (server.bind, admin.bind):
            log.error("server.bind and admin.bind change at a restart or USR2 only; the rest was reloaded")
        return config.model_copy(
            update={
                "server": config.server.model_copy(update={"bind": server.bind}),
                "admin": config.admin.model_copy(update={"bind": admin.bind}),
            }
        )

    def _next_generation(self) -> int:
        return 1 if self.published is None else self.published.snapshot.generation + 1

    def _publish(self, snapshot: Snapshot) -> None:
        if self._directory is None:
            self._directory, self._fresh = directory.prepare(os.environ.get(directory.VARIABLE))
            self._fresh = self._fresh or os.environ.pop(_HANDED_OVER, "") == str(os.getppid())
        if self._cells is None:
            self._cells = Cells.open(self._directory, create=True)
        wanted = [
            identity(name, endpoint.address.text)
            for name, pool in snapshot.config.pools.items()
            for endpoint in pool.endpoints
        ]
        published = Published(snapshot, assign_slots(self._known_slots(), wanted))
        directory.publish(self._directory, encode(published))
        self.published = published

    def _known_slots(self) -> dict[str, int]:
        if self.published is not None:
            return self.published.slots
        if self._directory is None:
            return {}
        try:
            return decode(directory.read(self._directory)).slots
        except FileNotFoundError:
            return {}
        except ValueError as error:
            log.warning("the old directory document in %s is not readable: %s", self._directory, error)
            return {}

    @property
    def binds(self) -> list[Bind]:
        """All addresses to listen on, the admin one last."""
        return [*self.config.server.bind, self.config.admin.bind]

    def on_starting(self, server: Any) -> None:
        """Check that every address can be bound, before gunicorn tries five times and says less."""
        _raise_descriptor_limit(self.config.server.max_connections)
        _mend_restart_command(server.START_CTX["args"])
        if any(variable in os.environ for variable in _INHERITED):
            return
        binds = _binds(server.cfg)
        complaints = [listeners.complaint(bind) for bind in binds]
        if len(server.cfg.address) == 1:
            complaints.append(f"no public address is left: {binds[0].text} is the admin address")
        found = [complaint for complaint in complaints if complaint]
        if found:
            self._remove_directory()
            _exit("\n".join(found))

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:  # noqa: ARG002
        """Keep what lbg needs: gunicorn calls this at TTIN and TTOU, and when it has read its settings."""
        self._keep_admin_listener(server)
        if new == 1 and any(worker.role is roles.Role.CONTROL for worker in server.WORKERS.values()):
            log.warning("TTOU: the last proxy worker stays")
            server.num_workers = 2

    def _keep_admin_listener(self, server: Any) -> None:
        """Add the admin address to the binds again when `-b` on the command line replaced them."""
        admin = self.config.admin.bind
        if not any(bind == admin for bind in _binds(server.cfg)):
            server.cfg.set("bind", [*server.cfg.bind, admin.text])

    def when_ready(self, server: Any) -> None:
        """Find out which listener is which, and tell where lbg can be reached."""
        public = _binds(server.cfg)[:-1]
        self._listener_names = listeners.names(server.LISTENERS, public, self.config.admin.bind)
        for listener, name in zip(server.LISTENERS, self._listener_names, strict=True):
            log.info("%s listener: %s", name, listener)
        log.info(
            "configuration: %s, %d endpoints", self.config_source, sum(map(_size, self.config.pools.values()))
        )

    @property
    def config_source(self) -> str:
        """The file, or the variable, that the configuration came from."""
        return self.published.snapshot.source if self.published else ""

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Give a worker its role, its slot and what it needs to know of the listeners."""
        roles.assign(
            worker, server.WORKERS.values(), self.generation, server.num_workers, self._taken_slots()
        )
        worker.listener_names = self._names_for(server)
        worker.settings = self.config.server

    def _taken_slots(self) -> list[int]:
        """Return the slots of live workers, those of the other master of a USR2 included."""
        if self._cells is None:
            return []
        return [slot for slot, pid, _, _ in self._cells.workers() if _is_alive(pid)]

    def _names_for(self, server: Any) -> list[str]:
        if len(self._listener_names) != len(server.LISTENERS):  # a reload with other addresses
            self._listener_names = listeners.names(
                server.LISTENERS, _binds(server.cfg)[:-1], self.config.admin.bind
            )
        return self._listener_names

    def post_fork(self, server: Any, worker: Any) -> None:
        """In the new worker: tell the application where its cells are, and register."""
        worker.early_signals = server.SIG_QUEUE
        os.environ[directory.VARIABLE] = str(self._directory)
        os.environ[directory.SLOT_VARIABLE] = str(worker.slot)
        if self._cells is not None:
            self._cells.register(worker.slot, os.getpid(), worker.role.number, self.generation)

    def child_exit(self, server: Any, worker: Any) -> None:  # noqa: ARG002
        """Take a dead worker's gauges out of the sums; its counters stay."""
        if self._cells is not None:
            self._cells.forget(worker.slot, worker.pid)

    def on_reload(self, server: Any) -> None:  # noqa: ARG002
        """Count generations of workers, so that a new one gets a control worker of its own."""
        self.generation += 1

    def pre_exec(self, server: Any) -> None:
        """Let the master of a USR2 take over the state directory."""
        server.cfg.env_orig[directory.VARIABLE] = str(self._directory)
        if self._fresh:
            server.cfg.env_orig[_HANDED_OVER] = str(os.getppid())

    def on_exit(self, server: Any) -> None:
        """Print the summary and remove a state directory that nobody asked to keep."""
        try:
            print(self.summary(), file=sys.stderr, flush=True)
        except OSError:
            log.debug("nobody reads stderr any more")
        # During a USR2 two masters share the directory: the last one removes it.
        alone = not server.reexec_pid and server.master_pid != os.getppid()
        if alone:
            self._remove_directory()

    def _remove_directory(self) -> None:
        if self._fresh and self._directory is not None:
            directory.remove(self._directory)

    def summary(self) -> str:
        """Return the requests served, in all and per endpoint."""
        if self.published is None or self._cells is None:
            return ""
        lines = []
        total = 0
        for name, slot in self.published.slots.items():
            requests = self._cells.total(slot, Field.REQUESTS)
            failures = self._cells.total(slot, Field.FAILURES)
            total += requests
            failed = f", {failures} failed attempts" if failures else ""
            lines.append(f"  {name}: {requests} requests{failed}")
        return "\n".join([f"lbg answered {total} requests from its endpoints", *lines])


def _size(pool: Any) -> int:
    return len(pool.endpoints)


def _binds(cfg: Any) -> list[Bind]:
    """Return gunicorn's addresses, which `-b` may have replaced, as ours."""
    return [
        Bind("tcp", address[0], address[1], "")
        if isinstance(address, tuple)
        else Bind("unix", "", 0, str(address))
        for address in cfg.address
        if not isinstance(address, int)
    ]


def _raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit of open files as far as the connections need it and the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * _DESCRIPTORS_PER_CONNECTION + _DESCRIPTORS_BESIDES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _mend_restart_command(args: list[str]) -> None:
    """Let USR2 work after `python -m gunicorn`.

    gunicorn would execute its `__main__.py` by path then, whose directory holds a package `http`
    that hides the standard library's.
    """
    if args[1:] and args[1].endswith("__main__.py"):
        args[1:2] = ["-m", "gunicorn"]


def _exit(message: str) -> None:
    for line in message.splitlines():
        print(f"lbg: {line}", file=sys.stderr, flush=True)
    sys.exit(2)


MASTER: Final = Master()
"""The one of this process: gunicorn's settings and hooks find it here after every reload."""
