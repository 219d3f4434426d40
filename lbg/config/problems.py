"""What is wrong with a configuration, in sentences for the person who wrote it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
Broken = tuple[KeyPath, str]
"""The place and the sentence of a rule that a configuration breaks."""

_SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, in a file or an environment variable; `line` is None where it is not surely known."""

    where: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has at least one entry and str() one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the values of one configuration came from.

    `lines` has the line of each key of the file, `variables` the environment variable that set a key.
    """

    source: str
    lines: Mapping[KeyPath, int]
    variables: Mapping[KeyPath, str]

    def error(self, broken: Iterable[Broken]) -> ConfigError:
        """Return the error for what is broken, in the order of the file."""
        order = {path: place for place, path in enumerate(self.lines)}

        def place(one: Broken) -> tuple[bool, int, int]:
            line = self._line(one[0])
            return line is None, line or 0, order.get(one[0], len(order))

        return ConfigError([self._problem(path, message) for path, message in sorted(broken, key=place)])

    def _problem(self, path: KeyPath, message: str) -> Problem:
        variable = self.variables.get(path[:2])
        if variable is not None:
            return Problem(variable, None, key_text(path), message)
        return Problem(self.source, self._line(path), key_text(path), message)

    def _line(self, path: KeyPath) -> int | None:
        """Return the line of a key; one that is absent from the file gets the line of its table."""
        if path[:2] in self.variables:
            return None
        return self.lines.get(path) or self.lines.get(path[:-1])


def key_text(path: KeyPath) -> str:
    """Write a path as TOML would: pools.api.endpoints[1].weight, names with other characters in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "").replace("_", "").isalnum()
            text += ("." if text else "") + (part if bare else json.dumps(part))
    return text


def listed(words: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: "a, b and c"."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def shown(value: object) -> str:
    """Describe a value in a few words, on one line and safe for a terminal."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            short = value if len(value) <= _SHOWN_LENGTH else value[: _SHOWN_LENGTH - 3] + "..."
            return json.dumps(short)
        case float():
            return repr(value)
        case int():
            # Python refuses to print an integer of more than 4300 digits, and nobody wants to read one.
            return str(value) if value.bit_length() <= 64 else "a number too large"
        case _:
            return kind(value)


def kind(value: object) -> str:
    """Name the TOML type of a value."""
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case None:
            return "null"
        case _:
            return "a date or time"
