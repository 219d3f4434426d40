"""Idle connections: which is taken, when one is closed."""

from typing import cast

import pytest

from lbg.config.pools import ConnectionsConfig
from lbg.upstream import idle
from lbg.upstream.connection import Connection
from lbg.upstream.idle import IdleConnections
from tests.unit.net.scripted_stream import ScriptedStream, as_stream


class Clock:
    """The time, which stands still."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1000.0)
    monkeypatch.setattr(idle, "monotonic", clock)
    return clock


def connection(*, served: int = 1, keep_alive: int = 0) -> Connection:
    made = Connection(as_stream(ScriptedStream()))
    made.served, made.keep_alive = served, keep_alive
    return made


def kept(
    *connections: Connection, limit: int = 128, timeout: float = 60.0, max_requests: int = 0
) -> IdleConnections:
    config = ConnectionsConfig(idle=limit, idle_timeout=timeout, max_requests=max_requests)
    resting = IdleConnections(config)
    for each in connections:
        resting.put(each)
    return resting


def stream(of: Connection) -> ScriptedStream:
    return cast("ScriptedStream", of.stream)


def test_nothing_is_taken_from_nothing(clock: Clock) -> None:
    assert kept().take() is None


def test_the_most_recently_used_is_taken_first(clock: Clock) -> None:
    first, second, third = connection(), connection(), connection()
    resting = kept(first, second, third)
    assert [resting.take(), resting.take(), resting.take(), resting.take()] == [third, second, first, None]


def test_what_is_taken_is_open_and_no_longer_watched(clock: Clock) -> None:
    resting = kept(connection())
    taken = resting.take()
    assert taken is not None
    assert not stream(taken).armed
    assert not stream(taken).closed
    assert len(resting) == 0


def test_a_resting_connection_is_watched_and_has_no_deadline(clock: Clock) -> None:
    resting = connection()
    stream(resting).deadline = 5.0
    kept(resting)
    assert stream(resting).armed
    assert stream(resting).deadline == float("inf")


def test_what_the_endpoint_closes_is_forgotten_at_once(clock: Clock) -> None:
    dying, healthy = connection(), connection()
    resting = kept(healthy, dying)
    stream(dying).turn_readable()
    assert stream(dying).closed
    assert (len(resting), resting.take()) == (1, healthy)


def test_more_than_the_limit_are_closed(clock: Clock) -> None:
    first, second, third = connection(), connection(), connection()
    resting = kept(first, second, third, limit=2)
    assert (len(resting), stream(third).closed, stream(first).closed) == (2, True, False)


def test_a_limit_of_none_keeps_none(clock: Clock) -> None:
    only = connection()
    assert (len(kept(only, limit=0)), stream(only).closed) == (0, True)


@pytest.mark.parametrize(("served", "closed"), [(1, False), (2, False), (3, True)])
def test_a_connection_that_had_its_share_of_requests_is_closed(
    clock: Clock, served: int, closed: bool
) -> None:
    tired = connection(served=served)
    kept(tired, max_requests=3)
    assert stream(tired).closed is closed


def test_without_a_share_a_connection_serves_any_number(clock: Clock) -> None:
    busy = connection(served=1_000_000)
    kept(busy, max_requests=0)
    assert not stream(busy).closed


def test_what_rested_too_long_is_not_taken(clock: Clock) -> None:
    old = connection()
    resting = kept(old, timeout=60.0)
    clock.now += 60.0
    assert resting.take() is None
    assert stream(old).closed


def test_an_old_one_is_passed_over_for_one_that_is_fresh(clock: Clock) -> None:
    fresh, old = connection(), connection(keep_alive=5)
    resting = kept(fresh, old)
    clock.now += 10.0
    assert resting.take() is fresh
    assert stream(old).closed


def test_what_rested_too_long_is_retired_and_the_rest_stays(clock: Clock) -> None:
    old = connection()
    resting = kept(old, timeout=60.0)
    clock.now += 30.0
    young = connection()
    resting.put(young)
    resting.retire(clock.now + 29.9)
    assert len(resting) == 2
    resting.retire(clock.now + 30.0)
    assert (len(resting), stream(old).closed, stream(young).closed) == (1, True, False)


@pytest.mark.parametrize(
    ("announced", "usable_for"), [(10, 9.0), (5, 4.0), (2, 1.6), (1, 0.8), (61, 60.0), (600, 60.0)]
)
def test_a_connection_is_retired_before_the_endpoint_closes_it(
    clock: Clock, announced: int, usable_for: float
) -> None:
    ending = connection(keep_alive=announced)
    kept(ending, timeout=60.0)
    assert ending.expires == pytest.approx(clock.now + usable_for)


def closed_after(resting: IdleConnections, clock: Clock, rest: float, *, script: bytes = b"") -> None:
    """Let a connection rest in `resting` until the endpoint ends it, or sends `script`."""
    ending = connection()
    stream(ending).script.append(script)
    resting.put(ending)
    clock.now += rest
    stream(ending).turn_readable()
    assert stream(ending).closed


def test_after_two_closes_connections_are_retired_before_the_endpoint_closes_them(clock: Clock) -> None:
    resting = kept(timeout=60.0)
    closed_after(resting, clock, 5.0)
    closed_after(resting, clock, 5.01)
    fresh = connection()
    resting.put(fresh)
    assert fresh.expires == pytest.approx(clock.now + 4.0)


def test_what_rests_when_the_limit_is_learned_is_retired_in_time_too(clock: Clock) -> None:
    resting = kept(timeout=60.0)
    closed_after(resting, clock, 5.0)
    clock.now += 1.0
    first, second = connection(), connection(keep_alive=3)
    stream(first).script.append(b"")
    resting.put(first)
    clock.now += 3.0
    resting.put(second)
    other = connection()
    resting.put(other)
    clock.now += 2.0
    stream(first).turn_readable()
    assert second.expires == pytest.approx(clock.now - 2.0 + 2.4)
    assert other.expires == pytest.approx(clock.now - 2.0 + 4.0)


def test_a_limit_learned_is_forgotten_after_ten_minutes(clock: Clock) -> None:
    resting = kept(timeout=60.0)
    closed_after(resting, clock, 5.0)
    closed_after(resting, clock, 5.0)
    clock.now += 600.0
    resting.retire(clock.now)
    fresh = connection()
    resting.put(fresh)
    assert fresh.expires == clock.now + 60.0


def test_bytes_nobody_asked_for_teach_nothing(clock: Clock) -> None:
    resting = kept(timeout=60.0)
    for _ in range(3):
        closed_after(resting, clock, 5.0, script=b"HTTP/1.1 408 Request Timeout")
    fresh = connection()
    resting.put(fresh)
    assert fresh.expires == clock.now + 60.0


def test_what_we_close_teaches_nothing(clock: Clock) -> None:
    resting = kept(timeout=5.0)
    for _ in range(3):
        resting.put(connection())
        clock.now += 5.0
        resting.retire(clock.now)
        resting.put(connection())
        clock.now += 4.0
        resting.close()
    fresh = connection()
    resting.put(fresh)
    assert fresh.expires == clock.now + 5.0


def test_closing_closes_them_all(clock: Clock) -> None:
    connections = [connection(), connection()]
    resting = kept(*connections)
    resting.close()
    assert (len(resting), [stream(each).closed for each in connections]) == (0, [True, True])


def test_the_repr_tells_how_many_of_how_many(clock: Clock) -> None:
    assert repr(kept(connection(), limit=7)) == "<IdleConnections 1 of 7>"
