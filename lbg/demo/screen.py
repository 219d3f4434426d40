"""What the demo prints on stdout, with colours on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.config.schema import Config
    from lbg.demo.supervisor import Backend, Change
    from lbg.net.address import Bind

_UP = ("UP  ", "bold green")
_DOWN = ("DOWN", "bold red")
_PUBLIC = (
    ("", "/", "which backend answers"),
    ("", "/slow", "after 2 s; /slow?seconds=5 after 5"),
    ("-N ", "/events", "an event a second"),
    ("-d hello ", "/echo", "the request as a backend received it"),
)
_ADMIN = (
    ("/api/v1/status", "what lbg has counted"),
    ("/health/ready", "whether it can serve"),
)


class Screen:
    """Prints lines as they are, never wrapped."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def welcome(self, config: Config, backends: Sequence[Backend], *, keys: bool) -> None:
        """Tell what can be tried."""
        self._console.print(welcome_text(config, backends, keys=keys))

    def change(self, change: Change) -> None:
        """Tell in one line that a backend came up or went down."""
        clock = time.strftime("%H:%M:%S")
        word = _UP if change.up else _DOWN
        self._console.print(
            Text.assemble(f"{clock}  ", word, f"  {change.backend}  {change.url}  {change.detail}")
        )


def welcome_text(config: Config, backends: Sequence[Backend], *, keys: bool) -> str:
    """Return the text of the start: what to try, and how to stop and start a backend."""
    token = '-H "Authorization: Bearer $LBG_ADMIN__TOKEN" ' if config.admin.token else ""
    tries = [(curl(config.server.bind[0], path, flags), what) for flags, path, what in _PUBLIC]
    tries += [(curl(config.admin.bind, path, token), what) for path, what in _ADMIN]
    admin = config.admin.bind
    place = admin.text if admin.family == "unix" else admin.authority_from_here
    tries.append((f"{_lbg()} top --admin {place}", "all of it live, in the terminal"))
    width = max(len(command) for command, _ in tries)
    lines = [
        "",
        *_dashboard(admin, place),
        "lbg is ready. Try, as often as you like:",
        "",
        *(f"  {command:{width}}  # {what}" for command, what in tries),
        "",
        "Stop a backend and see who answers then; one that was killed starts again by itself:",
        "",
        *(f"  {backend.name}  {backend.url}  {_how_to_stop(backend, keys)}" for backend in backends),
        "",
        "Ctrl+C ends everything and prints a summary.",
        "",
    ]
    return "\n".join(lines)


def _dashboard(admin: Bind, place: str) -> list[str]:
    """Return where a browser finds it; none can open a Unix socket."""
    return [] if admin.family == "unix" else [f"Dashboard: http://{place}/", ""]


def _lbg() -> str:
    """Return how to call the command that this process was installed with."""
    installed = Path(sys.executable).with_name("lbg")
    return "lbg" if shutil.which("lbg") == str(installed) else os.path.relpath(installed)


def _how_to_stop(backend: Backend, keys: bool) -> str:
    if backend.pid is None:
        return "down, starts again soon"
    kill = f"kill {backend.pid}"
    return f"press {backend.key} to stop and to start it, or {kill}" if keys else kill


def curl(bind: Bind, path: str, flags: str = "") -> str:
    """Return the command that asks a listener for a path."""
    if bind.family == "unix":
        return f"curl {flags}--unix-socket {bind.path} http://localhost{path}"
    return f"curl {flags}http://{bind.authority_from_here}{path}"
