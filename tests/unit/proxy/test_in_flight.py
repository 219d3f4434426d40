"""Whatever happens to requests, and in whatever order: each is counted in flight until it ends."""

from typing import Any

import gevent
from gevent.event import Event
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lbg.errors import ClientGone, LocalReply, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.state.layout import Cause, Ejection, Field, Health, PoolField
from lbg.upstream.pool import Pool
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, ScriptedEndpoint, read_head

WORKERS = 2
ENOUGH = 5
MOODS = ["ok", "error", "cut", "close", "refuse", "hang"]
ROWS = {
    "up": {"health": Health.UP, "ejection": Ejection.NONE},
    "down": {"health": Health.DOWN},
    "ejected": {"ejection": Ejection.EJECTED, "ejected_for": Cause.SERVER_ERRORS},
    "hung": {"ejection": Ejection.EJECTED, "ejected_for": Cause.SILENCE},
    "trial": {"ejection": Ejection.TRIAL},
}

workers = st.integers(0, WORKERS - 1)
slots = st.integers(0, 2)
turns = st.sampled_from([0, 1, 2, ENOUGH, ENOUGH])  # of the loop


class Server:
    """What stands behind an endpoint: it answers every request as its mood is at that moment."""

    def __init__(self) -> None:
        self.mood = "ok"
        self._cheered_up = Event()

    def turn(self, mood: str) -> None:
        """Change the mood; requests that hang are answered in the new one."""
        self.mood = mood
        self._cheered_up.set()
        self._cheered_up.clear()

    def serve(self, stream: Stream) -> None:
        """Answer the requests of one connection."""
        while read_head(stream):
            while self.mood == "hang":
                self._cheered_up.wait()
            match self.mood:
                case "ok":
                    stream.send(OK)
                case "error":
                    stream.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                case "cut":
                    stream.send(OK[:-1])
                    stream.flush()
                    stream.close()
                case _:
                    stream.close()
            if stream.closed:
                return


class MoodyEndpoint(ScriptedEndpoint):
    """An endpoint in front of a server with moods."""

    server = Server()

    def connect(self, timeout: float) -> Stream:
        """Connect to the server."""
        refused = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
        self.answers = [refused if self.server.mood == "refuse" else self.server.serve]
        return super().connect(timeout)


class Requests(RuleBasedStateMachine):
    """Requests to one pool in two workers, while its endpoints change."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(WORKERS)
        self.servers = [Server() for _ in range(3)]
        self.pools: list[Pool] = []
        self.running: list[Any] = []
        self.now = 0.0

    @initialize(
        limits=st.tuples(*[st.sampled_from([0, 1, 1, 2])] * 3),
        moods=st.tuples(*[st.sampled_from(MOODS)] * 3),
        backup=st.booleans(),
    )
    def begin(self, limits: tuple[int, ...], moods: tuple[str, ...], backup: bool) -> None:
        for server, mood in zip(self.servers, moods, strict=True):
            server.turn(mood)
        for worker in range(WORKERS):
            endpoints = [self._endpoint(worker, slot, limits[slot], backup) for slot in range(3)]
            config = {"retry": {"status": [503]}, "queue": {"size": 2, "timeout": 0.02}}
            self.pools.append(pool_of(*endpoints, worker=worker, **config))

    def _endpoint(self, worker: int, slot: int, limit: int, backup: bool) -> MoodyEndpoint:
        made = MoodyEndpoint(
            cells=self.fleet.cells,
            slot=slot,
            worker=worker,
            max_requests=limit,
            backup=backup and slot == 2,
        )
        made.server = self.servers[slot]
        self.fleet.endpoints.append(made)
        return made

    @rule(worker=workers, methods=st.lists(st.sampled_from(["GET", "POST"]), max_size=4), turns=turns)
    def come(self, worker: int, methods: list[str], turns: int) -> None:
        for method in methods:
            self.running.append(gevent.spawn(_ask, self.pools[worker], method))
        self.settle(turns)

    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        begun = [request for request in self.running if request.gr_frame is not None]
        if which < len(begun):
            begun[which].kill(ClientGone("left"), block=False)

    @rule(slot=slots, mood=st.sampled_from(MOODS))
    def turn(self, slot: int, mood: str) -> None:
        self.servers[slot].turn(mood)

    @rule(slot=slots, row=st.sampled_from([*["up"] * len(ROWS), *ROWS]))
    def change(self, slot: int, row: str) -> None:
        self.fleet.endpoints[slot].becomes(**ROWS[row])

    @rule()
    def tick(self) -> None:
        self.now += 0.5
        for pool in self.pools:
            pool.tick(self.now)

    @rule(turns=turns)
    def settle(self, turns: int) -> None:
        for _ in range(turns):
            gevent.sleep(0)
        if turns == ENOUGH:
            gevent.idle()
        self.running = [request for request in self.running if not request.ready()]

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        for endpoint in self.fleet.endpoints:
            assert not endpoint.max_requests or endpoint.in_flight() <= endpoint.max_requests

    @invariant()
    def no_request_is_in_flight_that_is_none(self) -> None:
        # One may hold an answer and ask for a better one: a place in flight each.
        assert self.fleet.in_flight() <= 3 * sum(not request.ready() for request in self.running)

    def teardown(self) -> None:
        self.settle(1)
        for request in self.running:
            request.kill(ClientGone("left"), block=False)
        gevent.joinall(self.running, timeout=5.0, raise_error=True)
        cells = self.fleet.cells
        assert [cells.total(slot, Field.IN_FLIGHT) for slot in range(3)] == [0, 0, 0]
        assert cells.pool_total(0, PoolField.WAITING) == 0
        assert cells.pool_total(0, PoolField.OLDEST) == 0
        for pool in self.pools:
            assert not pool.queue
        self._assert_no_trial_is_held()
        self.fleet.shut()

    def _assert_no_trial_is_held(self) -> None:
        for endpoint in self.fleet.endpoints:
            assert not endpoint.waiting
            endpoint.end_trial(1e12)  # a verdict may not have been heard
            assert endpoint.begin_trial()


def _ask(pool: Pool, method: str) -> None:
    try:
        exchange = forward(request_for(method), pool, Record("id1"))
        try:
            for _ in exchange:
                gevent.sleep(0)
        finally:
            exchange.close()
    except (LocalReply, UpstreamError, ClientGone):
        return


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
