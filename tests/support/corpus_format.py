"""Reading the files of tests/corpus; the README there describes their format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast, get_args

from tests.support.corpus import NO_ANSWER, Case, Expected, ExpectedAnswer, ExpectedRequest, Line
from tests.support.escapes import unescape
from tests.support.handlers import End

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
SEPARATOR = "---"


def load(kind: Literal["requests", "responses"]) -> list[Case]:
    """Return the cases of one folder, by name."""
    return [parse(path) for path in sorted((CORPUS / kind).glob("*.http"))]


def parse(path: Path) -> Case:
    """Return the case in one file; ValueError names the file."""
    head, found, body = path.read_text(encoding="ascii").partition(f"\n{SEPARATOR}\n")
    if not found:
        raise ValueError(f"{path}: no line {SEPARATOR!r}")
    case = Case(path.stem)
    try:
        case.raw = unescape(body.replace("\n", ""))
        for key, value in _entries(head):
            _apply(case, key, value)
        _require(case, path.parent.name)
    except (ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return case


def _entries(head: str) -> Iterator[tuple[str, str]]:
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"no colon in {line!r}")
        yield key, value.strip()


def _apply(case: Case, key: str, value: str) -> None:
    subject, _, what = key.partition("-")
    match subject:
        case "upstream" if key == "upstream-connection":
            case.upstream_connection = _one_of(value, "close", "keep", "any")
        case "upstream" if what:
            _apply_expected(case.upstream[-1], what, value)  # type: ignore[arg-type]
        case "upstream":
            _apply_upstream(case, value)
        case "answer":
            _apply_answer(case.answer, what, value)
        case "request":
            _apply_request(case, what, value)
        case _:
            _apply_verdict(case, key, value)


def _apply_verdict(case: Case, key: str, value: str) -> None:
    match key:
        case "expect":
            case.expect = [tuple(_status(word) for word in one.split("|")) for one in value.split()]
        case "reason":
            case.reasons = tuple(value.split("|"))
        case "connection":
            case.connection = _one_of(value, "close", "keep", "any")
        case "note":
            case.note = f"{case.note} {value}".strip()
        case "methods":
            case.methods = tuple(value.split())
        case "end":
            case.end = _one_of(value, "open", "shutdown")
        case "reads":
            case.reads = _one_of(value, "all", "head")
        case "then":
            case.then = cast("End", _one_of(value, *get_args(End)))
        case _:
            raise ValueError(f"unknown key {key!r}")


def _apply_upstream(case: Case, value: str) -> None:
    if value in ("none", "cut", "any"):
        case.upstream = value  # type: ignore[assignment]
        return
    if isinstance(case.upstream, str):
        case.upstream = []
    case.upstream.append(ExpectedRequest(lines=tuple(unescape(line) for line in value.split(" || "))))


def _apply_answer(answer: ExpectedAnswer, what: str, value: str) -> None:
    match what:
        case "framing":
            answer.framing = tuple(value.split("|"))
        case "complete":
            answer.complete = {"yes": True, "no": False, "any": None}[_one_of(value, "yes", "no", "any")]
        case "informational":
            answer.informational = None if value == "any" else tuple(int(word) for word in value.split())
        case _:
            _apply_expected(answer, what, value)


def _apply_request(case: Case, what: str, value: str) -> None:
    match what:
        case "":
            case.request_line = unescape(value)
            case.methods = (value.split(maxsplit=1)[0],)
        case "field":
            case.request_fields.append(_line(value))
        case "body":
            case.request_body = unescape(value)
        case _:
            raise ValueError(f"unknown key 'request-{what}'")


def _apply_expected(expected: Expected, what: str, value: str) -> None:
    match what:
        case "has":
            expected.has.append(_line(value))
        case "lacks":
            expected.lacks += value.lower().replace(",", " ").split()
        case "order":
            expected.order = unescape(value).replace(b",", b" ").split()
        case "without":
            expected.without.append(unescape(value))
        case "trailer":
            expected.trailers.append(_line(value))
        case "body":
            expected.body = unescape(value)
        case _:
            raise ValueError(f"unknown expectation {what!r}")


def _require(case: Case, kind: str) -> None:
    if not case.expect or not case.note:
        raise ValueError("`expect` and `note` are required")
    if kind == "requests" and not case.methods:
        first = case.raw.lstrip(b"\r\n").split(b" ")[0]
        case.methods = (first.decode() if first == b"HEAD" else "GET",)


def _line(value: str) -> Line:
    name, _, content = unescape(value).partition(b":")
    return name, content.strip(b" \t")


def _status(word: str) -> int:
    return NO_ANSWER if word == "none" else int(word)


def _one_of(value: str, *allowed: str) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    return value
