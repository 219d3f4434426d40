"""The trial of an endpoint after its ejection: one request at a time, and a verdict."""

import pytest

from lbg.errors import Sent, UpstreamError
from lbg.state.layout import Ejection, Field
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.pool import Pool
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, answering, stale_then


def picks(pool: Pool, count: int, tried: list[Endpoint] | None = None) -> list[Endpoint]:
    return [pool.acquire(request_for(), tried or [], 0.0).endpoint for _ in range(count)]


@pytest.fixture
def on_trial(fleet: Fleet) -> tuple[Pool, Endpoint, Endpoint]:
    """Give a pool, its endpoint on trial and its endpoint in service."""
    trial, other = fleet.endpoint(answering(OK, OK)), fleet.endpoint(answering(*[OK] * 9))
    trial.becomes(ejection=Ejection.TRIAL)
    return pool_of(trial, other), trial, other


Trial = tuple[Pool, Endpoint, Endpoint]


def test_one_request_tries_an_endpoint_on_trial(on_trial: Trial) -> None:
    pool, trial, other = on_trial
    lease = pool.acquire(request_for(), [], 0.0)
    assert (lease.endpoint, lease.trial) == (trial, True)
    assert picks(pool, 3) == [other] * 3


@pytest.mark.parametrize(
    ("method", "since", "tries"),
    [
        ("POST", 9.0, False),
        ("POST", 11.0, True),
        ("PUT", 9.0, True),
    ],
)
def test_a_request_that_cannot_be_sent_twice_tries_it_only_when_no_other_does(
    fleet: Fleet, method: str, since: float, tries: bool
) -> None:
    trial, other = fleet.endpoint(), fleet.endpoint()
    trial.becomes(ejection=Ejection.TRIAL, ejected_until=100_000_000_000)
    pool = pool_of(trial, other)
    lease = pool.acquire(request_for(method), [], 100.0 + since)
    assert lease.endpoint is (trial if tries else other)


def test_a_request_that_was_at_the_endpoint_does_not_try_it(on_trial: Trial) -> None:
    pool, trial, other = on_trial
    assert picks(pool, 1, [trial]) == [other]
    assert picks(pool, 1) == [trial]


def test_a_trial_keeps_the_limit(fleet: Fleet) -> None:
    trial, other = fleet.endpoint(max_requests=1), fleet.endpoint()
    pool = pool_of(trial, other)
    lease = pool.acquire(request_for(), [other], 0.0)
    trial.becomes(ejection=Ejection.TRIAL)
    assert picks(pool, 1) == [other]
    lease.cancel()
    assert picks(pool, 1) == [trial]


def test_a_trial_that_nobody_used_is_given_back(on_trial: Trial) -> None:
    pool, trial, _ = on_trial
    pool.acquire(request_for(), [], 0.0).cancel()
    assert trial.in_flight() == 0
    assert picks(pool, 1) == [trial]


def test_after_a_verdict_nobody_heard_the_next_request_tries_it(
    on_trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.upstream.endpoint.monotonic", lambda: 100.0)
    pool, trial, other = on_trial
    b"".join(pool.acquire(request_for(), [], 0.0).exchange(request_for(), fresh=False))
    pool.tick(100.5)
    assert picks(pool, 1) == [other]
    pool.tick(101.0)
    assert picks(pool, 1) == [trial]


@pytest.mark.parametrize("verdict", [Ejection.NONE, Ejection.EJECTED])
def test_a_trial_ends_when_its_verdict_shows(fleet: Fleet, on_trial: Trial, verdict: Ejection) -> None:
    pool, trial, _ = on_trial
    b"".join(pool.acquire(request_for(), [], 0.0).exchange(request_for(), fresh=False))
    row = fleet.endpoints[0]
    row.becomes(ejection=verdict)
    pool.tick(0.0)
    assert trial.begin_trial()


def test_a_free_try_of_a_trial_is_the_trial_still(fleet: Fleet) -> None:
    trial, other = fleet.endpoint(stale_then(OK)), fleet.endpoint()
    pool = pool_of(trial, other)
    b"".join(pool.acquire(request_for(), [other], 0.0).exchange(request_for(), fresh=False))
    trial.becomes(ejection=Ejection.TRIAL)
    lease = pool.acquire(request_for(), [], 0.0)
    with pytest.raises(UpstreamError):
        lease.exchange(request_for(), fresh=False)
    again = lease.another()
    assert again is not None
    assert (again.endpoint, again.trial) == (trial, True)
    assert picks(pool, 1) == [other]


def test_a_free_try_does_not_exceed_the_limit() -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(UpstreamError("upstream_reset_reused", "x", sent=Sent.NOTHING), max_requests=1)
    there = fleet.in_worker(1, here)
    lease = pool_of(here).acquire(request_for(), [], 0.0)
    with pytest.raises(UpstreamError):
        lease.exchange(request_for(), fresh=False)
    elsewhere = pool_of(there, worker=1).acquire(request_for(), [], 0.0)
    assert lease.another() is None
    elsewhere.cancel()
    assert lease.another() is not None
    assert fleet.cells.total(here.slot, Field.IN_FLIGHT) == 1
