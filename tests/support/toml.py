"""Writing a configuration file from a dict, for tests: the standard library only reads TOML."""

import json
from collections.abc import Iterator, Mapping, Sequence


def dump(document: Mapping[str, object]) -> str:
    """Return the document as TOML with one table per nested dict and one per dict in a list."""
    return "\n".join(_table(document, ())) + "\n"


def _table(table: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    nested = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lists = {key: value for key, value in table.items() if isinstance(value, list) and _are_tables(value)}
    for key, value in table.items():
        if key not in nested and key not in lists:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in nested.items():
        yield f"[{_dotted(*path, key)}]"
        yield from _table(value, (*path, key))
    for key, members in lists.items():
        for member in members:
            yield f"[[{_dotted(*path, key)}]]"
            yield from (f"{_key(name)} = {_value(value)}" for name, value in member.items())


def _are_tables(members: list[object]) -> bool:
    return bool(members) and all(isinstance(member, Mapping) for member in members)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(member)}" for key, member in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(member) for member in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    raise TypeError(f"TOML has no {value!r}")


def _dotted(*path: str) -> str:
    return ".".join(_key(key) for key in path)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)
