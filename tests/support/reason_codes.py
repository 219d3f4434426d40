"""Requests that lbg answers itself or cuts, and what header, body, log, metric and trace say of each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.client import Header, RawResponse, fetch
from tests.support.lbg import LbgProcess
from tests.support.metrics import scrape
from tests.support.waiting import eventually

LOCAL = "lbg_local_responses_total"
TEXT = "text/plain; charset=utf-8"
FORMS = {
    "text/plain": TEXT,
    "application/json": "application/problem+json",
    "text/html": "text/html; charset=utf-8",
}
"""By what a client asks for: the type of the answer that lbg makes."""


@dataclass(slots=True)
class Stage:
    """A running lbg with an access log; `names` are the endpoints by the name of their pool."""

    process: LbgProcess
    file: Path
    names: Mapping[str, str] = field(default_factory=dict)

    def lines(self, reason: str) -> list[dict[str, Any]]:
        """Return the lines of the access log with this reason."""
        content = self.file.read_text() if self.file.exists() else ""
        found = [json.loads(line) for line in content.splitlines()]
        return [line for line in found if line["reason"] == reason]


@contextmanager
def staged(
    config: Mapping[str, object], directory: Path, names: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Stage]:
    """Run lbg with two workers; the log may have tracebacks."""
    file = directory / "access.log"
    env = {
        "LBG_LOG__ACCESS": "true",
        "LBG_LOG__ACCESS_FILE": str(file),
        "LBG_LOG__FORMAT": "json",
        "PYTHONPATH": str(directory),
    }
    with LbgProcess(config, directory, workers=2, env=env, allow_traceback=True, **options) as process:
        yield Stage(process, file, names or {})


@dataclass(frozen=True, slots=True)
class Case:
    """How a request comes to a reason, and what must be told of it.

    `cause` is called with what the client accepts and returns what it got, None where that is no answer of
    lbg's own. In `sentence` `*` stands for what is never the same twice; there and in `advice`, which is a
    part, `{endpoint}` stands for the endpoint of `pool`, or of the pool that is named like the reason.
    `error` is the type in Proxy-Status, "" without an answer. Without `accepts` lbg cannot know what the
    client wants, and sends text.
    """

    reason: str
    status: int
    error: str
    cause: Callable[[Stage, str], RawResponse | None]
    sentence: str
    advice: str
    setting: str | None = None
    pool: str = ""
    accepts: bool = True

    def __str__(self) -> str:
        """Return the id of its test."""
        return f"{self.reason}-{self.status}"


def asking(
    target: str, *fields: Header, method: str = "GET", body: bytes | None = None, host: str = "a"
) -> Callable[[Stage, str], RawResponse]:
    """Return what asks for `target`, as a `cause` does."""

    def cause(stage: Stage, accept: str) -> RawResponse:
        headers = [("Host", host), ("Accept", accept), *fields]
        return fetch(stage.process.address, target, method=method, headers=headers, body=body)

    return cause


def check(stage: Stage, case: Case) -> None:
    """Let it happen in every form there is; each must be told everywhere, once."""
    alike = {"reason": case.reason, "code": str(case.status)}
    before = scrape(stage.process)
    for accept, kind in FORMS.items() if case.accepts and case.error else [("text/plain", TEXT)]:
        known = len(stage.lines(case.reason))
        response = case.cause(stage, accept)
        line = _line(stage, case, known)
        if case.error:
            assert response is not None
            _check_answer(case, response, kind, line)
        _check_trace(stage, case, line["request_id"])
        after = scrape(stage.process)
        risen = after.total(LOCAL, **alike) - before.total(LOCAL, **alike)
        assert (risen, after.total(LOCAL) - before.total(LOCAL)) == (1, 1), f"counted {risen:g} times"
        before = after
    ids = [line["request_id"] for line in stage.lines(case.reason)]
    assert len({*ids}) == len(ids)


def _line(stage: Stage, case: Case, known: int) -> dict[str, Any]:
    """Return the one line of the access log that has come."""
    eventually(lambda: len(stage.lines(case.reason)) > known, what=f"a line about {case.reason}")
    (line,) = stage.lines(case.reason)[known:]
    assert line["status"] == case.status, line
    return line


def _check_answer(case: Case, response: RawResponse, kind: str, line: dict[str, Any]) -> None:
    assert response.status == case.status, response
    assert response.complete, response
    assert response.values("proxy-status") == [f'lbg; error={case.error}; details="{case.reason}"']
    assert response.values("x-request-id") == [line["request_id"]]
    assert response.values("content-type") == [kind]
    assert response.values("cache-control") == ["no-store"]
    assert line["bytes_out"] == len(response.body), line
    text = response.body.decode()
    assert case.reason in text, text
    assert line["request_id"] in text, text
    if "json" in kind:
        document = json.loads(text)
        assert (document["status"], document["reason"]) == (case.status, case.reason)
        assert document["request_id"] == line["request_id"]


def _check_trace(stage: Stage, case: Case, request_id: str) -> None:
    document = eventually(
        lambda: stage.process.ask(f"/api/v1/traces/{request_id}"), what=f"the trace of {case.reason}"
    )
    assert (document["reason"], document["status"]) == (case.reason, case.status)
    name = stage.names.get(case.pool or case.reason, "")
    sentence = re.escape(case.sentence.replace("{endpoint}", name)).replace(r"\*", ".+")
    assert re.fullmatch(sentence, document["sentence"]), document["sentence"]
    assert case.advice.replace("{endpoint}", name) in document["advice"], document["advice"]
    assert document["setting"] == case.setting, document["setting"]
