"""Write plain data as TOML in a random style, for tests of what reads it."""

import json
from random import Random


class Writer:
    def __init__(self, random: Random) -> None:
        self.random = random

    def document(self, data: dict[str, object]) -> str:
        return self._table(data, ())

    def _table(self, data: dict[str, object], path: tuple[str, ...]) -> str:
        pairs = "".join(
            self._pair(key, value) for key, value in data.items() if not self._own_header(key, value)
        )
        tables = "".join(
            self._headed(path, key, value) for key, value in data.items() if self._own_header(key, value)
        )
        return pairs + tables

    def _own_header(self, key: str, value: object) -> bool:
        """Decide by the key, so that both passes over a table agree."""
        of_tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        return (isinstance(value, dict) or bool(of_tables)) and len(key) % 2 == 0

    def _headed(self, path: tuple[str, ...], key: str, value: object) -> str:
        path = (*path, key)
        name = (
            " . ".join(map(self._key, path)) if self.random.random() < 0.3 else ".".join(map(self._key, path))
        )
        if isinstance(value, dict):
            return f"{self._gap()}[{name}]{self._end()}{self._table(value, path)}"
        assert isinstance(value, list)
        return "".join(f"{self._gap()}[[{name}]]{self._end()}{self._table(item, path)}" for item in value)

    def _pair(self, key: str, value: object) -> str:
        if isinstance(value, dict) and value and self.random.random() < 0.5:
            lines = (
                f"{self._key(key)}.{self._inline(name, item)}{self._end()}" for name, item in value.items()
            )
            return "".join(lines)
        return f"{self._gap()}{self._inline(key, value)}{self._end()}"

    def _inline(self, key: str, value: object) -> str:
        return f"{self._key(key)} = {self._value(value)}"

    def _key(self, key: str) -> str:
        if key and key.isascii() and key.isalnum() and self.random.random() < 0.7:
            return key
        return json.dumps(key)

    def _value(self, value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(self._inline(key, item) for key, item in value.items()) + "}"
        if isinstance(value, list):
            return (
                "[" + "".join(f"{self._break()}{self._value(item)}{self._break()}," for item in value) + "]"
            )
        if isinstance(value, str) and "'" not in value and value.isprintable() and self.random.random() < 0.5:
            return self.random.choice([f"'{value}'", f"'''\n{value}\n'''"])
        if isinstance(value, str) and self.random.random() < 0.3:
            return f'"""\n{json.dumps(value)[1:-1]}\n"""'
        return json.dumps(value) if isinstance(value, str | bool) else repr(value)

    def _break(self) -> str:
        return self.random.choice(["", " ", "\n", " # it's ] not \"the end\n\n"])

    def _gap(self) -> str:
        return self.random.choice(["", "\n", "# [not] a = 'table\n", "\t"])

    def _end(self) -> str:
        return self.random.choice(["\n", " # [c] = {\n", "\r\n"])
