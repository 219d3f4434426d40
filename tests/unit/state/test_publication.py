"""Putting a configuration in force: slots, the document, the generation, one after the other."""

from pathlib import Path

import pytest

from lbg.config.amendments import Amendments, endpoint_of
from lbg.config.schema import Config
from lbg.state import directory
from lbg.state import publication as module
from lbg.state.cells import Cells
from lbg.state.document import Published, decode
from lbg.state.layout import Header, HealthField, health_row
from lbg.state.lock import FileLock
from lbg.state.publication import LOCK, Publication, Unpublished

B = endpoint_of("http://b:2")


def config(*hosts: str) -> Config:
    """Return a configuration with one pool of these endpoints."""
    endpoints = [f"http://{host}" for host in hosts]
    return Config.model_validate({"pools": {"web": {"endpoints": endpoints}}, "routes": [{"pool": "web"}]})


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    Cells.create(tmp_path)
    return Cells.open(tmp_path)


@pytest.fixture
def publication(tmp_path: Path, cells: Cells) -> Publication:
    return Publication(tmp_path, cells)


def publish(publication: Publication, *hosts: str, last: Published | None = None) -> Published:
    """Publish a configuration with the amendments that there are."""
    return publication.publish("lbg.toml", lambda amendments: (config(*hosts), amendments), last)


def test_generations_are_counted_and_told(tmp_path: Path, publication: Publication, cells: Cells) -> None:
    assert publish(publication, "a:1").snapshot.generation == 1
    published = publish(publication, "a:1", "b:2")
    assert decode(directory.read(tmp_path)) == published
    assert cells.view[Header.GENERATION] == published.snapshot.generation == 2


def test_an_endpoint_keeps_its_slot_and_one_that_returns_finds_it_again(publication: Publication) -> None:
    publish(publication, "a:1", "b:2")
    assert publish(publication, "b:2", "c:3").slots == {"web/a:1": 0, "web/b:2": 1, "web/c:3": 2}
    assert publish(publication, "a:1").slots["web/a:1"] == 0


def test_a_slot_that_changes_hands_begins_anew(
    publication: Publication, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDPOINT_SLOTS", 1)
    publish(publication, "a:1")
    cells.view[health_row(0) + HealthField.CHECKS_PASSED] = 7
    publish(publication, "a:1")
    assert cells.view[health_row(0) + HealthField.CHECKS_PASSED] == 7
    publish(publication, "b:2")
    assert cells.view[health_row(0) + HealthField.CHECKS_PASSED] == 0


def test_amendments_are_those_of_the_document(publication: Publication) -> None:
    noted = Amendments().with_added("web", B)
    publication.publish("lbg.toml", lambda _: (config("a:1", "b:2"), noted), None)
    seen: list[Amendments] = []

    def amend(amendments: Amendments) -> tuple[Config, Amendments]:
        seen.append(amendments)
        return config("a:1"), Amendments()

    published = publication.publish("lbg.toml", amend, None)
    assert seen == [noted]
    assert published.amendments == Amendments()


def test_without_a_document_slots_and_amendments_are_those_that_were_last(
    tmp_path: Path, publication: Publication
) -> None:
    last = publish(publication, "a:1", "b:2")
    (tmp_path / directory.DOCUMENT).unlink()
    assert publish(publication, "b:2", last=last).slots["web/b:2"] == 1
    (tmp_path / directory.DOCUMENT).write_bytes(b"{")
    assert publish(publication, "b:2", last=last).slots["web/b:2"] == 1


def test_what_was_decided_on_another_configuration_is_not_published(publication: Publication) -> None:
    first = publish(publication, "a:1")
    publish(publication, "b:2")
    with pytest.raises(Unpublished, match="another configuration came into force"):
        publication.publish(
            "lbg.toml", lambda amendments: (config("c:3"), amendments), first, only_after=first
        )


def test_two_do_not_publish_at_once(
    tmp_path: Path, publication: Publication, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FileLock(tmp_path / LOCK)
    assert other.try_acquire()
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with pytest.raises(Unpublished, match="another process is changing"):
        publish(publication, "a:1")
    assert cells.view[Header.GENERATION] == 0
    other.release()
    assert publish(publication, "a:1").snapshot.generation == 1


def test_what_raises_changes_nothing(tmp_path: Path, publication: Publication, cells: Cells) -> None:
    def amend(_: Amendments) -> tuple[Config, Amendments]:
        raise ValueError

    with pytest.raises(ValueError):
        publication.publish("lbg.toml", amend, None)
    assert cells.view[Header.GENERATION] == 0
    assert not (tmp_path / directory.DOCUMENT).exists()
    assert FileLock(tmp_path / LOCK).try_acquire()


def test_a_document_whose_writer_died_before_its_number_is_completed(
    publication: Publication, cells: Cells
) -> None:
    publish(publication, "a:1")
    publish(publication, "b:2")
    cells.view[Header.GENERATION] = 1
    assert publish(publication, "c:3").snapshot.generation == 3
    cells.view[Header.GENERATION] = 2
    publication.complete()
    assert cells.view[Header.GENERATION] == 3
    publication.complete()
    assert cells.view[Header.GENERATION] == 3


def test_nothing_to_complete_is_no_error(tmp_path: Path, publication: Publication, cells: Cells) -> None:
    publication.complete()
    (tmp_path / directory.DOCUMENT).write_bytes(b"{")
    publication.complete()
    Publication(None, cells).complete()
    assert cells.view[Header.GENERATION] == 0


def test_without_a_directory_it_is_of_this_process_alone() -> None:
    cells = Cells.private()
    publication = Publication(None, cells)
    last = publish(publication, "a:1")
    assert publish(publication, "b:2", last=last).slots == {"web/a:1": 0, "web/b:2": 1}
    assert cells.view[Header.GENERATION] == 2
