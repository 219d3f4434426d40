"""Plain data to a `Config`, or every problem it has."""

from collections.abc import Mapping

from pydantic import ValidationError

from lbg.config.messages import meant_key, sentence
from lbg.config.problems import Broken, KeyPath, Origin
from lbg.config.rules import broken_rules
from lbg.config.schema import Config


def validate(data: Mapping[str, object], origin: Origin) -> Config:
    """Check the data of a whole configuration; with one pool and no routes, all requests go to that pool.

    Raises ConfigError with all problems, in the order of the file.
    """
    broken = [(_seen(path, data), message) for path, message in broken_rules(data)]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise origin.error([*broken, *_broken_schema(error, data)]) from None
    if broken:
        raise origin.error(broken)
    if config.routes:
        return config
    (pool,) = config.pools
    return Config.model_validate({**data, "routes": [{"pool": pool}]})


def _broken_schema(error: ValidationError, data: Mapping[str, object]) -> list[Broken]:
    entries = error.errors(include_url=False)
    meant = {meant_key(entry["loc"]) for entry in entries if entry["type"] == "extra_forbidden"}
    found = []
    for entry in entries:
        location = _without_tag(entry["loc"])
        path = _seen(location, data)
        if entry["type"] == "too_short" and entry["input"]:
            continue  # pydantic counts only the good items, and the bad ones have a problem of their own
        if entry["type"] == "missing":
            if entry["loc"] in meant:
                continue  # it is there, misspelt
            path = (*_seen(location[:-1], data), location[-1])
        found.append((path, sentence(entry, path)))
    return found


def _without_tag(location: KeyPath) -> KeyPath:
    """Take out the name of the kind of filter, which pydantic puts behind the place of a filter."""
    in_filter = location[:1] == ("routes",) and location[2:3] == ("filters",)
    return location[:4] + location[5:] if in_filter else location


def _seen(path: KeyPath, data: object) -> KeyPath:
    """Cut a path to the keys that the writer sees, or to the one that is missing.

    A URL alone stands for a table and a string for a list of one, so a path can go deeper than the data;
    "[key]" is pydantic's mark for the name of a table rather than its value.
    """
    seen: KeyPath = ()
    for part in path:
        if isinstance(data, dict) and (part != "[key]" or part in data):
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            break
        seen = (*seen, part)
    return seen
