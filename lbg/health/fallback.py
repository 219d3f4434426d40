"""What a proxy worker does while no control worker is alive: it keeps the state and watches by itself."""

from __future__ import annotations

import logging
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final

from lbg.health.passive import PassiveDetection
from lbg.state.layout import Admin, Ejection, Header, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.config.pools import OutlierConfig
    from lbg.state.cells import Cells
    from lbg.state.reports import ReportWriter
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.pool import Pool

log = logging.getLogger("lbg.health")

_SILENCE: Final = 5_000_000_000  # ns without a heartbeat; gunicorn replaces a dead control worker in 1 s
_FAILURES: Final = frozenset({Kind.CONNECT_FAILURE, Kind.SERVER_ERROR})


class Fallback:
    """Passes reports on to the control worker, and heeds them itself while that one is silent.

    Its ejections hold in this worker only, and end when a control worker is back.
    """

    def __init__(self, cells: Cells, writer: ReportWriter) -> None:
        self._cells = cells
        self._writer = writer
        self._alone = False
        self._members: dict[int, tuple[Pool, Endpoint, PassiveDetection]] = {}
        self._guarded: dict[Pool, PassiveDetection] = {}
        self._since = 0  # ns; 0 while this process does not serve, or ends

    def __repr__(self) -> str:
        return f"<Fallback {'alone' if self._alone else 'not needed'}>"

    def start(self) -> None:
        """Expect a control worker from now on."""
        self._since = monotonic_ns()

    def stop(self) -> None:
        """Expect none any more: it ends as well."""
        self._since = 0

    def guard(self, pools: Iterable[tuple[Pool, OutlierConfig]]) -> None:
        """Care for these pools and no others; for one that was there before, nothing changes."""
        before, self._guarded = self._guarded, {}
        self._members = {}
        for pool, config in pools:
            passive = before.get(pool)
            if passive is None:
                passive = PassiveDetection(config, [one.slot for one in pool.endpoints], self._cells)
                for endpoint in pool.endpoints:
                    endpoint.ejected_here = False
            self._guarded[pool] = passive
            for endpoint in pool.endpoints:
                self._members[endpoint.slot] = pool, endpoint, passive

    def report(self, endpoint: int, kind: Kind) -> None:
        """Tell of a failure of the endpoint in a slot."""
        told = self._writer.report(endpoint, kind)
        member = self._members.get(endpoint)
        if not self._alone or kind not in _FAILURES or member is None:
            return
        pool, ejected, passive = member
        if ejected.admin is Admin.MAINT:
            return
        now = monotonic()
        ready = [one for one in pool.endpoints if not one.held and not one.down]
        usable = {one.slot for one in ready if one.ejection is Ejection.NONE}
        if passive.failed(told, now, usable) is not None:
            log.warning("EJECTED %s %s: by this worker alone", pool.name, ejected.name)
            self._set(ejected, pool, now, ejected_here=True)

    def tick(self, now: float) -> None:
        """Look whether a control worker is there; called ten times a second."""
        if not self._since:
            return
        last = max(self._cells.view[Header.HEARTBEAT], self._since)
        silent = (monotonic_ns() - last) > _SILENCE
        if silent is not self._alone:
            self._alone = silent
            self._announce(now)
        if self._alone:
            self._let_back(now)

    def _announce(self, now: float) -> None:
        if self._alone:
            log.error(
                "the control worker has been silent for %d s: health stays as it was last, and this worker "
                "ejects by what its own requests meet",
                _SILENCE // 1_000_000_000,
            )
            return
        log.warning("the control worker is back")
        for pool, endpoint, passive in self._members.values():
            if endpoint.ejected_here:
                passive.outlier.check_passed(endpoint.slot)
                self._set(endpoint, pool, now, ejected_here=False)

    def _let_back(self, now: float) -> None:
        for passive in self._guarded.values():
            passive.look()
            for slot in passive.outlier.tick(now):
                pool, endpoint, _ = self._members[slot]
                # Without a control worker there is no trial: the next failures decide.
                passive.outlier.trial(slot, passed=True, now=now)
                self._set(endpoint, pool, now, ejected_here=False)

    def _set(self, endpoint: Endpoint, pool: Pool, now: float, *, ejected_here: bool) -> None:
        endpoint.ejected_here = ejected_here
        pool.refresh(now)
