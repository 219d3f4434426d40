"""Which Python of the user's a configuration names, and where."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lbg.config.filters import ConcurrencyConfig, RateLimitConfig, UserFilterConfig
from lbg.config.load import Loaded
from lbg.config.problems import KeyPath
from lbg.config.routes import RouteConfig
from lbg.config.schema import Config
from lbg.http.keys import is_reference, parse_key

Verify = Callable[[Sequence[str], Path], Mapping[str, str]]
"""Finds out which references cannot be loaded; returns for each of those the sentence that says why."""


def check_references(loaded: Loaded, verify: Verify, directory: Path) -> None:
    """Let `verify` look for what a configuration names, in `directory` first; not called for nothing.

    Raises ConfigError with a problem for each place that names what cannot be loaded.
    """
    named = references(loaded.config)
    if not named:
        return
    sentences = verify(list(dict.fromkeys(named.values())), directory)
    broken = [(path, sentences[name]) for path, name in named.items() if name in sentences]
    if broken:
        raise loaded.origin.error(broken)


def references(config: Config) -> dict[KeyPath, str]:
    """Return each "package.module:attribute" of a configuration, by its key."""
    found: dict[KeyPath, str] = {}
    for name, pool in config.pools.items():
        if is_reference(pool.balance):
            found["pools", name, "balance"] = pool.balance
        if _is_function(pool.hash_key):
            found["pools", name, "hash_key"] = pool.hash_key
    for index, route in enumerate(config.routes):
        found |= {("routes", index, *path): name for path, name in _of_route(route)}
    return found


def _of_route(route: RouteConfig) -> Iterator[tuple[KeyPath, str]]:
    if route.split_key is not None and _is_function(route.split_key):
        yield ("split_key",), route.split_key
    for index, section in enumerate(route.filters):
        match section:
            case UserFilterConfig():
                yield ("filters", index, "use"), section.use
            case RateLimitConfig() | ConcurrencyConfig() if _is_function(section.key):
                yield ("filters", index, "key"), section.key


def _is_function(key: str) -> bool:
    return parse_key(key).kind == "function"
