"""What lbg says when it ends."""

import pytest

from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.server.summary import summary, totals
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.layout import Field, Header, counters

CONFIG = Config.model_validate({"pools": {"api": {"endpoints": ["http://a:1", "http://b:2"]}}})


@pytest.fixture
def cells() -> Cells:
    made = Cells.private()
    made.view[Header.WORKERS] = 3
    return made


def published(**gone: int) -> Published:
    slots = {"api/a:1": 0, "api/b:2": 1} | {f"api/{name}": slot for name, slot in gone.items()}
    return Published(Snapshot.of(CONFIG, 1, "lbg.toml"), slots)


def test_it_tells_requests_in_all_and_per_endpoint(cells: Cells) -> None:
    for worker, endpoint, field, count in [
        (0, 0, Field.RESPONSES_2XX, 30),
        (0, 0, Field.RESPONSES_3XX, 6),
        (0, 0, Field.RESPONSES_4XX, 3),
        (1, 0, Field.RESPONSES_5XX, 3),
        (2, 1, Field.RESPONSES_2XX, 8),
        (0, 1, Field.FAILURES, 2),
        (1, 1, Field.FAILURES, 1),
        (1, 1, Field.CONNECT_FAILURES, 1),
        (1, 1, Field.IN_FLIGHT, 1),
    ]:
        cells.view[counters(worker, endpoint) + field] = count
    assert summary(published(), cells, {}) == (
        "lbg answered 50 requests from its endpoints\n"
        "  api/a:1: 42 requests, 3 with 5xx\n"
        "  api/b:2: 8 requests, 3 failed attempts"
    )


def test_workers_that_died_count(cells: Cells) -> None:
    cells.register(1, 4711, 1, 1)
    cells.view[counters(1, 0) + Field.RESPONSES_2XX] = 5
    cells.forget(1, 4711)
    assert summary(published(), cells, {}).startswith("lbg answered 5 requests")


def test_endpoints_that_are_gone_are_told_if_they_had_requests(cells: Cells) -> None:
    cells.view[counters(0, 2) + Field.RESPONSES_2XX] = 5
    cells.view[counters(0, 3) + Field.FAILURES] = 1
    text = summary(published(old=2, broken=3, never=4), cells, {})
    assert text.splitlines() == [
        "lbg answered 5 requests from its endpoints",
        "  api/a:1: 0 requests",
        "  api/b:2: 0 requests",
        "  api/old: 5 requests",
        "  api/broken: 0 requests, 1 failed attempts",
    ]


def test_what_earlier_masters_counted_is_left_out(cells: Cells) -> None:
    cells.view[counters(0, 0) + Field.RESPONSES_2XX] = 500
    cells.view[counters(0, 2) + Field.RESPONSES_2XX] = 9
    cells.view[counters(0, 1) + Field.FAILURES] = 7
    before = totals(published(old=2), cells)
    cells.view[counters(1, 0) + Field.RESPONSES_5XX] = 3
    cells.view[counters(1, 1) + Field.FAILURES] = 1
    text = summary(published(old=2), cells, before)
    assert text.splitlines() == [
        "lbg answered 3 requests from its endpoints",
        "  api/a:1: 3 requests, 3 with 5xx",
        "  api/b:2: 0 requests, 1 failed attempts",
    ]


def test_an_endpoint_that_lost_its_slot_for_a_while_began_anew(cells: Cells) -> None:
    cells.view[counters(0, 0) + Field.RESPONSES_2XX] = 500
    before = totals(published(), cells)
    cells.clear_endpoint(0)
    cells.view[counters(0, 0) + Field.RESPONSES_2XX] = 3
    assert summary(published(), cells, before).startswith("lbg answered 3 requests")
