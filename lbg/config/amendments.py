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
    """By the name of a pool: the endpoints it has besides, and the addresses of those it does without."""

    added: Mapping[str, tuple[EndpointConfig, ...]] = {}
    removed: Mapping[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def with_added(self, pool: str, endpoint: EndpointConfig) -> "Amendments":
        """Return these and one more endpoint."""
        others = _without(self.added.get(pool, ()), endpoint.address.text)
        return _of({**self.added, pool: (*others, endpoint)}, self._kept_removed(pool, endpoint.address.text))

    def with_removed(self, pool: str, address: str) -> "Amendments":
        """Return these and one endpoint less."""
        others = self._kept_removed(pool, address)
        added = {**self.added, pool: _without(self.added.get(pool, ()), address)}
        return _of(added, {**others, pool: (*others.get(pool, ()), address)})

    def _kept_removed(self, pool: str, address: str) -> dict[str, tuple[str, ...]]:
        kept = tuple(other for other in self.removed.get(pool, ()) if other != address)
        return {**self.removed, pool: kept}

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
            removed[name] = tuple(one for one in self.removed.get(name, ()) if one in known)
        return _of(added, removed)

    def _endpoints(self, pool: str, configured: Iterable[EndpointConfig]) -> Iterable[EndpointConfig]:
        """Return the endpoints of `pool`; for one that is configured and added the configuration decides."""
        removed = self.removed.get(pool, ())
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


def _without(endpoints: Iterable[EndpointConfig], address: str) -> tuple[EndpointConfig, ...]:
    return tuple(one for one in endpoints if one.address.text != address)


def _of(
    added: Mapping[str, tuple[EndpointConfig, ...]], removed: Mapping[str, tuple[str, ...]]
) -> Amendments:
    return Amendments(
        added={name: endpoints for name, endpoints in added.items() if endpoints},
        removed={name: addresses for name, addresses in removed.items() if addresses},
    )
