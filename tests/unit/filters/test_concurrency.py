"""`concurrency`: a request counts until its response is over, however it ends."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.unit.filters.around import environ_of
from tests.unit.filters.limited import Application, Limits, call, codes
from tests.unit.state.limits import MINUTE


class Body:
    """A body that can be relayed; notes how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"ok"

    def relay_to(self, sink: object) -> int:
        return 7

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def app() -> Application:
    return Application()


def begin(filtered: Any, **more: Any) -> Any:
    """Begin a request and return its body, not read yet."""
    return filtered(environ_of("/", **more), lambda *_: None)


def test_a_request_counts_until_its_body_is_closed(limits: Limits, app: Application) -> None:
    filtered = limits.concurrency(app)
    body = begin(filtered)
    assert codes(filtered, 1) == [429]
    assert b"".join(body) == b"ok"
    assert codes(filtered, 1) == [429]
    body.close()
    assert codes(filtered, 2) == [200, 200]


def test_a_rejection_tells_when_to_come_again(limits: Limits, app: Application) -> None:
    filtered = limits.concurrency(app)
    begin(filtered)
    answer = call(filtered)
    assert (answer.code, answer.reason, answer.values("Retry-After")) == (429, "rate_limited", ["1"])
    assert app.calls == 1


def test_each_client_has_a_limit_of_its_own(limits: Limits, app: Application) -> None:
    filtered = limits.concurrency(app)
    begin(filtered, peer="2001:db8::1")
    assert codes(filtered, 1, peer="2001:db8::2") == [429]
    assert codes(filtered, 1, peer="2001:db8:1::2") == [200]


def test_a_field_can_be_the_key_and_leaving_it_out_lifts_no_limit(limits: Limits, app: Application) -> None:
    filtered = limits.concurrency(app, key="header:X-Tenant")
    filtered(environ_of("/", ("X-Tenant", "a")), lambda *_: None)
    assert codes(filtered, 1, ("X-Tenant", "a")) == [429]
    assert codes(filtered, 1, ("X-Tenant", "b")) == [200]
    begin(filtered)
    assert codes(filtered, 1) == [429]


def test_limits_of_one_name_are_one(limits: Limits, app: Application) -> None:
    begin(limits.concurrency(app, name="all"))
    assert codes(limits.concurrency(app, name="all"), 1) == [429]
    assert codes(limits.concurrency(app), 1) == [200]


def test_the_body_is_closed_once_and_counted_once(limits: Limits, app: Application) -> None:
    inner = Body()
    app.body = lambda: inner
    filtered = limits.concurrency(app, limit=2)
    first, _ = begin(filtered), begin(filtered)
    first.close()
    first.close()
    assert inner.closed == 1
    begin(filtered)
    assert call(filtered).code == 429


def test_a_body_that_can_be_relayed_still_can(limits: Limits, app: Application) -> None:
    app.body = Body
    assert begin(limits.concurrency(app)).relay_to("sink") == 7
    app.body = lambda: [b"ok"]
    assert begin(limits.concurrency(app), peer="192.0.2.2").relay_to is None


def test_a_request_that_fails_is_over(limits: Limits) -> None:
    def failing(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise KeyboardInterrupt

    filtered = limits.concurrency(failing)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            begin(filtered)


def test_a_body_whose_close_fails_is_over(limits: Limits, app: Application) -> None:
    class Failing(Body):
        def close(self) -> None:
            raise RuntimeError("close")

    app.body = Failing
    filtered = limits.concurrency(app)
    with pytest.raises(RuntimeError):
        begin(filtered).close()
    app.body = Body
    assert codes(filtered, 1) == [200]


def test_an_upgrade_counts_as_long_as_the_call_lasts(limits: Limits) -> None:
    handled = object()  # what the stock worker takes for an answer that was given already
    inside: list[int] = []

    def tunnel(environ: Any, start_response: Any) -> Any:
        inside.extend(codes(filtered, 1))
        return handled

    filtered = limits.concurrency(tunnel)
    assert begin(filtered) is handled
    assert inside == [429]
    app = Application()
    assert codes(limits.concurrency(app), 1) == [200]


def test_a_dead_worker_holds_nothing(limits: Limits, app: Application) -> None:
    filtered = limits.concurrency(app)
    begin(filtered)
    limits.buckets.forget(0)
    assert codes(filtered, 1) == [200]


def test_a_fault_of_the_table_lets_requests_pass_and_is_logged_once_a_minute(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    filtered = limits.concurrency(app)
    body = begin(filtered)
    monkeypatch.setattr("lbg.filters.concurrency.monotonic_ns", lambda: limits.now)

    def fail(_: int) -> None:
        raise OSError(37, "No locks available")

    limits.memory.enter = fail
    body.close()
    assert codes(filtered, 5) == [200] * 5
    limits.now += MINUTE
    assert codes(filtered, 1) == [200]
    assert caplog.messages == [
        "limit shop#0 does not count, 1 times since the last such line: OSError(37, 'No locks available')",
        "limit shop#0 does not count, 6 times since the last such line: OSError(37, 'No locks available')",
    ]
