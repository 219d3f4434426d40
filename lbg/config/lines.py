"""The line of every key of a TOML document, which `tomllib` does not tell.

Only for a document that `tomllib` has read: it is known to be valid, so this scan need not look for mistakes.
"""

import re
import tomllib
from bisect import bisect_right

from lbg.config.problems import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may end in five quotes, of which the first two belong to it.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(source: str) -> dict[KeyPath, int]:
    """Map the path of each table, key and array item to its line, counted from 1.

    Raises RecursionError for values nested too deeply.
    """
    return _Scan(source).run()


class _Scan:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._starts = [match.end() for match in re.finditer("\n", source)]
        self._lines: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._source):
            if self._source[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self._lines

    def _header(self) -> KeyPath:
        """Read [a.b] or [[a.b]]; a name that is an array of tables stands for its last table."""
        line = self._line()
        brackets = 2 if self._source.startswith("[[", self._at) else 1
        self._at += brackets
        *parents, name = self._key()
        self._at += brackets
        path: KeyPath = ()
        for parent in parents:
            path = self._last_of((*path, parent))
            self._lines.setdefault(path, line)
        path = (*path, name)
        if brackets == 2:
            self._lines.setdefault(path, line)
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = self._last_of(path)
        self._lines[path] = line
        return path

    def _last_of(self, path: KeyPath) -> KeyPath:
        length = self._lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._key():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        match self._source[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._next_item() != "]":
            self._lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        while self._next_item() != "}":
            self._pair(path)
        self._at += 1

    def _next_item(self) -> str:
        """Step over an opening bracket, or the comma after an item, and return what comes then."""
        self._skip_blank()
        if self._source[self._at] in "[{,":
            self._at += 1
        self._skip_blank()
        return self._source[self._at]

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip_blank()
            if self._source[self._at] in "\"'":
                names.append(_unquoted(self._take(_STRING)))
            else:
                names.append(self._take(_BARE_KEY))
            self._skip_blank()
            if self._source[self._at] != ".":
                return names
            self._at += 1

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._source, self._at)
        assert match is not None, "the document is valid TOML"
        self._at = match.end()
        return match[0]

    def _line(self) -> int:
        return bisect_right(self._starts, self._at) + 1


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    return str(tomllib.loads(f"key = {text}")["key"])
