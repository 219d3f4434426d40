"""Which endpoints of a pool a request would be tried on, in order, and why not on the others."""

from __future__ import annotations

from itertools import chain
from time import monotonic, monotonic_ns, time
from typing import TYPE_CHECKING, Any, Final

from lbg.state.condition import patience, read_condition
from lbg.upstream.policies import policy_of
from lbg.upstream.rotation import rotation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.config.pools import PoolConfig
    from lbg.state.cells import Cells
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.pool import Pool
    from lbg.upstream.rotation import Rotation

Document = dict[str, Any]

_LISTED: Final = 50  # endpoints of a large pool
_BY_CHANCE: Final = {
    "power_of_two": "the less loaded of two that are drawn; this is one draw",
    "round_robin": "each worker goes round from a place of its own; this is one place",
    "random": "by chance and weight; this is one draw",
    "peak_ewma": "by the latency that each proxy worker measures, which is not known here",
}
_BY_RULE: Final = {
    "least_requests": "the fewest requests in flight for its weight first",
    "hash": "by the key, the same in every worker",
}


class PoolPreview:
    """Ranks the endpoints of `pool` as it does itself, and changes nothing in it."""

    def __init__(self, pool: Pool, config: PoolConfig, cells: Cells) -> None:
        self._pool = pool
        self._config = config
        self._cells = cells
        # The user's own policy may do anything when it is called.
        self._policy = policy_of(pool.name, config, serves=False)

    def document(self, key: bytes | None, cookies: str, *, live: bool) -> Document:
        """Return the document of the pool for a request with this key and Cookie field."""
        now = monotonic()
        current = rotation(
            self._pool.endpoints,
            self._policy,
            now=now,
            slow_start=self._config.slow_start,
            fail_open=self._config.when_all_down == "fail_open",
        )
        sticky = self._pool.sticky.endpoint(cookies) if self._pool.sticky is not None else None
        candidates = _candidates(current, sticky, key, now)
        known = frozenset(candidates)
        others = [one for one in self._pool.endpoints if one not in known]
        return {
            "name": self._pool.name,
            "balance": self._config.balance,
            "order": _about_order(self._config, key),
            "sticky": sticky.name if sticky is not None else None,
            "fails_open": current.open,
            "candidates": [self._endpoint(one, current, live=live) for one in candidates[:_LISTED]],
            "others": [self._endpoint(one, current, live=live) for one in others[:_LISTED]],
            "left_out": max(0, len(candidates) - _LISTED) + max(0, len(others) - _LISTED),
        }

    def _endpoint(self, endpoint: Endpoint, current: Rotation, *, live: bool) -> Document:
        document = {
            "name": endpoint.name,
            "weight": round(endpoint.effective_weight, 3),
            "backup": endpoint.backup,
            "trial": endpoint in current.trials,
        }
        if not live:
            return document
        condition = read_condition(
            self._cells,
            endpoint.slot,
            monotonic_ns(),
            patience(self._config.health),
            checked=self._config.health.type != "none",
            slow_start=self._config.slow_start,
        )
        return document | {
            "in_flight": endpoint.in_flight(),
            "max_requests": endpoint.max_requests,
            "full": not endpoint.has_room(),
            "state": condition.state,
            "usable": condition.usable,
            "reason": condition.reason,
            "sentence": condition.sentence(endpoint.name, time() - monotonic()),
        }


def _candidates(current: Rotation, sticky: Endpoint | None, key: bytes | None, now: float) -> list[Endpoint]:
    """Return the endpoints in the order in which a pool asks them, each once."""
    first = [sticky] if sticky is not None and sticky in current.returnable else []
    ranked: Iterable[Endpoint] = chain.from_iterable(tier.order(key, now) for tier in current.tiers)
    return list(dict.fromkeys((*first, *current.trials, *ranked)))


def _about_order(config: PoolConfig, key: bytes | None) -> str:
    if len(config.endpoints) == 1:
        return "there is one endpoint"
    if config.balance == "hash" and key is None:
        return "by chance and weight, for there is no key; this is one draw"
    known = _BY_CHANCE.get(config.balance) or _BY_RULE.get(config.balance)
    return known or f"{config.balance} decides, which is not asked here; this is the order of power_of_two"
