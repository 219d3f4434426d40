"""Noticing that the configuration file has changed."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from lbg.config.problems import ConfigError
from lbg.health.monitor import NotInCharge
from lbg.state.layout import NoSlot
from lbg.state.publication import Unpublished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("lbg.config")

_INTERVAL: Final = 1.0  # seconds
_PATIENCE: Final = 10  # looks
Mark = tuple[int, int, int]
_UNSEEN: Final[Mark] = (-1, -1, -1)


class ConfigWatch:
    """Calls `reload` once `path` has another content and has then stayed the same for a look, and at first.

    A file that is gone, or whose content is wrong, leaves everything as it is; `reload` tells of it, and
    `miss` of one that is gone.
    """

    def __init__(self, path: Path, reload: Callable[[], object], miss: Callable[[], object]) -> None:
        self._path = path
        self._reload = reload
        self._miss = miss
        # The configuration in force may be of a file before this one.
        self._known: Mark | None = _UNSEEN
        self._last: Mark | None = _UNSEEN
        self._pause = 0  # looks
        self._stopping = threading.Event()

    def start(self) -> None:
        """Look once a second from now on, in a thread of its own."""
        self._stopping = threading.Event()  # the one before belongs to a parent
        threading.Thread(target=self._run, name="lbg-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self) -> None:
        stopping = self._stopping
        while not stopping.wait(_INTERVAL):
            self.look()

    def look(self) -> None:
        """Look once."""
        if self._pause:
            self._pause -= 1
            return
        mark = self._mark()
        settled, self._last = mark == self._last, mark
        if mark == self._known or not settled:
            return
        try:
            if mark is None:
                self._miss()
            else:
                self._reload()
        except NotInCharge:
            return  # whoever is looks as well, and this process perhaps later
        except (Unpublished, OSError):
            self._pause = _PATIENCE  # told already; it may go better later
            return
        except (ConfigError, NoSlot):
            pass  # told already, and the next version of the file will be looked at
        except Exception:
            log.exception("the configuration could not be reloaded")
        self._known = mark

    def _mark(self) -> Mark | None:
        """Return what changes when the file does, None when there is no file."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
