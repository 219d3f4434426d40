"""The admin listener: what lbg says of itself, and what an operator changes, as a small Flask application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.control.documents import Documents
from lbg.control.event_stream import EventStreams
from lbg.control.status import Status
from lbg.routing.limits_in_force import LimitsInForce
from lbg.state.buckets import Buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

    from lbg.control.endpoint_actions import Changes
    from lbg.health.events import EventLog
    from lbg.proxy.explain import Explainer
    from lbg.state.cells import Cells
    from lbg.state.document import Published


class ControlApp:
    """Answers on the admin listener; Flask is imported at its first request, so proxy workers never do.

    Each of `parts` registers paths of its own then.
    """

    def __init__(
        self,
        published: Published,
        cells: Cells,
        events: EventLog,
        changes: Changes | None = None,
        buckets: Buckets | None = None,
        explainer: Explainer | None = None,
    ) -> None:
        self._documents = Documents(published, cells)
        self._status = Status(published, cells, self._documents)
        self._streams = EventStreams(events)
        self._changes = changes
        self._buckets = Buckets.private() if buckets is None else buckets
        self._explainer = explainer
        self._config = published.snapshot.config
        self._flask: Flask | None = None
        self.parts: list[Callable[[Flask], None]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._flask is None:
            from lbg.control.bans import add_bans
            from lbg.control.routes import make_flask

            self._flask = make_flask(
                self._status, self._documents, self._streams, self._changes, self._config.admin
            )
            add_bans(self._flask, self._buckets, LimitsInForce.of(self._config.routes))
            for part in self.parts:
                part(self._flask)
            if self._explainer is not None:
                from lbg.control.route_lookup import add_route_lookup

                add_route_lookup(self._flask, self._explainer)
        return self._flask(environ, start_response)
