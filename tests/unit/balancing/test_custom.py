"""A policy of the user's: what it sees, what is taken from it, and what becomes of its mistakes."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from greenlet import getcurrent

from lbg.balancing.custom import SLOW, Custom
from lbg.errors import LocalReply
from lbg.hooks.guard import Guard
from tests.unit.balancing.candidates import Weighed, endpoints

Order = Callable[[Sequence[Weighed], "bytes | None", float], Any]


class Advisor:
    """What a user writes, with the body of `order` as a function."""

    def __init__(self, given: Sequence[Weighed], order: Order) -> None:
        self._given = given
        self._order = order

    def order(self, key: bytes | None, now: float) -> Any:
        return self._order(self._given, key, now)


def custom(order: Order, ranked: Sequence[Weighed] | None = None) -> tuple[Custom[Weighed], Guard]:
    """Return the policy whose `order` this is, and its guard."""
    guard = Guard('balance "mine:policy" of pool api', slow=SLOW)
    ranked = endpoints([1, 1, 1]) if ranked is None else ranked
    return Custom(ranked, lambda given: Advisor(given, order), guard), guard


def names(balancer: Custom[Weighed], key: bytes | None = None, now: float = 0.0) -> str:
    return "".join(endpoint.name for endpoint in balancer.order(key, now))


def backwards(given: Sequence[Weighed], key: bytes | None, now: float) -> Iterable[Weighed]:
    return reversed(given)


def test_the_order_is_what_the_user_says() -> None:
    balancer, _ = custom(backwards)
    assert names(balancer) == "cba"


def test_it_may_come_from_a_generator() -> None:
    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Iterator[Weighed]:
        yield given[1]
        yield given[0]

    assert names(custom(order)[0]) == "ba"


def test_endpoints_left_out_do_not_follow() -> None:
    assert names(custom(lambda given, key, now: given[:1])[0]) == "a"


def test_no_more_is_taken_than_there_are() -> None:
    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Iterator[Weighed]:
        while True:
            yield given[0]

    assert names(custom(order)[0]) == "aaa"


def test_it_is_told_key_and_time() -> None:
    told: list[tuple[bytes | None, float]] = []

    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Sequence[Weighed]:
        told.append((key, now))
        return given

    balancer, _ = custom(order)
    names(balancer, b"key", 3.5)
    names(balancer, None, 4.0)
    assert told == [(b"key", 3.5), (None, 4.0)]


def test_the_factory_is_asked_once_for_a_set_of_endpoints() -> None:
    asked: list[tuple[Weighed, ...]] = []

    def factory(given: tuple[Weighed, ...]) -> Advisor:
        asked.append(given)
        return Advisor(given, backwards)

    ranked = endpoints([1, 1])
    balancer = Custom(ranked, factory, Guard("mine"))
    assert asked == []
    assert [names(balancer) for _ in range(3)] == ["ba"] * 3
    assert asked == [tuple(ranked)]


def raising(given: Sequence[Weighed], key: bytes | None, now: float) -> Any:
    raise ValueError("broken")


def raising_later(given: Sequence[Weighed], key: bytes | None, now: float) -> Iterator[Weighed]:
    yield given[0]
    raise ValueError("broken")


def replying(given: Sequence[Weighed], key: bytes | None, now: float) -> Any:
    raise LocalReply("denied", "No.")


def waiting(given: Sequence[Weighed], key: bytes | None, now: float) -> Sequence[Weighed]:
    gevent.sleep(0)
    return given


MISTAKES = [
    (raising, "raised ValueError: broken"),
    (raising_later, "raised ValueError: broken"),
    (replying, "raised LocalReply: ("),
    (waiting, "raised RuntimeError: a policy must not wait for anything"),
    (lambda given, key, now: None, "returned NoneType, expected an iterable of endpoints"),
    (lambda given, key, now: given[0], "returned Weighed, expected an iterable of endpoints"),
    (lambda given, key, now: [], "returned no endpoint"),
    (lambda given, key, now: ["a"], "returned str among its endpoints, which is none that it was given"),
    (
        lambda given, key, now: [given[0], Weighed("a")],
        "returned Weighed among its endpoints, which is none that it was given",
    ),
]


@pytest.mark.parametrize(("order", "message"), MISTAKES)
def test_after_a_mistake_power_of_two_decides_and_the_log_names_it(
    order: Order, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    ranked = endpoints([1, 1])
    ranked[0].requests = 1
    balancer, guard = custom(order, ranked)
    assert [names(balancer) for _ in range(10)] == ["ba"] * 10
    assert guard.failures == 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f'balance "mine:policy" of pool api {message}')


def test_a_mistake_costs_one_request_only() -> None:
    outcomes = iter([True, False, True])

    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Sequence[Weighed]:
        return given[2:] if next(outcomes) else []

    balancer, guard = custom(order)
    assert [len(names(balancer)) for _ in range(3)] == [1, 3, 1]
    assert guard.failures == 1


def test_what_takes_too_long_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    takes = iter([0.011, 0.009])

    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Sequence[Weighed]:
        clock["now"] += next(takes)
        return given[2:]

    clock = {"now": time.monotonic()}
    monkeypatch.setattr("lbg.hooks.guard.monotonic", lambda: clock["now"])
    balancer, guard = custom(order)
    assert [len(names(balancer)) for _ in range(2)] == [3, 1]
    assert (guard.slow, guard.failures) == (1, 0)
    assert "took 0.011 s, more than 0.01 s" in caplog.text


def test_a_factory_that_fails_is_asked_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[tuple[Weighed, ...]] = []

    def factory(given: tuple[Weighed, ...]) -> Advisor:
        asked.append(given)
        if len(asked) == 1:
            raise OSError("no file")
        return Advisor(given, lambda given, key, now: given[2:])

    balancer = Custom(endpoints([1, 1, 1]), factory, Guard("mine"))
    lengths = {now: len(names(balancer, now=now)) for now in (100.0, 101.0, 104.9, 105.0, 106.0)}
    assert lengths == {100.0: 3, 101.0: 3, 104.9: 3, 105.0: 1, 106.0: 1}
    assert len(asked) == 2
    assert "mine raised OSError: no file" in caplog.text


def test_a_factory_that_returns_no_policy_is_a_mistake_of_each_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = Guard("mine")
    balancer = Custom(endpoints([1]), lambda given: object(), guard)
    assert [names(balancer) for _ in range(2)] == ["a", "a"]
    assert guard.failures == 2
    assert "AttributeError: 'object' object has no attribute 'order'" in caplog.text


def test_after_it_was_asked_one_may_wait_again() -> None:
    balancer, _ = custom(waiting)
    names(balancer)
    assert not hasattr(getcurrent(), "switch_out")


def test_without_endpoints_there_is_no_advice_to_take(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert names(custom(backwards, [])[0]) == ""


def test_the_repr_names_policy_and_endpoints() -> None:
    balancer, _ = custom(backwards, endpoints([1]))
    assert repr(balancer).startswith('<Custom balance "mine:policy" of pool api [Weighed(')


def test_an_endpoint_can_be_read_as_it_is_promised() -> None:
    seen: list[tuple[str, float, float, int]] = []

    def order(given: Sequence[Weighed], key: bytes | None, now: float) -> Sequence[Weighed]:
        seen.extend((one.name, one.weight, one.effective_weight, one.in_flight()) for one in given)
        return random.sample(given, len(given))

    names(custom(order, endpoints([3]))[0])
    assert seen == [("a", 3, 3, 0)]
