"""What the admin API says of single requests, as lines for people."""

from __future__ import annotations

from datetime import datetime
from time import time
from typing import Any, Final

from lbg.cli.admin_client import plain
from lbg.state.condition import local_time

Document = dict[str, Any]

_WIDTH: Final = 10  # of the headings
_LISTED: Final = 160  # characters of a sentence in a list
_ASKED: Final = 40  # of method and path


def explain_text(document: Document) -> str:
    """Return the sentence, and the way of the request. Raises one of `OTHER_SHAPE` for another document."""
    lines = [document["sentence"], ""]
    if document["setting"]:
        lines.append(_line("setting", document["setting"]))
    if document["advice"]:
        lines.append(_line("advice", document["advice"]))
    reason = document["reason"] or document["kind"]
    lines.append(_line("request", f"{document['id']}, {_clock(document)}, {reason}"))
    lines += [
        _line("way" if not number else "", step["text"]) for number, step in enumerate(document["steps"])
    ]
    lines += [
        _line("endpoints" if not number else "", _candidate(one))
        for number, one in enumerate(document["candidates"])
    ]
    if document["trace_id"]:
        lines.append(_line("trace id", document["trace_id"]))
    return "\n".join(plain(line) for line in lines)


def explain_list(traces: list[Document]) -> str:
    """Return a line for each request, those that were refused under a heading of their own.

    Raises one of `OTHER_SHAPE` when they are other documents.
    """
    width = max((len(one["id"]) for one in traces), default=0)
    refused = [_row(one, width) for one in traces if one["kind"] == "refused"]
    lines = [_row(one, width) for one in traces if one["kind"] != "refused"]
    if not lines:
        lines = ["No request failed that is still kept."]
    if refused:
        lines += ["", "Refused, by the client's own doing:", *refused]
    return "\n".join(plain(line) for line in lines)


def _row(one: Document, width: int) -> str:
    asked = _short(f"{one['method']} {one['path']}".strip(), _ASKED)
    told = _short(one["sentence"], _LISTED)
    return "  ".join(part for part in (_clock(one), f"{one['id']:<{width}}", asked, told) if part)


def _line(heading: str, text: str) -> str:
    return f"{heading:<{_WIDTH}}{text}"


def _clock(document: Document) -> str:
    return local_time(datetime.fromisoformat(document["at"]).timestamp(), time())


def _candidate(one: Document) -> str:
    if one["usable"]:
        return f"{one['endpoint']} usable" + (f", {one['why']}" if one["why"] else "")
    return f"{one['endpoint']} not usable: {one['why']}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
