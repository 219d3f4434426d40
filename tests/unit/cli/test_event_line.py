from datetime import datetime

import pytest

from lbg.cli.event_line import event_line

NOW = datetime.fromisoformat("2025-06-16T12:00:00Z").timestamp()


def line(**changes):
    event = {
        "time": "2025-06-16T10:00:03.500Z",
        "kind": "down",
        "pool": "api",
        "endpoint": "http://10.0.0.1:80",
        "text": "connect refused",
        "after_seconds": 0.0,
    }
    return event_line(event | changes, NOW)


def test_an_event_is_time_word_pool_endpoint_and_text(utc):
    assert line().plain == "10:00:03  DOWN      api  http://10.0.0.1:80  connect refused"


@pytest.mark.parametrize(
    ("kind", "past"),
    [
        ("up", " (was down for 3 h 2 min)"),
        ("down", " (was up for 3 h 2 min)"),
        ("restored", " (was out for 3 h 2 min)"),
        ("ready", " (was out for 3 h 2 min)"),
        ("ejected", ""),
        ("trial", ""),
    ],
)
def test_what_was_before_is_told(kind, past, utc):
    assert line(kind=kind, after_seconds=10_920.0).plain.partition("connect refused")[2] == past


def test_another_day_is_named(utc):
    assert line(time="2025-06-15T23:59:59Z").plain.startswith("2025-06-15 23:59:59  DOWN")


@pytest.mark.parametrize(
    ("kind", "word", "style"),
    [
        ("up", "UP", "bold green"),
        ("restored", "RESTORED", "bold green"),
        ("down", "DOWN", "bold red"),
        ("ejected", "EJECTED", "bold yellow"),
        ("trial", "TRIAL", "bold yellow"),
        ("ready", "READY", "bold green"),
        ("draining", "DRAINING", "bold cyan"),
        ("maint", "MAINT", "bold magenta"),
        ("weight", "WEIGHT", "dim"),
        ("checks_stale", "CHECKS STALE", "dim"),
    ],
)
def test_the_word_has_its_colour(kind, word, style, utc):
    text = line(kind=kind)
    (span,) = text.spans
    assert (text.plain[span.start : span.end], span.style) == (word, style)


@pytest.mark.parametrize("field", ["kind", "pool", "endpoint", "text"])
def test_control_characters_do_not_reach_the_terminal(field, utc):
    text = line(**{field: "a\x1b[2J\r\n\x07\x9b\u202e\ud800b"}).plain
    assert text.isprintable()


@pytest.mark.parametrize(
    "event", [[], "x", {}, {"kind": 1, "after_seconds": 0}, {"kind": "up", "after_seconds": 0, "time": "x"}]
)
def test_another_document_is_told_from_an_event(event):
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        event_line(event, NOW)
