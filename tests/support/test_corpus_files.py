"""The corpus is readable, and its verdicts can fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.backend_connection import ReceivedRequest
from tests.support.client import RawResponse
from tests.support.corpus import FEEDS, Case, pieces
from tests.support.corpus_format import CORPUS, load, parse
from tests.support.escapes import unescape, visible
from tests.support.message import parse_fields
from tests.support.verdict import answer_problems, upstream_problems

LBG_FIELDS = [
    b"Host: example.com",
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Port: 80",
    b"X-Request-Id: 1",
    b"Via: 1.1 lbg",
]


def case_of(tmp_path: Path, text: str) -> Case:
    """Parse a case from its text."""
    folder = tmp_path / "requests"
    folder.mkdir(exist_ok=True)
    path = folder / "case.http"
    path.write_text(text)
    return parse(path)


def received(*lines: bytes, line: bytes = b"GET / HTTP/1.1") -> ReceivedRequest:
    """Make a complete request as the backend would record it."""
    head = [*LBG_FIELDS, *lines]
    method, target, version = line.split(b" ")
    return ReceivedRequest(
        method.decode(),
        target,
        version.decode(),
        parse_fields(head),
        b"\r\n".join([line, *head]),
        1,
        complete=True,
    )


def answered(status: int = 200, *fields: bytes, **attributes: object) -> RawResponse:
    """Make an answer as the client would read it."""
    response = RawResponse(status, "", parse_fields([b"Date: now", *fields]), framing="length")
    return replace(response, **attributes)  # type: ignore[arg-type]


def test_every_file_is_a_case() -> None:
    requests, responses = load("requests"), load("responses")
    assert len(requests) == len(list((CORPUS / "requests").iterdir())) >= 90
    assert len(responses) == len(list((CORPUS / "responses").iterdir())) >= 50


def test_every_feed_sends_the_same_bytes() -> None:
    for case in [*load("requests"), *load("responses")]:
        assert {b"".join(pieces(case.raw, feed)) for feed in FEEDS} == {case.raw}, case.name


def test_no_two_requests_are_the_same() -> None:
    raws = [case.raw for case in load("requests")]
    assert len(set(raws)) == len(raws)


def test_escapes_stand_for_bytes() -> None:
    assert unescape(r"a\r\n\t\\\x00\xff\{3*x\r\n\}{b}") == b"a\r\n\t\\\x00\xffx\r\nx\r\nx\r\n{b}"
    assert visible(b"a\r\n\x00\xff'") == r"a\r\n\x00\xff'"


@pytest.mark.parametrize("text", [r"\q", "\\", r"\xZZ", "caf\u00e9", r"\{3*x", "\x01"])
def test_unknown_escapes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        unescape(text)


@pytest.mark.parametrize(
    "head",
    [
        "expect: 200",
        "note: x",
        "expect: 200\nnote: x\nconnexion: keep",
        "expect: 200\nnote: x\nconnection: maybe",
        "x",
    ],
)
def test_a_wrong_head_is_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(ValueError, match=r"case\.http"):
        case_of(tmp_path, f"{head}\n---\nGET / HTTP/1.1\\r\\n\n")


def test_a_right_outcome_has_no_problems(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        "expect: 200\nconnection: keep\nupstream: GET / HTTP/1.1\nupstream-has: X-A: b\nupstream-lacks: TE\n"
        "upstream-order: X-A, x-b\nanswer-body: hello\nanswer-framing: length\nnote: x\n---\n",
    )
    answers = [answered(body=b"hello")]
    assert answer_problems(case, answers) == []
    assert upstream_problems(case, answers, [received(b"X-A: b", b"x-b: 1")]) == []


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (received(), "has no b'X-A'"),
        (received(b"X-A: b", b"X-A: c"), "has the names"),
        (received(b"x-a: b"), "has no b'X-A'"),
        (received(b"X-A: b", b"X-Hop: 1"), "has x-hop"),
        (received(b"X-A: b", b"X_A: 1"), "the name b'X_A'"),
        (received(b"X-A: b", b"Keep-Alive: 1"), "hop-by-hop"),
        (received(b"X-A: b", b"Host: b"), "2 fields host"),
        (received(b"X-A: b", b"TE: gzip"), "TE"),
        (received(b"X-A: b", b"Proxy: x"), "Proxy"),
        (received(b"X-A: b", b"Upgrade: h2c"), "h2c"),
        (received(b"X-A: b", b"Connection: x-y"), "Connection names"),
        (received(b"X-A: b", b"Y: 6.6.6.6"), "6.6.6.6"),
        (received(b"X-A: b", line=b"GET /other HTTP/1.1"), "expected b'GET / HTTP/1.1'"),
        (replace(received(b"X-A: b"), complete=False), "0 complete"),
    ],
)
def test_a_wrong_upstream_request_is_a_problem(
    tmp_path: Path, request_: ReceivedRequest, problem: str
) -> None:
    case = case_of(
        tmp_path,
        "expect: 200\nupstream: GET / HTTP/1.1\nupstream-has: X-A: b\nupstream-lacks: X-Hop\n"
        "upstream-order: X-A\nupstream-without: 6.6.6.6\nnote: x\n---\n",
    )
    assert problem in " ".join(upstream_problems(case, [answered()], [request_]))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "status none, expected 200"),
        (answered(500), "status 500, expected 200"),
        (answered(body=b"other"), "body b'other'"),
        (answered(body=b"hello", complete=False), "complete=False"),
        (answered(body=b"hello", framing="chunked"), "framing chunked"),
        (answered(body=b"hello", informational=[answered(100)]), "1xx (100,)"),
        (answered(200, b"Date: again", body=b"hello"), "2 fields Date"),
        (
            answered(200, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
            "Content-Length and Transfer-Encoding",
        ),
        (answered(body=b"hello"), "closes without"),
        (answered(200, b"Connection: close", body=b"hello", trailers=[(b"Host", b"x")]), "trailer b'Host'"),
    ],
)
def test_a_wrong_answer_is_a_problem(tmp_path: Path, answer: RawResponse | None, problem: str) -> None:
    case = case_of(
        tmp_path,
        "expect: 200\nconnection: close\nanswer-body: hello\nanswer-framing: length\nnote: x\n---\n",
    )
    assert problem in " ".join(answer_problems(case, [answer]))


def test_a_local_reply_is_judged_by_its_reason(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        "expect: 200|400\nreason: bad_request\nupstream: GET / HTTP/1.1\nanswer-body: hello\nnote: x\n---\n",
    )
    right = answered(400, b'Proxy-Status: lbg; error=bad_request; details="x"')
    assert answer_problems(case, [right]) == []
    assert upstream_problems(case, [right], []) == []
    assert "a complete" in " ".join(upstream_problems(case, [right], [received()]))
    assert "has no bad_request" in " ".join(answer_problems(case, [answered(400)]))
