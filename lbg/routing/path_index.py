"""The routes of one host by their paths: exact ones first, then patterns, then the longest prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lbg.http.target import routing_path
from lbg.routing.conditions import HeaderCondition, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lbg.routing.conditions import Condition
    from lbg.routing.route import Route

_PLAIN: Final = re.compile(r"[A-Za-z0-9/_-]*")
_GROUP: Final = re.compile(r"\([^()\[\]\\]*\)")
_FEW: Final = 8  # candidates that are compared one after the other


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route and what it asks beyond host and path."""

    route: Route
    conditions: tuple[Condition, ...]

    def takes(self, environ: Mapping[str, Any]) -> bool:
        """Return whether all conditions hold."""
        return all(condition.holds(environ) for condition in self.conditions)


class Group:
    """The candidates with the same host and path, in order of precedence.

    Where most of many ask for values of one and the same header field, that value finds them.
    """

    __slots__ = ("_by_value", "_key", "_rest", "candidates")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = tuple(candidates)
        self._key = ""
        self._rest = self.candidates
        self._by_value: dict[str, tuple[Candidate, ...]] = {}
        if len(self.candidates) > _FEW:
            self._index_by_value()

    def _index_by_value(self) -> None:
        counts: dict[str, int] = {}
        values = [_header_values(candidate) for candidate in self.candidates]
        for asked in values:
            for key in asked:
                counts[key] = counts.get(key, 0) + 1
        key = max(counts, key=counts.__getitem__, default="")
        # The others stand in every list, so there must be few.
        if counts.get(key, 0) < len(self.candidates) - _FEW:
            return
        self._key = key
        self._rest = tuple(
            one for one, asked in zip(self.candidates, values, strict=True) if key not in asked
        )
        lists: dict[str, list[Candidate]] = {}
        for value in {value for asked in values for value in asked.get(key, ())}:
            lists[value] = []
        for candidate, asked in zip(self.candidates, values, strict=True):
            for value in asked.get(key, lists):
                lists[value].append(candidate)
        self._by_value = {value: tuple(found) for value, found in lists.items()}

    def first(self, environ: Mapping[str, Any]) -> Route | None:
        """Return the first route whose conditions hold."""
        candidates = self.candidates
        if self._key:
            candidates = self._by_value.get(text_of(environ.get(self._key, "")), self._rest)
        for candidate in candidates:
            if not candidate.conditions or candidate.takes(environ):
                return candidate.route
        return None


def _header_values(candidate: Candidate) -> dict[str, frozenset[str]]:
    conditions = (one for one in candidate.conditions if isinstance(one, HeaderCondition))
    return {condition.key: condition.values for condition in conditions if condition.values}


@dataclass(frozen=True, slots=True)
class _Pattern:
    order: int
    pattern: re.Pattern[str]
    group: Group


class PathIndex:
    """Finds the groups of one host that a path leads to, by a dict look-up for each segment."""

    __slots__ = ("_depth", "_exact", "_patterns", "_prefixes")

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        """Index `candidates`, which come in order of precedence."""
        exact: dict[str, list[Candidate]] = {}
        prefixes: dict[str, list[Candidate]] = {}
        patterns: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            kind, path = path_of(candidate.route)
            (exact, patterns, prefixes)[kind].setdefault(path, []).append(candidate)
        self._exact = {path: Group(group) for path, group in exact.items()}
        self._prefixes = {path: Group(group) for path, group in prefixes.items()}
        self._patterns: dict[str, list[_Pattern]] = {}
        for order, (text, group) in enumerate(patterns.items()):
            pattern = _Pattern(order, compiled(text), Group(group))
            self._patterns.setdefault(_known_prefix(text), []).append(pattern)
        # Deeper paths are cut first, or a long one of many slashes would cost a look-up for each.
        self._depth = max((path.count("/") for path in (*self._prefixes, *self._patterns)), default=0)

    def groups(self, path: str) -> Iterator[Group]:
        """Yield the groups whose path `path` fits, in order of precedence."""
        exact = self._exact.get(path)
        if exact is not None:
            yield exact
        ancestors = self._ancestors(path)
        if self._patterns:
            text = text_of(path)
            found = [one for each in ancestors for one in self._patterns.get(each, ())]
            if len(found) > 1:
                found.sort(key=lambda one: one.order)
            for one in found:
                if one.pattern.fullmatch(text):
                    yield one.group
        for each in ancestors:
            group = self._prefixes.get(each)
            if group is not None:
                yield group

    def _ancestors(self, path: str) -> list[str]:
        """Return the path, cut to the depth there is, and what it lies below; the root, "", comes last."""
        parts = path.split("/", self._depth + 1)
        prefix = "/".join(parts[: self._depth + 1])
        found = [prefix]
        while prefix:
            prefix = prefix.rpartition("/")[0]
            found.append(prefix)
        return found


def path_of(route: Route) -> tuple[int, str]:
    """Return which kind of path a route asks for, and its text as it is compared.

    0 is an exact path, 1 a pattern, 2 a prefix without the slash at its end.
    """
    config = route.config
    if config.path_exact is not None:
        return 0, _normalised(config.path_exact)
    if config.path_regex:
        return 1, config.path_regex
    return 2, _normalised(config.path or "/").rstrip("/")


def compiled(text: str) -> re.Pattern[str]:
    """Return a pattern for paths; a line break is a character as any other, or `%0A` would hide a path."""
    return re.compile(text, re.DOTALL)


def _normalised(path: str) -> str:
    normalised = routing_path(path)
    return path if normalised is None else normalised


def _known_prefix(text: str) -> str:
    """Return the whole segments with which all paths begin that match the pattern `text`."""
    text = text.removeprefix("^")
    plain = _PLAIN.match(text)
    literal = plain[0] if plain else ""
    rest = text[len(literal) :]
    if "|" in _GROUP.sub("", rest):
        return ""
    if rest[:1] in {"?", "*", "+", "{"}:
        literal = literal[:-1]
    return literal.rpartition("/")[0]
