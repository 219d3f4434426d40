"""Which Python of the user's a configuration names, and where."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbg.config.filters import ConcurrencyConfig, RateLimitConfig, UserFilterConfig
from lbg.config.load import Loaded
from lbg.config.problems import Broken, KeyPath
from lbg.config.routes import RouteConfig
from lbg.config.schema import Config
from lbg.http.keys import is_reference, parse_key


@dataclass(frozen=True, slots=True)
class Call:
    """A "package.module:attribute" that is called with one argument, and with `options` by their names."""

    reference: str
    options: tuple[str, ...] = ()


Verify = Callable[[Sequence[Call], Path], Mapping[Call, Sequence[tuple[str, str]]]]
"""Finds out which calls cannot be made; returns for each of those the sentences that say why.

With a sentence goes the option it is about, `""` for none.
"""


def check_references(loaded: Loaded, verify: Verify, directory: Path) -> None:
    """Let `verify` look for what a configuration names, in `directory` first; not called for nothing.

    Raises ConfigError with a problem for each place that names what cannot be loaded, or called so.
    """
    named = references(loaded.config)
    if not named:
        return
    faults = verify(list(dict.fromkeys(named.values())), directory)
    broken: list[Broken] = [
        ((*path[:-1], option) if option else path, sentence)
        for path, call in named.items()
        for option, sentence in faults.get(call, ())
    ]
    if broken:
        raise loaded.origin.error(broken)


def references(config: Config) -> dict[KeyPath, Call]:
    """Return how each "package.module:attribute" of a configuration is called, by its key."""
    found: dict[KeyPath, Call] = {}
    for name, pool in config.pools.items():
        if is_reference(pool.balance):
            found["pools", name, "balance"] = Call(pool.balance)
        if _is_function(pool.hash_key):
            found["pools", name, "hash_key"] = Call(pool.hash_key)
    for index, route in enumerate(config.routes):
        found |= {("routes", index, *path): call for path, call in _of_route(route)}
    return found


def _of_route(route: RouteConfig) -> Iterator[tuple[KeyPath, Call]]:
    if route.split_key is not None and _is_function(route.split_key):
        yield ("split_key",), Call(route.split_key)
    for index, section in enumerate(route.filters):
        match section:
            case UserFilterConfig():
                yield ("filters", index, "use"), Call(section.use, tuple(section.options))
            case RateLimitConfig() | ConcurrencyConfig() if _is_function(section.key):
                yield ("filters", index, "key"), Call(section.key)


def _is_function(key: str) -> bool:
    return parse_key(key).kind == "function"
