"""What one configuration has that another one has not."""

from dataclasses import dataclass

from lbg.config.schema import Config

HELD = ("server", "admin", "log", "tracing")
"""The sections that workers take up only when they start."""

_LISTENERS = ("server.bind", "admin.bind")


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of what changed: pools, endpoints as `pool/address`, and how many routes there were and are.

    `waiting` are the keys that change when the workers are replaced, by HUP, `restart` those that change
    only when lbg is started anew.
    """

    pools_added: tuple[str, ...]
    pools_removed: tuple[str, ...]
    pools_changed: tuple[str, ...]
    endpoints_added: tuple[str, ...]
    endpoints_removed: tuple[str, ...]
    routes_changed: bool
    waiting: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        pools = self.pools_added or self.pools_removed or self.pools_changed
        return bool(pools or self.routes_changed)

    def __str__(self) -> str:
        parts = [
            _counted("pool", "added", self.pools_added),
            _counted("pool", "removed", self.pools_removed),
            _counted("pool", "changed", self.pools_changed),
            _counted("endpoint", "added", self.endpoints_added),
            _counted("endpoint", "removed", self.endpoints_removed),
            "routes changed" if self.routes_changed else "",
        ]
        held = [_waits(self.waiting, "kill -HUP"), _waits(self.restart, "a restart")]
        nothing = "nothing else changed" if any(held) else "nothing changed"
        return "; ".join(filter(None, [", ".join(filter(None, parts)) or nothing, *held]))


def difference(before: Config, after: Config) -> Difference:
    """Return how `after` differs from `before`."""
    old, new = before.pools, after.pools
    had, has = _endpoints(before), _endpoints(after)
    held = _held(before, after)
    return Difference(
        pools_added=tuple(name for name in new if name not in old),
        pools_removed=tuple(name for name in old if name not in new),
        pools_changed=tuple(name for name in new if name in old and new[name] != old[name]),
        endpoints_added=tuple(name for name in has if name not in had),
        endpoints_removed=tuple(name for name in had if name not in has),
        routes_changed=before.routes != after.routes,
        waiting=tuple(key for key in held if key not in _LISTENERS),
        restart=tuple(key for key in held if key in _LISTENERS),
    )


def with_held(before: Config, after: Config) -> Config:
    """Return `after` with the sections of `before` that workers take up only when they start."""
    return after.model_copy(update={name: getattr(before, name) for name in HELD})


def _held(before: Config, after: Config) -> list[str]:
    found = []
    for name in HELD:
        old, new = getattr(before, name), getattr(after, name)
        found += [f"{name}.{key}" for key in type(old).model_fields if getattr(old, key) != getattr(new, key)]
    return found


def _endpoints(config: Config) -> dict[str, None]:
    return {
        f"{name}/{one.address.text}": None for name, pool in config.pools.items() for one in pool.endpoints
    }


def _counted(what: str, how: str, names: tuple[str, ...]) -> str:
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'} {how}" if names else ""


def _waits(keys: tuple[str, ...], what: str) -> str:
    return f"{', '.join(keys)} {'waits' if len(keys) == 1 else 'wait'} for {what}" if keys else ""
