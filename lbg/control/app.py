"""The admin listener: health of lbg itself, its status and its events, as a small Flask application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.control.documents import Documents
from lbg.control.event_stream import EventStreams
from lbg.control.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask

    from lbg.health.events import EventLog
    from lbg.state.cells import Cells
    from lbg.state.document import Published


class ControlApp:
    """Answers on the admin listener; Flask is imported at its first request, so proxy workers never do."""

    def __init__(self, published: Published, cells: Cells, events: EventLog) -> None:
        self._documents = Documents(published, cells)
        self._status = Status(published, cells, self._documents)
        self._streams = EventStreams(events)
        self._token = published.snapshot.config.admin.token
        self._flask: Flask | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._flask is None:
            from lbg.control.routes import make_flask

            self._flask = make_flask(self._status, self._documents, self._streams, self._token)
        return self._flask(environ, start_response)
