"""Endpoints that an operator has added or removed while lbg runs, beside what the configuration says."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from lbg.config.messages import sentence
from lbg.config.pool_rules import broken_pool_rules
from lbg.config.pools import EndpointConfig, PoolConfig
from lbg.config.problems import Origin
from lbg.config.schema import Config
from lbg.config.section import Section

WHERE = "endpoints added or removed at run time"
"""What stands in the place of a file name where the mistake is in no file."""


class Amendments(Section):
    """By the name of a pool: the endpoints it has besides, and the addresses of those it does without.

    One that is added is there, also when its address was removed before: that is noted only for its next
    removal, since the configuration may name it.
    """

    added: Mapping[str, tuple[EndpointConfig, ...]] = {}
    removed: Mapping[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def names(self) -> dict[str, list[str]]:
        """Return what is `added` and `removed`, as "pool/address"."""
        added = {pool: [one.address.text for one in endpoints] for pool, endpoints in self.added.items()}
        return {"added": _names(added), "removed": _names({pool: self._gone(pool) for pool in self.removed})}

    def with_added(self, pool: str, endpoint: EndpointConfig) -> "Amendments":
        """Return these and one more endpoint."""
        others = _without(self.added.get(pool, ()), endpoint.address.text)
        return _of({**self.added, pool: (*others, endpoint)}, self.removed)

    def with_removed(self, pool: str, address: str) -> "Amendments":
        """Return these and one endpoint less: one that was added, or one that the configuration names."""
        added, removed = self.added.get(pool, ()), self.removed.get(pool, ())
        others = _without(added, address)
        if len(others) == len(added) and address not in removed:
            removed = (*removed, address)
        return _of({**self.added, pool: others}, {**self.removed, pool: removed})

    def amended(self, config: Config) -> Config:
        """Return `config` with these. Raises ConfigError when they do not fit it."""
        concerned = [name for name in config.pools if self.added.get(name) or self.removed.get(name)]
        if not concerned:
            return config
        pools = {name: self._amended(name, config.pools[name]) for name in concerned}
        return config.model_copy(update={"pools": {**config.pools, **pools}})

    def _amended(self, name: str, pool: PoolConfig) -> PoolConfig:
        data = pool.model_dump(mode="json")
        data["endpoints"] = [one.model_dump(mode="json") for one in self._endpoints(name, pool.endpoints)]
        path = "pools", name
        try:
            amended = PoolConfig.model_validate(data)
        except ValidationError as error:
            entries = error.errors(include_url=False)
            broken = [((*path, *entry["loc"]), sentence(entry, (*path, *entry["loc"]))) for entry in entries]
            if not data["endpoints"]:
                way_out = f"; `lbg add {name} {pool.endpoints[0].url}` brings one back"
                broken = [(place, text + way_out) for place, text in broken]
        else:
            broken = [((*path, *place), text) for place, text in broken_pool_rules(amended)]
        if broken:
            raise Origin(WHERE, {}, {}).error(broken)
        return amended

    def settled(self, config: Config) -> "Amendments":
        """Return those that still change something: the pool is there, and does not say so by itself."""
        added, removed = {}, {}
        for name, pool in config.pools.items():
            known = {endpoint.address.text for endpoint in pool.endpoints}
            added[name] = tuple(one for one in self.added.get(name, ()) if one.address.text not in known)
            removed[name] = tuple(one for one in self._gone(name) if one in known)
        return _of(added, removed)

    def _gone(self, pool: str) -> list[str]:
        added = {one.address.text for one in self.added.get(pool, ())}
        return [address for address in self.removed.get(pool, ()) if address not in added]

    def _endpoints(self, pool: str, configured: Iterable[EndpointConfig]) -> Iterable[EndpointConfig]:
        """Return the endpoints of `pool`; for one that is configured and added the configuration decides."""
        removed = self._gone(pool)
        known = set()
        for endpoint in configured:
            known.add(endpoint.address.text)
            if endpoint.address.text not in removed:
                yield endpoint
        yield from (one for one in self.added.get(pool, ()) if one.address.text not in known)


def endpoint_of(data: object) -> EndpointConfig:
    """Return the endpoint that `data` describes. Raises ValueError with a sentence."""
    try:
        return EndpointConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(first["loc"])
        key = f"{path[-1]}: " if path else ""
        raise ValueError(key + sentence(first, path)) from None


def _names(addresses: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{pool}/{address}" for pool, those in addresses.items() for address in those]


def _without(endpoints: Iterable[EndpointConfig], address: str) -> tuple[EndpointConfig, ...]:
    return tuple(one for one in endpoints if one.address.text != address)


def _of(
    added: Mapping[str, tuple[EndpointConfig, ...]], removed: Mapping[str, tuple[str, ...]]
) -> Amendments:
    return Amendments(
        added={name: endpoints for name, endpoints in added.items() if endpoints},
        removed={name: addresses for name, addresses in removed.items() if addresses},
    )
