"""What is told of requests that were not over when lbg stopped."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from tests.support.backend import Backend
from tests.support.client import RawClient, RawResponse
from tests.support.handlers import half_body, raw_bytes, stall_before_head
from tests.support.metrics import scrape
from tests.support.reason_codes import LOCAL, Stage, staged
from tests.support.waiting import eventually

HANDLERS = {
    "silent": stall_before_head(),
    "half": half_body("stall"),
    "until_close": raw_bytes(b"HTTP/1.1 200 OK\r\n\r\nhello", "stall"),
}
GRACE = (
    "lbg stopped or was reloaded, and its grace period (0.2 s, or 2 s after Ctrl+C) "
    "ended before the request did"
)


def test_what_a_stop_ends_is_told_everywhere_and_never_looks_whole(tmp_path: Path) -> None:
    with ExitStack() as running:
        urls = {name: running.enter_context(Backend(one)).url for name, one in HANDLERS.items()}
        config = {
            "server": {"shutdown_grace": 0.2},
            "pools": {name: {"endpoints": [url]} for name, url in urls.items()},
            "routes": [{"name": name, "path": f"/{name}", "pool": name} for name in urls],
        }
        names = {name: url.removeprefix("http://") for name, url in urls.items()}
        stage = running.enter_context(staged(config, tmp_path, names))
        clients = {name: running.enter_context(RawClient(stage.process.address)) for name in urls}
        for name, client in clients.items():
            # Only a reset tells an HTTP/1.0 client that a body without a length is cut.
            version = "1.0" if name == "until_close" else "1.1"
            client.send(f"GET /{name} HTTP/{version}\r\nHost: a\r\nAccept: text/html\r\n\r\n".encode())
        eventually(
            lambda: scrape(stage.process).total("lbg_upstream_in_flight") == len(urls), what="the requests"
        )
        os.kill(stage.process.pid, signal.SIGHUP)
        answers = {name: client.read_response() for name, client in clients.items()}
        _check_answers(answers)
        _check_told(stage, answers["silent"])


def _check_answers(answers: dict[str, RawResponse]) -> None:
    told = answers["silent"]
    assert (told.status, told.get("retry-after"), told.complete) == (503, "1", True)
    assert told.values("proxy-status") == ['lbg; error=proxy_internal_response; details="shutdown"']
    assert told.get("content-type") == "text/html; charset=utf-8"
    for name in ("half", "until_close"):
        assert (answers[name].status, answers[name].body, answers[name].complete) == (200, b"hello", False)


def _check_told(stage: Stage, answer: RawResponse) -> None:
    eventually(lambda: len(stage.lines("shutdown")) == 3, what="three lines of the access log")
    lines = {line["pool"]: line for line in stage.lines("shutdown")}
    statuses = {name: line["status"] for name, line in lines.items()}
    assert statuses == {"silent": 503, "half": 200, "until_close": 200}
    assert lines["silent"]["request_id"] == answer.get("x-request-id")
    assert lines["silent"]["bytes_out"] == len(answer.body)
    counted = scrape(stage.process)
    assert counted.total(LOCAL, reason="shutdown", code="503") == 1
    assert counted.total(LOCAL, reason="shutdown", code="200") == 2
    for pool, sentence in {
        "silent": f"503: {GRACE}; {stage.names['silent']} had not answered",
        "half": f"200, cut after 5 bytes: {GRACE}",
        "until_close": f"200, cut after 5 bytes: {GRACE}",
    }.items():
        document = stage.process.ask(f"/api/v1/traces/{lines[pool]['request_id']}")
        assert document["sentence"] == sentence
        assert document["setting"] == "server.shutdown_grace = 0.2"
        assert document["advice"].endswith("raise server.shutdown_grace.")
