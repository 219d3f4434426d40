"""Changes of the configuration while lbg runs: in force whole, or not at all."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from lbg.config.amendments import Amendments, endpoint_of
from lbg.config.load import Loaded
from lbg.config.problems import ConfigError, Origin, Problem
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.control.live_config import Conflict, Failure, LiveConfig, Unknown
from lbg.health.monitor import NotInCharge
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.layout import Admin, Header
from lbg.state.publication import Publication, Unpublished

C = endpoint_of("http://c:3")


def config(*hosts: str, **more: Any) -> Config:
    """Return a configuration with one pool of these endpoints."""
    endpoints = [f"http://{host}" for host in hosts]
    return Config.model_validate(
        {"pools": {"web": {"endpoints": endpoints}}, "routes": [{"pool": "web"}], **more}
    )


class Watch:
    """What a monitor is told."""

    def __init__(self) -> None:
        self.in_charge = True
        self.told: list[tuple[str, int, int]] = []

    def set_admin(self, slot: int, admin: Admin) -> None:
        """Note it."""
        self.told.append(("admin", slot, admin))

    def set_weight(self, slot: int, weight: int) -> None:
        """Note it."""
        self.told.append(("weight", slot, weight))


class Process:
    """A control worker without anything around it: `adopted` are the configurations it took up."""

    def __init__(self) -> None:
        self.cells = Cells.private()
        self.cells.view[Header.GENERATION] = 1
        snapshot = Snapshot.of(config("a:1", "b:2"), 1, "lbg.toml")
        self.adopted = [Published(snapshot, {"web/a:1": 0, "web/b:2": 1}, {"web": 0})]
        self.watch = Watch()
        self.loads: list[bool] = []
        self.file: Callable[[], Config] = lambda: config("a:1", "b:2")
        monitor: Any = self.watch
        self.live = LiveConfig(
            load=lambda: Loaded(self.file(), "lbg.toml", Origin("lbg.toml", {}, {})),
            current=lambda: self.adopted[-1],
            adopt=self.adopted.append,
            publication=Publication(None, self.cells),
            monitor=monitor,
            note_load=self.loads.append,
        )

    def urls(self) -> list[str]:
        """Return the endpoints in force."""
        return [one.url for one in self.adopted[-1].snapshot.config.pools["web"].endpoints]


@pytest.fixture
def process() -> Process:
    return Process()


def failing(error: Exception) -> Callable[[], Config]:
    """Return what cannot be loaded."""

    def load() -> Config:
        raise error

    return load


def test_a_reload_puts_the_file_in_force(process: Process) -> None:
    process.file = lambda: config("b:2", "c:3")
    change = process.live.reload()
    assert process.urls() == ["http://b:2", "http://c:3"]
    assert change.published is process.adopted[-1]
    assert change.published.snapshot.generation == 2
    assert str(change.difference) == "1 pool changed, 1 endpoint added, 1 endpoint removed"
    assert process.loads == [True]


def test_a_reload_of_the_same_file_is_a_generation_without_a_change(process: Process) -> None:
    change = process.live.reload()
    assert change.published.snapshot.generation == 2
    assert not change.difference


def test_following_the_file_leaves_alone_what_is_in_force_already(process: Process) -> None:
    process.live.remove("web", "a:1")
    process.live.follow()
    assert len(process.adopted) == 2
    process.file = lambda: config("a:1", "b:2", server={"header_timeout": 3.0})
    process.live.follow()
    assert len(process.adopted) == 2
    process.file = lambda: config("b:2", "c:3")
    process.live.follow()
    assert process.urls() == ["http://b:2", "http://c:3"]


def test_a_configuration_that_came_into_force_meanwhile_is_not_overwritten(process: Process) -> None:
    process.cells.view[Header.GENERATION] = 2
    with pytest.raises(Unpublished):
        process.live.reload()
    assert len(process.adopted) == 1


def test_what_needs_new_workers_is_told_and_left_as_it_was(process: Process) -> None:
    process.file = lambda: config("a:1", server={"header_timeout": 3.0})
    change = process.live.reload()
    assert change.difference.waiting == ("server.header_timeout",)
    assert process.adopted[-1].snapshot.config.server.header_timeout == 10.0
    assert process.live.reload().difference.waiting == ("server.header_timeout",)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError([Problem("lbg.toml", 3, "pools", "wrong")]),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_cannot_be_loaded_changes_nothing(
    process: Process, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    process.file = failing(error)
    with pytest.raises(type(error)):
        process.live.reload()
    assert len(process.adopted) == 1
    assert process.loads == [False]
    assert "the configuration was not changed" in caplog.text


def test_addresses_wait_for_a_restart(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    process.file = lambda: config("a:1", "b:2", server={"bind": [":1"]})
    found = process.live.reload().difference
    assert (found.waiting, found.restart) == ((), ("server.bind",))
    told = "configuration 2 is in force: nothing else changed; server.bind waits for a restart"
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("WARNING", told)]


def test_a_failure_is_kept_with_its_beginning_until_the_configuration_is_good(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.control.live_config.time", iter([100.0, 200.0]).__next__)
    problems = [Problem("lbg.toml", 3, "pools", "wrong"), Problem("lbg.toml", 4, "", "other")]
    for mistakes in (problems, problems[:1]):
        process.file = failing(ConfigError(mistakes))
        with pytest.raises(ConfigError):
            process.live.follow()
        assert process.live.failure == Failure(100.0, tuple(map(str, mistakes)))
    process.file = lambda: config("a:1", "b:2")
    process.live.follow()  # that is in force, so nothing is published
    assert (process.live.failure, process.loads) == (None, [False, False, True])
    assert len(process.adopted) == 1


def test_a_reload_ends_a_failure(process: Process) -> None:
    process.live.miss("lbg.toml")
    process.live.reload()
    assert process.live.failure is None


def test_a_file_that_is_missing_is_a_failure(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    process.live.miss("lbg.toml")
    assert process.live.failure is not None
    assert process.live.failure.mistakes == ("lbg.toml: there is no such file any more",)
    assert "the configuration was not changed: lbg.toml: there is no such file" in caplog.text
    assert process.loads == [False]


def test_an_endpoint_is_added_ready_and_with_its_weight(process: Process) -> None:
    change = process.live.add("web", endpoint_of({"url": "http://c:3", "weight": 5}))
    assert process.urls()[-1] == "http://c:3"
    assert change.difference.endpoints_added == ("web/c:3",)
    slot = change.published.slots["web/c:3"]
    assert process.watch.told == [("admin", slot, Admin.READY), ("weight", slot, 5)]


def test_what_is_added_is_told_although_another_control_worker_takes_over(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(slot: int, value: int) -> None:
        raise NotInCharge

    monkeypatch.setattr(process.watch, "set_admin", refuse)
    assert process.live.add("web", C).difference.endpoints_added == ("web/c:3",)


def test_what_was_added_and_removed_outlives_a_reload(process: Process) -> None:
    process.live.add("web", C)
    process.live.remove("web", "a:1")
    process.live.reload()
    assert process.urls() == ["http://b:2", "http://c:3"]


def test_the_file_has_the_last_word_on_what_it_names(process: Process) -> None:
    process.live.add("web", endpoint_of({"url": "http://c:3", "weight": 5}))
    process.file = lambda: config("a:1", "c:3")
    process.live.reload()
    assert process.adopted[-1].amendments == Amendments()
    assert [one.weight for one in process.adopted[-1].snapshot.config.pools["web"].endpoints] == [1, 1]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda live: live.add("web", endpoint_of("http://a:1")), Conflict, "web/a:1 is there already."),
        (lambda live: live.add("api", C), Unknown, "There is no pool api. There is: web."),
        (
            lambda live: live.remove("web", "c:3"),
            Unknown,
            "There is no endpoint c:3 in the pool web. There is: a:1, b:2.",
        ),
        (lambda live: live.remove("api", "a:1"), Unknown, "There is no pool api. There is: web."),
    ],
)
def test_what_cannot_be_changed_is_told_in_a_sentence(
    process: Process, change: Callable[[LiveConfig], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        change(process.live)
    assert str(caught.value) == text
    assert len(process.adopted) == 1


def test_the_last_endpoint_stays(process: Process) -> None:
    process.live.remove("web", "a:1")
    with pytest.raises(Conflict, match="b:2 is the last endpoint of the pool web; drain it instead"):
        process.live.remove("web", "b:2")


def test_what_would_leave_only_backups_is_refused(process: Process) -> None:
    process.live.add("web", endpoint_of({"url": "http://c:3", "backup": True}))
    process.live.remove("web", "a:1")
    with pytest.raises(Conflict, match="every endpoint is a backup"):
        process.live.remove("web", "b:2")


def test_who_is_not_in_charge_changes_nothing(process: Process) -> None:
    process.watch.in_charge = False
    for change in (
        process.live.reload,
        lambda: process.live.add("web", C),
        lambda: process.live.remove("web", "a:1"),
        lambda: process.live.miss("lbg.toml"),
    ):
        with pytest.raises(NotInCharge):
            change()
    assert (len(process.adopted), process.loads) == (1, [])
