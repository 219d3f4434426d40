"""What the gunicorn master does for lbg: configuration, state directory, roles, the summary.

It loads the configuration, publishes it for the workers and keeps the last good one, so that a
broken file never stops it. It serves nothing and is not monkey-patched.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lbg.config.difference import difference
from lbg.config.load import START_VARIABLE, ConfigError, load
from lbg.config.references import check_references
from lbg.hooks.verify import verify
from lbg.net.address import Bind
from lbg.server import listeners, roles
from lbg.server.state_directory import StateDirectory, explain
from lbg.server.summary import summary, totals
from lbg.state.directory import Unusable
from lbg.state.layout import NoSlot
from lbg.state.publication import Unpublished

if TYPE_CHECKING:
    from lbg.config.load import Loaded
    from lbg.config.schema import Config
    from lbg.server.summary import Totals

log = logging.getLogger("lbg.master")

_INHERITED: Final = ("GUNICORN_FD", "LISTEN_FDS")
_DESCRIPTORS_PER_CONNECTION: Final = 2
_DESCRIPTORS_BESIDES: Final = 1024


class Master:
    """The master's state across reloads: the configuration in force and what it gave the workers."""

    def __init__(self) -> None:
        self.generation = 0
        self._start: Path | None = None
        self._loaded: Loaded | None = None
        self._state: StateDirectory | None = None
        self._totals: Totals = {}  # of the masters before this one
        self._listener_names: list[str] = []

    @property
    def config(self) -> Config:
        """The configuration in force."""
        if self._loaded is None:
            raise RuntimeError("the configuration was not loaded")
        return self._loaded.config

    @property
    def state(self) -> StateDirectory:
        """The state directory; there is none before gunicorn starts."""
        if self._state is None:
            raise RuntimeError("the state directory was not opened")
        return self._state

    def load(self) -> None:
        """Load the configuration, and publish it at a reload; exit with status 2 when the first is wrong."""
        # gunicorn changes it later, if told so: relative names are those of the command line.
        self._start = self._start or Path.cwd()
        try:
            loaded = load(os.environ, self._start)
            check_references(loaded, verify, Path.cwd())
            config = self._with_addresses_in_force(loaded.config)
            if self._state is not None:
                self._state.publish(config, loaded.source)
        except (ConfigError, NoSlot, Unusable, Unpublished, OSError, ValueError) as error:
            reason = explain(error, "the state directory")
            if self._loaded is None:
                _exit(reason)
            log.error("the configuration was not changed: %s", reason)  # noqa: TRY400 - one clear line
            if self._state is not None:
                self._state.series.note_load(loaded=False)
            return
        self._loaded = replace(loaded, config=config)

    def _with_addresses_in_force(self, config: Config) -> Config:
        """Return `config` with the addresses that are listened on.

        gunicorn closes all listeners when one changes and cannot bind them again while the old workers
        hold them: a reload would end the service.
        """
        if self._loaded is None:
            return config
        server, admin = self.config.server, self.config.admin
        waiting = difference(self.config, config).restart
        if waiting:
            log.error("%s: in force after a restart or USR2; the rest was reloaded", ", ".join(waiting))
        return config.model_copy(
            update={
                "server": config.server.model_copy(update={"bind": server.bind}),
                "admin": config.admin.model_copy(update={"bind": admin.bind}),
            }
        )

    @property
    def binds(self) -> list[Bind]:
        """All addresses to listen on, the admin one last."""
        return [*self.config.server.bind, self.config.admin.bind]

    def on_starting(self, server: Any) -> None:
        """Check that every address can be bound, and publish the configuration; exit with status 2 if not."""
        _raise_descriptor_limit(self.config.server.max_connections)
        _mend_restart_command(server.START_CTX["args"])
        if not any(variable in os.environ for variable in _INHERITED):
            self._refuse_addresses(server)
        self.open_state()

    def open_state(self) -> None:
        """Take the state directory and publish the configuration there; exit with status 2 if it cannot."""
        try:
            self._state = StateDirectory.start(os.environ, self.config, self.config_source)
        except (Unusable, NoSlot) as error:
            _exit(str(error))
        self._totals = totals(self.state.published, self.state.cells)

    def _refuse_addresses(self, server: Any) -> None:
        # gunicorn would try five times and say less.
        binds = _binds(server.cfg)
        complaints = [listeners.complaint(bind) for bind in binds]
        if len(server.cfg.address) == 1:
            complaints.append(f"no public address is left: {binds[0].text} is the admin address")
        found = [complaint for complaint in complaints if complaint]
        if found:
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
        return self._loaded.source if self._loaded else ""

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Give a worker its role, its slot and what it needs to know of the listeners."""
        siblings = server.WORKERS
        taken = self.state.taken_slots(siblings)
        roles.assign(worker, siblings.values(), self.generation, server.num_workers, taken)
        taken += [sibling.slot for sibling in siblings.values()]
        worker.slot = self.state.admit(worker.slot, taken)
        worker.listener_names = self._names_for(server)
        worker.settings = self.config.server

    def _names_for(self, server: Any) -> list[str]:
        if len(self._listener_names) != len(server.LISTENERS):  # a reload with other addresses
            self._listener_names = listeners.names(
                server.LISTENERS, _binds(server.cfg)[:-1], self.config.admin.bind
            )
        return self._listener_names

    def post_fork(self, server: Any, worker: Any) -> None:
        """In the new worker: tell the application where its cells are, and register."""
        worker.early_signals = server.SIG_QUEUE
        if self._start is not None:
            os.environ[START_VARIABLE] = str(self._start)
        self.state.enter(worker.slot, worker.role.number, self.generation)

    def child_exit(self, server: Any, worker: Any) -> None:  # noqa: ARG002
        """Take a dead worker's gauges out of the sums; its counters stay."""
        self.state.forget(worker.slot, worker.pid)

    def on_reload(self, server: Any) -> None:  # noqa: ARG002
        """Count generations of workers, so that a new one gets a control worker of its own."""
        self.generation += 1

    def pre_exec(self, server: Any) -> None:
        """Let the master of a USR2 hold the state directory together with this one."""
        self.state.hand_over(server.cfg.env_orig)

    def on_exit(self, server: Any) -> None:  # noqa: ARG002
        """Print the summary and let go of the state directory."""
        self.state.refresh()
        try:
            text = summary(self.state.published, self.state.cells, self._totals)
            print(text, file=sys.stderr, flush=True)
        except OSError:
            log.debug("nobody reads stderr any more")
        self.state.leave()


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
