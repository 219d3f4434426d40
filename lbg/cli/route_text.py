"""What the admin API says of a request's way, as lines for people."""

from __future__ import annotations

import json
from typing import Any, Final

from lbg.cli.admin_client import plain

Document = dict[str, Any]

_WIDTH: Final = 12  # of the headings


def route_text(document: Document) -> str:
    """Return the lines. Raises one of `OTHER_SHAPE` when it is another document."""
    lines = [_line("request", f"{document['method']} {document['url']}")]
    if document["path"] is not None and not document["url"].partition("?")[0].endswith(document["path"]):
        lines.append(_line("compared", f"path {document['path']}"))
    lines += [_line("dropped", f"{name}: no field that lbg looks at") for name in document["dropped_headers"]]
    lines += [_line("passed over", f"{one['route']}: {one['why']}") for one in document["passed_over"]]
    if document["passed_over_more"]:
        lines.append(_line("", f"and {document['passed_over_more']} more"))
    refused, route = document["refused"], document["route"]
    if refused is not None:
        lines.append(_line("refused", f"{refused['status']} {refused['reason']}: {refused['detail']}"))
        lines += [_line("because", refused["why"])] if refused["why"] else []
        return "\n".join(_tidy(lines))
    lines.append(_line("route", f"{route['name']}, for {_asked(route)}"))
    lines += [_line(f"filter {number}", _filter(one)) for number, one in enumerate(route["filters"], 1)]
    lines += _outcome(document)
    if not document["live"]:
        lines.append(_line("note", "from the file alone: no health, load or state of endpoints is known"))
    return "\n".join(_tidy(lines))


def _tidy(lines: list[str]) -> list[str]:
    """Return the lines without headings that repeat the one above."""
    tidied, above = [], ""
    for line in lines:
        heading = line[:_WIDTH]
        tidied.append(plain(" " * _WIDTH + line[_WIDTH:] if heading == above else line))
        above = heading if heading.strip() else above
    return tidied


def _line(heading: str, text: str) -> str:
    return f"{heading:<{_WIDTH}}{text}"


def _asked(route: Document) -> str:
    kind = {"prefix": "paths below", "exact": "the path", "regex": "paths like"}[route["path_match"]]
    path = f"{kind} {route['path']}" if (kind, route["path"]) != ("paths below", "/") else "any path"
    return ", ".join((f"host {route['host']}" if route["host"] else "any host", path, *route["conditions"]))


def _filter(one: Document) -> str:
    settings = [f"{name}={json.dumps(value)}" for name, value in one.items() if name != "use"]
    return " ".join((one["use"], *settings))


def _outcome(document: Document) -> list[str]:
    action = document["route"]["action"]
    match document["outcome"]:
        case "maintenance":
            allowed = ", ".join(action["maintenance"]["allow"]) or "nobody"
            return [_line("answer", f"503, maintenance; who passes: {allowed}")]
        case "redirect":
            return [_line("answer", f"{action['redirect']['status']} to {document['location']}")]
        case "respond":
            return [_line("answer", f"{action['respond']['status']}, a fixed response")]
    lines = [_line("target", document["target"])]
    split, pool = document["split"], document["pool"]
    if split is not None:
        lines.append(_line("split", _split(split)))
    return [*lines, *_pool(pool)] if pool is not None else lines


def _split(split: Document) -> str:
    shares = ", ".join(f"{100 * share:.4g} % {name}" for name, share in split["shares"].items())
    key = f"the key {split['key']} leads" if split["key"] and not split["note"] else "chance led"
    note = f" ({split['note']})" if split["note"] else ""
    return f"{shares}; {key} to {split['pool']}{note}"


def _pool(pool: Document) -> list[str]:
    lines = [_line("pool", f"{pool['name']}, balance = {pool['balance']}: {pool['order']}")]
    if pool["key"]:
        lines.append(_line("key", pool["key_note"] or pool["key"]))
    if pool["sticky"] is not None:
        lines.append(_line("cookie", f"names {pool['sticky']}"))
    if pool["fails_open"]:
        lines.append(_line("", "no endpoint is usable, and requests are sent all the same (fail_open)"))
    lines += [
        _line("tried", f"{number}. {_endpoint(one)}") for number, one in enumerate(pool["candidates"], 1)
    ]
    lines += [_line("not tried", _endpoint(one)) for one in pool["others"]]
    if pool["left_out"]:
        lines.append(_line("", f"and {pool['left_out']} more endpoints"))
    return lines


def _endpoint(one: Document) -> str:
    said = str(one.get("sentence", one["name"]))
    marks = [name for name in ("backup", "trial") if one[name]]
    if "in_flight" in one:
        marks.append(f"{one['in_flight']} in flight" + (", which is full" if one["full"] else ""))
    return f"{said} ({', '.join(marks)})" if marks else said
