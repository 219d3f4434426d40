"""Every message of tests/corpus, whole, by line and by byte, through the real command."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import NoResponseError, RawClient
from tests.support.corpus import FEEDS, Case, Feed, pieces
from tests.support.corpus_format import load
from tests.support.escapes import visible
from tests.support.handlers import answer, finish
from tests.support.lbg import LbgProcess, one_pool
from tests.support.message import MalformedMessageError
from tests.support.verdict import Answer, answer_problems, upstream_problems
from tests.support.waiting import eventually

CLEAN = "/clean-request-after-the-case"
CLEAN_BODY = b"clean answer"
TIMEOUT = 5.0

clean_answer = answer(body=CLEAN_BODY)


@dataclass
class Proxied:
    """lbg with one proxy worker in front of one backend."""

    lbg: LbgProcess
    backend: Backend


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Start both once for all cases."""
    with Backend(clean_answer) as backend:
        config = one_pool(backend.url)
        with LbgProcess(config, tmp_path_factory.mktemp("corpus"), workers=1) as lbg:
            yield Proxied(lbg, backend)


def _fed(cases: Sequence[Case]) -> list[object]:
    return [pytest.param(case, feed, id=f"{case.name}-{feed}") for case in cases for feed in FEEDS]


@pytest.mark.parametrize(("case", "feed"), _fed(load("requests")))
def test_request_gets_its_verdict(proxied: Proxied, case: Case, feed: Feed) -> None:
    backend = proxied.backend
    backend.handler = clean_answer
    backend.requests.clear()
    with RawClient(proxied.lbg.address, TIMEOUT) as client:
        client.send_pieces(pieces(case.raw, feed))
        if case.end == "shutdown":
            client.finish_sending()
        answers, problems = _read_answers(client, case)
        problems += _connection_problems(client, case, answers)
    eventually(backend.settled, what="the backend to have read everything")
    received = [request for request in backend.requests if request.target != CLEAN.encode()]
    problems += upstream_problems(case, answers, received)
    problems += _clean_request_problems(proxied.lbg)
    problems += _backend_problems(backend)
    _fail_on(problems, case)


@pytest.mark.parametrize(("case", "feed"), _fed(load("responses")))
def test_response_gets_its_verdict(proxied: Proxied, case: Case, feed: Feed) -> None:
    script = Script(case, feed)
    proxied.backend.handler = script
    with RawClient(proxied.lbg.address, TIMEOUT) as client:
        client.send(case.request())
        answers, problems = _read_answers(client, case)
        eventually(lambda: not script.sending, what="the backend to have sent everything")
        proxied.backend.handler = clean_answer
        problems += _connection_problems(client, case, answers)
    if case.upstream_connection == "keep" and any(one.closed for one in script.connections):
        problems.append("the upstream connection was closed")
    if case.upstream_connection == "close":  # at first: what is left over may still be on its way
        problems += _still_open_problems(proxied.lbg, script)
    problems += _clean_request_problems(proxied.lbg)
    problems += _backend_problems(proxied.backend)
    _fail_on(problems, case)


@dataclass
class Script:
    """A handler that sends the raw bytes of a case, piece by piece, and ends as the case says."""

    case: Case
    feed: Feed
    connections: list[BackendConnection] = field(default_factory=list)
    sending: int = 0

    def __call__(self, connection: BackendConnection) -> None:
        """Serve one request."""
        connection.read_head() if self.case.reads == "head" else connection.read_request()
        self.connections.append(connection)
        self.sending += 1
        try:
            for piece in pieces(self.case.raw, self.feed):
                connection.send(piece)
        finally:
            self.sending -= 1
        unread = self.case.reads == "head"  # a body on the wire must not be read as the next request
        finish(connection, "stall" if unread and self.case.then == "open" else self.case.then)


def _read_answers(client: RawClient, case: Case) -> tuple[list[Answer], list[str]]:
    answers: list[Answer] = []
    try:
        while len(answers) < len(case.expect):
            answers.append(client.read_response(case.method_of(len(answers))))
    except NoResponseError as error:
        answers.append(None)
        problems = [f"a cut answer: {error}"] if error.partial else []
        return answers, problems + answer_problems(case, answers)
    except (MalformedMessageError, TimeoutError) as error:
        return answers, [f"answer {len(answers) + 1}: {error!r}, {client!r}"]
    return answers, answer_problems(case, answers)


def _connection_problems(client: RawClient, case: Case, answers: list[Answer]) -> list[str]:
    if len(answers) < len(case.expect) or answers[-1] is None:
        return []
    try:
        if case.connection == "keep":
            return _clean_problems("on the same connection", client)
        if case.connection == "close" and not client.closed_by_peer():
            return ["the connection stays open"]
    except (MalformedMessageError, NoResponseError, OSError) as error:
        return [f"after the answers, `connection: {case.connection}`: {error!r}"]
    return []


def _still_open_problems(lbg: LbgProcess, script: Script) -> list[str]:
    problems: list[str] = []
    patience = time.monotonic() + 0.2  # what is left over may still be on its way

    def closed() -> bool:
        if all(one.closed for one in script.connections):
            return True
        if time.monotonic() < patience:
            return False
        problems.extend(_clean_request_problems(lbg))  # left over bytes may be noticed at the next use
        return False

    try:
        eventually(closed, timeout=3.0)
    except AssertionError:
        problems.append("the upstream connection stays open")
    return problems


def _backend_problems(backend: Backend) -> list[str]:
    problems = [f"at the backend: {error!r}" for error in backend.errors]
    backend.errors.clear()
    return problems


def _clean_request_problems(lbg: LbgProcess) -> list[str]:
    with RawClient(lbg.address, TIMEOUT) as client:
        return _clean_problems("on a new connection", client)


def _clean_problems(where: str, client: RawClient) -> list[str]:
    try:
        response = client.request("GET", CLEAN)
    except (MalformedMessageError, NoResponseError, OSError) as error:
        return [f"a clean request {where}: {error!r}"]
    if (response.status, response.body) != (200, CLEAN_BODY):
        return [f"a clean request {where} got {response}"]
    return []


def _fail_on(problems: list[str], case: Case) -> None:
    if problems:
        listed = "\n  ".join(problems)
        pytest.fail(f"{case.name}: {case.note}\n  {listed}\nraw: {visible(case.raw)}", pytrace=False)
