"""What lbg says of itself."""

import pytest

from lbg import __version__
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.control.status import Status
from lbg.server.roles import Role
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.layout import Field, counters

CONFIG = Config.model_validate(
    {
        "admin": {"token": "secret"},
        "pools": {
            "api": {"endpoints": ["http://a:1", {"url": "http://b:2", "weight": 3}]},
            "web": {"endpoints": ["http://a:1"]},
        },
    }
)
PUBLISHED = Published(Snapshot.of(CONFIG, 7, "lbg.toml"), {"api/a:1": 5, "api/b:2": 0, "web/a:1": 2})


@pytest.fixture
def cells() -> Cells:
    return Cells.private()


def test_endpoints_are_reported_with_their_sums(cells: Cells) -> None:
    for worker in (0, 3):
        for slot, field, count in [
            (5, Field.REQUESTS, 10),
            (5, Field.IN_FLIGHT, 1),
            (0, Field.FAILURES, 2),
            (2, Field.REQUESTS, 1),
        ]:
            cells.view[counters(worker, slot) + field] = count
    nothing = {"requests": 0, "failures": 0, "connect_failures": 0, "in_flight": 0}
    assert Status(PUBLISHED, cells).report()["pools"] == {
        "api": {
            "endpoints": [
                {"url": "http://a:1", "weight": 1} | nothing | {"requests": 20, "in_flight": 2},
                {"url": "http://b:2", "weight": 3} | nothing | {"failures": 4},
            ]
        },
        "web": {"endpoints": [{"url": "http://a:1", "weight": 1} | nothing | {"requests": 2}]},
    }


def test_configuration_and_workers_are_reported(cells: Cells) -> None:
    cells.register(0, 4711, Role.CONTROL.number, 2)
    cells.register(1, 4712, Role.PROXY.number, 2)
    report = Status(PUBLISHED, cells).report()
    assert report["version"] == __version__
    assert report["config"] == {"source": "lbg.toml", "generation": 7, "digest": PUBLISHED.snapshot.digest}
    assert report["workers"] == [
        {"slot": 0, "pid": 4711, "role": "control", "generation": 2},
        {"slot": 1, "pid": 4712, "role": "proxy", "generation": 2},
    ]


def test_no_secret_is_reported(cells: Cells) -> None:
    assert "secret" not in str(Status(PUBLISHED, cells).report())


@pytest.mark.parametrize(
    ("roles", "ready"),
    [
        ([], True),
        ([Role.CONTROL], False),
        ([Role.PROXY], True),
        ([Role.CONTROL, Role.PROXY], True),
        ([Role.COMBINED], True),
    ],
)
def test_it_is_ready_when_somebody_serves_the_public(cells: Cells, roles: list[Role], ready: bool) -> None:
    for slot, role in enumerate(roles):
        cells.register(slot, 4711 + slot, role.number, 0)
    assert (Status(PUBLISHED, cells).not_ready() == "") is ready
