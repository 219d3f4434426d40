"""A policy of the user's, contained: what it does wrong costs a request no more than its advice."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from greenlet import getcurrent

from lbg.balancing.balancer import Candidate
from lbg.balancing.power_of_two import PowerOfTwo
from lbg.errors import LbgError
from lbg.hooks.guard import HookFailed
from lbg.hooks.place import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbg.balancing.balancer import Balancer
    from lbg.hooks.guard import Guard

SLOW: Final = 0.01  # seconds, after which the advice of a policy is not taken
_AGAIN: Final = 5.0  # seconds after which a factory that failed is asked once more

E = TypeVar("E", bound=Candidate)


class Custom(Generic[E]):
    """Asks the object that `factory(endpoints)` returns for `order(key, now)`, and Candidate is what it sees.

    It may leave endpoints out: they do not get that request, unless nothing else is left. When it raises,
    takes longer than the guard's `slow`, waits, or returns anything but some of the endpoints, power_of_two
    decides on the request. The guard counts and logs that.
    """

    def __init__(self, endpoints: Sequence[E], factory: Callable[[tuple[E, ...]], Any], guard: Guard) -> None:
        self._endpoints = tuple(endpoints)
        self._known = frozenset(map(id, self._endpoints))
        self._factory = factory
        self._guard = guard
        self._otherwise = PowerOfTwo(self._endpoints)
        self._advisor: Balancer[E] | None = None
        self._next_try = 0.0

    def __repr__(self) -> str:
        return f"<Custom {self._guard.name} {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:
        """Yield what the user's policy says, or what power_of_two says where that went wrong."""
        # Not when this is built: that may be in the hub, and many times for one request.
        if self._advisor is None and now >= self._next_try:
            self._next_try = now + _AGAIN
            self._advisor = self._contained(self._factory, self._endpoints)
        advice = self._contained(self._advice, key, now) if self._advisor is not None else None
        return iter(advice) if advice is not None else self._otherwise.order(key, now)

    def _contained(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return `function(*args)`, None when that went wrong or took too long."""
        guard, slow = self._guard, self._guard.slow
        try:
            result = guard.call(_without_waiting, function, *args)
        except HookFailed:
            return None
        except LbgError as error:  # ours, but raised by the user
            guard.fail(f"raised {told(error)}")
            return None
        return result if guard.slow == slow else None

    def _advice(self, key: bytes | None, now: float) -> list[E]:
        advisor: Any = self._advisor
        order = advisor.order(key, now)
        if not isinstance(order, Iterable):
            raise self._guard.fail(f"returned {type(order).__name__}, expected an iterable of endpoints")
        advice = list(islice(order, len(self._endpoints)))
        for one in advice:
            if id(one) not in self._known:
                raise self._guard.fail(
                    f"returned {type(one).__name__} among its endpoints, which is none that it was given"
                )
        if not advice:
            raise self._guard.fail("returned no endpoint")
        return advice


def _without_waiting(function: Callable[..., Any], *args: Any) -> Any:
    """Return `function(*args)`, which must not let other requests run: what it is part of must not be torn.

    gevent calls `switch_out` of a greenlet that is about to wait.
    """
    greenlet: Any = getcurrent()
    greenlet.switch_out = _refuse
    try:
        return function(*args)
    finally:
        del greenlet.switch_out


def _refuse() -> None:
    raise RuntimeError("a policy must not wait for anything")
