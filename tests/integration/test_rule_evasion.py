"""No spelling of a request comes past a rule: the corpus of rules, through the real command."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import rules
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.corpus import Case, Feed, pieces
from tests.support.handlers import answer
from tests.support.lbg import LbgProcess
from tests.support.verdict import answer_problems, upstream_problems
from tests.support.waiting import eventually
from tests.unit.proxy.seen import Got, misjudged

CLEAN = "/clean-request-after-the-case"
TARGETS = rules.rows("targets.txt")
REFUSED = {status: verdict for verdict, status in rules.STATUS.items()}
LIMITED = {"name": "limited", "path": "/limited", "pool": "main"}
LIMIT = {"use": "rate_limit", "rate": "1/h", "burst": 0, "key": "client_ip"}


@dataclass
class Front:
    """lbg with the routes of the corpus in front of a backend."""

    lbg: LbgProcess
    backend: Backend

    def verdict(self, raw: bytes) -> str:
        """Return what became of a request: the route it took, or how it was refused."""
        self.backend.requests.clear()
        with RawClient(self.lbg.address) as client:
            client.send(raw)
            status = client.read_response().status
        if status != 200:
            assert self.backend.requests == []
            return REFUSED[status]
        (request,) = self.backend.requests
        got = Got(request.raw_head)
        assert misjudged(got) == []
        return got.values("x-route")[0]


@pytest.fixture(scope="module", params=[None, "gevent"], ids=["our server", "gunicorn's gevent"])
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run lbg under one server after the other."""
    with Backend(answer()) as backend:
        config = {
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [*rules.routes(), {**LIMITED, "filters": [LIMIT]}],
        }
        directory = tmp_path_factory.mktemp("rules")
        with LbgProcess(config, directory, workers=1, worker_class=request.param) as process:
            yield Front(process, backend)


@pytest.mark.parametrize(("target", "verdicts"), TARGETS)
def test_a_target_gets_its_verdict(front: Front, target: str, verdicts: list[str]) -> None:
    assert front.verdict(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode()) in verdicts


@pytest.mark.parametrize(("host", "verdicts"), rules.rows("hosts.txt"))
def test_a_host_gets_its_verdict(front: Front, host: str, verdicts: list[str]) -> None:
    assert front.verdict(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode()) in verdicts


@pytest.mark.parametrize("feed", ["whole", "bytes"])
@pytest.mark.parametrize("case", rules.cases(), ids=lambda case: case.name)
def test_a_message_gets_its_verdict(front: Front, case: Case, feed: Feed) -> None:
    front.backend.requests.clear()
    with RawClient(front.lbg.address) as client:
        client.send_pieces(pieces(case.raw, feed))
        answers = [client.read_response(case.method_of(number)) for number in range(len(case.expect))]
        if case.connection == "keep":
            assert client.request("GET", CLEAN).status == 200
    eventually(front.backend.settled, what="the backend to have read everything")
    received = [request for request in front.backend.requests if request.target != CLEAN.encode()]
    problems = upstream_problems(case, answers, received)
    if front.lbg.worker_class is None:
        problems += answer_problems(case, answers)
    assert problems == []
    assert all(one.status in right for one, right in zip(answers, case.expect, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_every_request_of_a_connection_is_judged_anew(front: Front, seed: int) -> None:
    statuses = {"denied": 403, "unauthorized": 401}
    known = [(target, verdict) for target, (verdict, *more) in TARGETS if not more and verdict != "refused"]
    chosen = random.Random(seed).choices(known, k=40)
    front.backend.requests.clear()
    with RawClient(front.lbg.address) as client:
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode() for target, _ in chosen))
        told = [client.read_response().status for _ in chosen]
    assert told == [statuses.get(verdict, 200) for _, verdict in chosen]
    routes = [request.get("x-route") for request in front.backend.requests]
    assert routes == [verdict for _, verdict in chosen if verdict not in statuses]


def test_a_stranger_cannot_choose_the_client_that_a_limit_counts(front: Front) -> None:
    def ask(number: int) -> int:
        names = ["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "X_Forwarded_For"]
        forged = [(name, f"198.51.100.{number}") for name in names]
        return fetch(front.lbg.address, "/limited", headers=[*forged, ("Cookie", f"a={number}")]).status

    assert [ask(number) for number in range(5)] == [200, 429, 429, 429, 429]
