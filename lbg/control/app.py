"""The admin listener: what lbg says of itself, and what an operator changes, as a small Flask application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.control.documents import Documents
from lbg.control.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

    from lbg.control.endpoint_actions import Changes
    from lbg.control.event_stream import EventStreams
    from lbg.control.live_config import Failure
    from lbg.state.cells import Cells
    from lbg.state.document import Published


class ControlApp:
    """Answers on the admin listener; Flask is imported at its first request, so proxy workers never do.

    Each of `parts` registers paths of its own then. `failure` tells why the configuration as it is written
    is not in force.
    """

    def __init__(
        self,
        published: Published,
        cells: Cells,
        streams: EventStreams,
        changes: Changes | None = None,
        parts: Iterable[Callable[[Flask], None]] = (),
        *,
        failure: Callable[[], Failure | None] = lambda: None,
    ) -> None:
        self._documents = Documents(published, cells)
        self._status = Status(published, cells, self._documents, failure=failure)
        self._streams = streams
        self._changes = changes
        self._admin = published.snapshot.config.admin
        self._flask: Flask | None = None
        self.parts = list(parts)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._flask is None:
            from lbg.control.routes import make_flask

            self._flask = make_flask(self._status, self._documents, self._streams, self._changes, self._admin)
            for part in self.parts:
                part(self._flask)
        return self._flask(environ, start_response)
