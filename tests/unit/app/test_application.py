"""How a worker follows the configurations that others publish."""

import os
from pathlib import Path

import pytest

from lbg.app.application import Application
from lbg.app.pools import Pools
from lbg.app.shared import Shared
from lbg.config.schema import Config
from lbg.net.deadline import Deadlines
from lbg.server.roles import Role
from lbg.state import directory
from lbg.state.buckets import Buckets
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.layout import Header
from lbg.state.publication import Publication
from lbg.state.series import Series
from lbg.state.trace_memory import TraceMemory


class Worker:
    """A proxy worker with a state directory, and whoever publishes there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for kind in (Cells, Buckets, Series, TraceMemory):
            kind.create(path)
        self.cells = Cells.open(path)
        self.cells.register(0, os.getpid(), Role.PROXY.number, 1)
        self.publication = Publication(path, self.cells)
        self.application = Application(self.publish("a:1"), Shared.of(path, 0))

    def publish(self, *hosts: str) -> Published:
        """Publish a configuration with these endpoints."""
        endpoints = [f"http://{host}" for host in hosts]
        config = Config.model_validate(
            {
                "pools": {"web": {"endpoints": endpoints}},
                "routes": [{"pool": "web"}],
                "log": {"access": False},
            }
        )
        return self.publication.publish("lbg.toml", lambda amendments: (config, amendments), None)

    def urls(self) -> list[str]:
        """Return the endpoints in force."""
        config = self.application.published.snapshot.config
        return [endpoint.url for endpoint in config.pools["web"].endpoints]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(Deadlines, "on_tick", lambda *_: None)
    return Worker(tmp_path)


def test_it_takes_up_what_was_published_last(worker: Worker) -> None:
    worker.publish("b:2")
    worker.publish("c:3")
    worker.application.catch_up()
    assert worker.urls() == ["http://c:3"]


def test_what_is_in_force_already_is_not_taken_up_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "read", lambda _: pytest.fail("nothing to read"))
    worker.application.catch_up()


def test_a_document_that_cannot_be_read_is_told_once_and_tried_again(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.publish("b:2")
    document = (worker.path / directory.DOCUMENT).read_bytes()
    (worker.path / directory.DOCUMENT).write_bytes(document[:-1])
    worker.application.catch_up()
    worker.application.catch_up()
    assert worker.urls() == ["http://a:1"]
    assert len(caplog.records) == 1
    (worker.path / directory.DOCUMENT).write_bytes(document)
    worker.application.catch_up()
    assert worker.urls() == ["http://b:2"]


def test_one_that_cannot_be_taken_up_is_told_once_and_the_next_one_is_tried(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("bug")

    worker.publish("b:2")
    with monkeypatch.context() as patched:
        patched.setattr(Pools, "adopt", fail)
        worker.application.catch_up()
        worker.application.catch_up()
    assert len(caplog.records) == 1
    worker.application.catch_up()
    assert worker.urls() == ["http://a:1"]
    worker.publish("c:3")
    worker.application.catch_up()
    assert worker.urls() == ["http://c:3"]


def test_a_number_that_is_behind_its_document_is_waited_for(worker: Worker) -> None:
    worker.publish("b:2")
    worker.application.catch_up()
    worker.cells.view[Header.GENERATION] = 1
    worker.application.catch_up()
    assert worker.urls() == ["http://b:2"]
