"""The master: what it loads, publishes and sums up."""

from pathlib import Path

import pytest

from lbg.server import listeners
from lbg.server.master import Master
from lbg.state import directory
from lbg.state.cells import Cells
from lbg.state.document import decode
from lbg.state.layout import Field, counters


def published(state: Path) -> dict[str, int]:
    return decode(directory.read(state)).slots


def test_loading_publishes_configuration_and_slots(master: Master, state: Path) -> None:
    document = decode(directory.read(state))
    assert document.snapshot.generation == 1
    assert document.slots == {"default/10.0.0.1:1": 0, "default/10.0.0.2:2": 1}
    assert document == master.published


def test_a_reload_counts_up_and_keeps_slots(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.3:3,http://10.0.0.2:2")
    master.load()
    document = decode(directory.read(state))
    assert document.snapshot.generation == 2
    assert document.slots == {"default/10.0.0.1:1": 0, "default/10.0.0.2:2": 1, "default/10.0.0.3:3": 2}


def test_a_successor_in_the_same_directory_keeps_slots_and_counts(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cells.open(state).view[counters(0, 1) + Field.REQUESTS] = 7
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.2:2,http://10.0.0.1:1")
    successor = Master()
    successor.load()
    assert published(state) == {"default/10.0.0.1:1": 0, "default/10.0.0.2:2": 1}
    assert "default/10.0.0.2:2: 7 requests" in successor.summary()


def test_a_damaged_document_of_a_predecessor_is_replaced(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state.mkdir(mode=0o700)
    directory.publish(state, b"{damaged")
    Master().load()
    assert len(published(state)) == 2
    assert "is not readable" in caplog.text


def test_a_bad_configuration_at_the_start_ends_with_status_2_and_one_line_each(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LBG_ENDPOINTS", "ftp://a,nonsense")
    with pytest.raises(SystemExit) as caught:
        Master().load()
    lines = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert len(lines) == 2
    assert all(line.startswith("lbg: ") for line in lines)


def test_an_unsafe_state_directory_ends_with_status_2(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    with pytest.raises(SystemExit) as caught:
        Master().load()
    assert caught.value.code == 2
    assert "chmod 700" in capsys.readouterr().err


def test_a_bad_configuration_later_changes_nothing(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = directory.read(state)
    monkeypatch.setenv("LBG_ENDPOINTS", "nonsense")
    master.load()
    assert directory.read(state) == before
    assert master.config_source == "LBG_ENDPOINTS"
    assert "the configuration was not changed" in caplog.text


def test_there_is_no_configuration_before_it_is_loaded() -> None:
    with pytest.raises(RuntimeError):
        _ = Master().config
    assert (Master().config_source, Master().summary()) == ("", "")


def test_the_summary_tells_requests_in_all_and_per_endpoint(master: Master, state: Path) -> None:
    view = Cells.open(state).view
    for worker, endpoint, field, count in [
        (0, 0, Field.REQUESTS, 40),
        (1, 0, Field.REQUESTS, 2),
        (1, 1, Field.REQUESTS, 8),
        (0, 1, Field.FAILURES, 3),
    ]:
        view[counters(worker, endpoint) + field] = count
    assert master.summary() == (
        "lbg answered 50 requests from its endpoints\n"
        "  default/10.0.0.1:1: 42 requests\n"
        "  default/10.0.0.2:2: 8 requests, 3 failed attempts"
    )


def test_a_reload_does_not_try_the_addresses_it_listens_on(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda bind: f"cannot listen on {bind.text}")
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.3:3")
    master.load()
    assert decode(directory.read(state)).snapshot.generation == 2
