"""Which requests are kept with what is known of them, and where. One that is not costs 0.1 µs."""

from __future__ import annotations

import logging
from random import random
from time import monotonic_ns, time
from typing import TYPE_CHECKING, Any, Final

from lbg.state.gcra import Rate, advance
from lbg.state.trace_layout import Ring
from lbg.telemetry.trace_document import Ended, encoded, trace_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.schema import Config
    from lbg.state.trace_memory import TraceMemory
    from lbg.telemetry.record import Record

log = logging.getLogger("lbg.traces")

_SECOND: Final = 1_000_000_000  # ns
_SWITCHED: Final = 101
_SERVER_ERROR: Final = 500
_NEVER: Final = float("inf")
_RINGS: Final = {"failed": Ring.FAILED, "refused": Ring.REFUSED}
# Of one route and reason: a flood of one failure would push out all others, and cost time when there is none.
KEPT: Final = Rate.of(5, _SECOND, 49)


class Traces:
    """Told of each request that is over, it keeps those that failed, were refused or slow, or are a sample.

    `worker` is the slot it writes in; `clock` gives CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(
        self,
        config: Config,
        memory: TraceMemory,
        worker: int,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.adopt(config)
        self._memory = memory
        self._worker = worker
        self._clock = clock
        self._due: dict[tuple[str, str], int] = {}  # by route and reason: TAT
        self._broken = not memory.reserved(worker)

    def adopt(self, config: Config) -> None:
        """Go by another configuration from now on."""
        self._config = config
        self._slow = config.tracing.slow or _NEVER
        self._sample = config.tracing.sample

    def observe(self, environ: dict[str, Any], record: Record, status: int, sent: int, took: float) -> None:
        """Look at a request that is over; `sent` are the bytes of the response's body, `took` is seconds.

        Of one that never reached the application the environ may lack any key of the request.
        """
        if record.reason is None and status < _SERVER_ERROR and took < self._slow:
            if not self._sample or random() >= self._sample:  # noqa: S311
                return
            kind = "sampled"
        elif record.reason is not None and record.reason.refused:
            kind = "refused"
        elif record.reason is not None or status >= _SERVER_ERROR:
            kind = "failed"
        elif status == _SWITCHED:
            return  # how long a tunnel lasts says nothing
        else:
            kind = "slow"
        if self._broken:
            return
        try:
            self._keep(environ, record, Ended(kind, status, sent, took, time() - took))
        except Exception:
            self._broken = True
            log.exception("this worker keeps no more traces")

    def _keep(self, environ: dict[str, Any], record: Record, ended: Ended) -> None:
        if not self._has_room(record, ended):
            self._memory.leave_out(self._worker)
            return
        document = encoded(trace_document(environ, record, self._config, ended))
        self._memory.write(
            self._worker, _RINGS.get(ended.kind, Ring.SERVED), int(ended.began * _SECOND), document
        )

    def _has_room(self, record: Record, ended: Ended) -> bool:
        why = record.reason.code if record.reason is not None else f"{ended.kind} {ended.status}"
        key = (record.route.name if record.route is not None else "", why)
        self._due[key], early = advance(self._due.get(key, 0), self._clock(), KEPT.interval, KEPT.tolerance)
        return not early
