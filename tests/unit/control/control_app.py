"""A control application with cells to write into, and its answers."""

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.control.app import ControlApp
from lbg.control.endpoint_actions import Changes
from lbg.control.event_stream import EventStreams
from lbg.health.events import EventLog
from lbg.server.roles import Role
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.layout import Header, HealthField, health_row

GENERATION = 7
POOLS = {
    "web": {"endpoints": ["http://a:1", {"url": "http://b:2", "weight": 3, "backup": True}]},
    "api": {
        "endpoints": [{"url": "http://a:1", "max_requests": 5}],
        "slow_start": 10.0,
        "health": {"headers": {"Authorization": "hidden"}, "path": "/?key=hidden"},
    },
}
SLOTS = {"web/a:1": 5, "web/b:2": 0, "api/a:1": 2}
POOL_SLOTS = {"web": 3, "api": 0}


def published(
    pools: dict[str, Any] | None = None, token: str = "", filters: Sequence[dict[str, Any]] = ()
) -> Published:
    """Return the published configuration of generation 7 with these pools, and one route."""
    config = Config.model_validate(
        {
            "admin": {"token": token},
            "pools": pools or POOLS,
            "routes": [{"pool": "web", "filters": list(filters)}],
        }
    )
    return Published(Snapshot.of(config, GENERATION, "lbg.toml"), SLOTS, POOL_SLOTS)


def cells_of(*roles: Role, checked: bool = True) -> Cells:
    """Return the cells of a master with these workers, after the first round of checks or before."""
    cells = Cells.private()
    for slot, role in enumerate(roles):
        cells.register(slot, 4711 + slot, role.number, 2)
    cells.view[Header.CHECKED] = GENERATION if checked else 0
    return cells


def set_health(cells: Cells, slot: int, **fields: int) -> None:
    """Write fields of the row that the control worker keeps for an endpoint."""
    for name, number in fields.items():
        cells.view[health_row(slot) + HealthField[name.upper()]] = number


def app(
    *roles: Role,
    token: str = "",
    events: EventLog | None = None,
    cells: Cells | None = None,
    changes: Changes | None = None,
) -> ControlApp:
    """Return the application of a master with these workers."""
    cells = cells or cells_of(*roles)
    return ControlApp(published(token=token), cells, EventStreams(events or EventLog()), changes)


class Answer:
    """Status, headers and body of an answer that wsgiref has checked; `pieces` of the body at most."""

    def __init__(self, app: ControlApp, path: str, *, pieces: int = 100, **environ: Any) -> None:
        environ = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
        setup_testing_defaults(environ)
        checked: Any = validator(app)
        result = checked(environ, self._start)
        self.pieces = list(islice(result, pieces))
        self.body = b"".join(self.pieces)
        result.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        self.status = int(status[:3])
        self.headers = dict(headers)
        return lambda _: None

    @property
    def document(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.body)
