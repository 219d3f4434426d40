"""Events on the admin listener."""

import json
import re
from typing import Any

import pytest

from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams, TooManyReaders
from lbg.health.events import EventLog
from tests.unit.control.control_app import Answer, app

JSON = {"HTTP_ACCEPT": "application/json"}
PATH = "/api/v1/events"


@pytest.fixture
def log() -> EventLog:
    """Return a log that is closed, so that streams end, with five events, numbered 101 to 105."""
    events = EventLog(clock=lambda: 0.1)
    number = -1
    for text in "abcde":
        number = events.add("down", "api", "http://a:1", text, 2.5).id
    assert number == 104
    events.close()
    return events


@pytest.fixture
def control(log: EventLog) -> ControlApp:
    return app(events=log)


def streamed(answer: Answer) -> list[str]:
    return [json.loads(data)["text"] for data in re.findall(rb"^data: (.*)$", answer.body, re.M)]


def listed(answer: Answer) -> list[str]:
    return [event["text"] for event in answer.document]


def test_an_event_is_sent_with_id_kind_and_document(control: ControlApp) -> None:
    answer = Answer(control, PATH, QUERY_STRING="since=103")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert answer.pieces[1].startswith(b"id: 104\nevent: down\ndata: {")
    assert answer.pieces[1].endswith(b"}\n\n")
    assert json.loads(answer.pieces[1].partition(b"data: ")[2]) == {
        "id": 104,
        "time": "1970-01-01T00:00:00.100Z",
        "kind": "down",
        "pool": "api",
        "endpoint": "http://a:1",
        "text": "e",
        "after_seconds": 2.5,
    }


def test_the_stream_begins_with_when_to_come_back_and_from_where(control: ControlApp) -> None:
    assert Answer(control, PATH).pieces == [b"retry: 2000\nid: 104\n\n"]
    assert Answer(control, PATH, QUERY_STRING="history=2").pieces[0] == b"retry: 2000\nid: 102\n\n"
    assert Answer(app(), PATH, pieces=1).body == b"retry: 2000\nid: 0\n\n"


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("", []),
        ("history=2", ["d", "e"]),
        ("history=99", ["a", "b", "c", "d", "e"]),
        ("history=0", []),
        ("since=102", ["d", "e"]),
        ("since=0", ["a", "b", "c", "d", "e"]),
        ("since=104", []),
        ("since=103&history=3", ["e"]),
    ],
)
def test_the_history_is_sent_as_asked_for(query: str, texts: list[str], control: ControlApp) -> None:
    assert streamed(Answer(control, PATH, QUERY_STRING=query)) == texts
    if query:
        assert listed(Answer(control, PATH, QUERY_STRING=query, **JSON)) == texts


def test_a_reader_that_comes_back_gets_what_it_missed(control: ControlApp) -> None:
    answer = Answer(control, PATH, QUERY_STRING="since=0&history=5", HTTP_LAST_EVENT_ID="102")
    assert streamed(answer) == ["d", "e"]


def test_without_a_wish_the_list_holds_the_last_hundred() -> None:
    events = EventLog()
    for number in range(150):
        events.add("up", "api", "http://a:1", str(number))
    assert listed(Answer(app(events=events), PATH, **JSON)) == [str(number) for number in range(50, 150)]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/event-stream"),
        ("text/event-stream", "text/event-stream"),
        ("text/html", "text/event-stream"),
        ("application/json, text/event-stream;q=0.5", "application/json"),
        ("application/json", "application/json"),
    ],
)
def test_the_form_follows_accept(accept: str, kind: str, control: ControlApp) -> None:
    assert Answer(control, PATH, HTTP_ACCEPT=accept).headers["Content-Type"] == kind


@pytest.mark.parametrize("value", ["", "-1", "x", "1.5", "%C2%B2", "9" * 17])
@pytest.mark.parametrize("name", ["since", "history"])
def test_a_number_that_is_none_is_refused(name: str, value: str, control: ControlApp) -> None:
    answer = Answer(control, PATH, QUERY_STRING=f"{name}={value}")
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.document["detail"].startswith(f"{name}: expected a whole number, got ")


def test_an_id_that_is_none_is_refused(control: ControlApp) -> None:
    assert Answer(control, PATH, HTTP_LAST_EVENT_ID="x").status == 400


def test_a_heartbeat_is_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    follow = log.follow
    monkeypatch.setattr(log, "follow", lambda last_id: follow(last_id, heartbeat=0.0))
    assert Answer(app(events=log), PATH, pieces=2).pieces[1] == b":\n\n"


def test_what_an_event_says_cannot_begin_a_line_of_its_own() -> None:
    log = EventLog()
    log.add("up", "api", "http://a:1", "one\ntwo\r\nid: 5\n\ndata: forged\u2028")
    log.close()
    piece = Answer(app(events=log), PATH, QUERY_STRING="since=0").pieces[1]
    assert piece.count(b"\n") == 4
    assert b"\r" not in piece
    assert piece.isascii()


def test_only_so_many_readers_may_follow(log: EventLog) -> None:
    streams = EventStreams(log, limit=2)
    first, _ = streams.follow(0, 0), streams.follow(0, 0)
    with pytest.raises(TooManyReaders):
        streams.follow(0, 0)
    first.close()
    first.close()
    streams.follow(0, 0)
    with pytest.raises(TooManyReaders):
        streams.follow(0, 0)


def test_one_reader_too_many_is_a_problem_document(monkeypatch: pytest.MonkeyPatch) -> None:
    control = app()
    monkeypatch.setattr(control, "_streams", EventStreams(EventLog(), limit=0))
    answer = Answer(control, PATH)
    assert (answer.status, answer.document["title"]) == (503, "Service Unavailable")
    assert "0 readers" in answer.document["detail"]


@pytest.mark.parametrize("environ", [{}, {"REQUEST_METHOD": "HEAD"}, JSON])
def test_a_reader_that_left_makes_room(environ: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    control = app()
    monkeypatch.setattr(control, "_streams", EventStreams(EventLog(), limit=1))
    for _ in range(3):
        assert Answer(control, PATH, pieces=1, **environ).status == 200


def test_a_reader_that_left_before_the_first_byte_makes_room(log: EventLog) -> None:
    streams = EventStreams(log, limit=1)
    for _ in range(3):
        streams.follow(0, 0).close()
