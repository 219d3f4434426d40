"""One run of the demo, from its first process to its last."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING

from lbg.demo.balancer_process import BalancerProcess
from lbg.demo.keys import Keys
from lbg.demo.screen import Screen
from lbg.demo.stop_signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbg.config.schema import Config
    from lbg.demo.supervisor import Backend

_TICK = 0.1  # seconds in which a key, a signal or the end of a process is noticed
_USAGE_ERROR = 2  # what lbg ends with when it has told why it cannot start


class Session:
    """The backends, lbg in front of them and the person at the terminal."""

    def __init__(self, backends: Sequence[Backend], config: Config) -> None:
        self._backends = backends
        self._config = config
        self._screen = Screen()
        self._ready = False

    def run(self, environ: Mapping[str, str]) -> int:
        """Run until a signal comes or lbg ends, and return the exit status; no process stays behind.

        `environ` and the backends' URLs give lbg the configuration. The summary that lbg prints at its
        end is the last thing to be seen.
        """
        with ExitStack() as stack:
            stops = stack.enter_context(StopSignals())
            for backend in self._backends:
                stack.callback(backend.kill)
                backend.start(monotonic())
            urls = [backend.url for backend in self._backends]
            balancer = BalancerProcess(urls, environ, self._config)
            stack.callback(balancer.stop, stops.take)
            keys = stack.enter_context(Keys(sys.stdin))
            while stops.take() is None:
                if balancer.status is not None:
                    return self._ended(balancer.status)
                pressed = keys.wait(_TICK)
                self._look_at_backends(pressed if self._ready else "")
                self._welcome(balancer, keys)
        return 0

    def _look_at_backends(self, pressed: str) -> None:
        now = monotonic()
        for backend in self._backends:
            changes = [backend.toggle(now)] if backend.key in pressed else []
            changes.append(backend.look(now))
            for change in filter(None, changes):
                self._screen.change(change)

    def _welcome(self, balancer: BalancerProcess, keys: Keys) -> None:
        if not self._ready and balancer.serves():
            self._ready = True
            self._screen.welcome(self._config, self._backends, keys=keys.available)

    def _ended(self, status: int) -> int:
        if self._ready or status != _USAGE_ERROR:
            print(f"lbg demo: lbg ended by itself with status {status}", file=sys.stderr, flush=True)
        return status
