"""Plain data to a `Config`, or every problem it has."""

from collections.abc import Mapping

from pydantic import ValidationError

from lbg.config.messages import sentence
from lbg.config.problems import ConfigError, KeyPath, Origin, Problem
from lbg.config.rules import broken_rules
from lbg.config.schema import Config


def validate(data: Mapping[str, object], origin: Origin) -> Config:
    """Check the data of a whole configuration; with one pool and no routes, all requests go to that pool.

    Raises ConfigError with all problems, in the order of the file.
    """
    problems = [origin.problem(path, message) for path, message in broken_rules(data)]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_sorted(problems + _schema_problems(error, data, origin))) from None
    if problems:
        raise ConfigError(_sorted(problems))
    if config.routes:
        return config
    (pool,) = config.pools
    return Config.model_validate({**data, "routes": [{"pool": pool}]})


def _schema_problems(error: ValidationError, data: Mapping[str, object], origin: Origin) -> list[Problem]:
    found = []
    for entry in error.errors(include_url=False):
        if entry["type"] == "too_short" and entry["input"]:
            continue  # pydantic counts only the good items, and the bad ones have a problem of their own
        path = _path_of(entry["loc"], data)
        found.append(origin.problem(path, sentence(entry, path)))
    return found


def _path_of(location: KeyPath, data: object) -> KeyPath:
    """Cut a pydantic location to the keys that the writer sees.

    A URL alone stands for a table and a string for a list of one, so a location can go deeper than the data;
    "[key]" is pydantic's mark for the name of a table rather than its value.
    """
    path: KeyPath = ()
    for part in location:
        if not isinstance(data, dict | list) or (part == "[key]" and part not in data):
            break
        path = (*path, part)
        data = data.get(part) if isinstance(data, dict) else data[int(part)]
    return path


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0))
