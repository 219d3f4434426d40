"""The target that goes upstream, where a route changes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from lbg.errors import LocalReply
from lbg.http.target import readings, routing_path, unescaped_path
from lbg.routing.conditions import text_of
from lbg.routing.path_index import compiled

if TYPE_CHECKING:
    from lbg.config.routes import RewriteConfig, RouteConfig

_SAFE: Final = "/:@!$&'()*+,;=~"
_REFERENCE: Final = re.compile(r"\\(?:g<(\w+)>|([1-9][0-9]?)|(\\))")
_DOTS: Final = frozenset({".", ".."})


class Rewrite:
    """Changes paths; the query passes. What it does not change keeps its bytes, such as `%2F`.

    A rewritten path begins with one slash, and what it leads to is what routing compared: where the rest
    of the path as received would lead elsewhere, the rest of the normalised path goes in its place.
    """

    __slots__ = ("_pattern", "_prefix")

    def __init__(self, prefix: tuple[str, str] | None, pattern: _PatternRule | None) -> None:
        self._prefix = prefix
        self._pattern = pattern

    @classmethod
    def of(cls, config: RouteConfig) -> Self | None:
        """Return what a route does with paths, None when it leaves them."""
        rewrite = config.rewrite
        if config.strip_prefix:
            return cls((_compared(config.strip_prefix), ""), None)
        if rewrite is None:
            return None
        if rewrite.prefix is None:
            return cls(None, _PatternRule(rewrite))
        own = config.path_exact if config.path_exact is not None else config.path
        return cls((_compared(own or "/"), rewrite.prefix), None)

    def target(self, raw_target: bytes, path: str) -> bytes:
        """Return the target for upstream; `path` is the normalised path of `raw_target`."""
        received, mark, query = raw_target.decode("latin-1").partition("?")
        raw = received if self._prefix is None else _replaced(received, path, *self._prefix)
        if self._pattern is not None:
            raw, added = self._pattern.apply(received, path)
            if added:
                query = f"{added}&{query}" if query else added
                mark = "?"
        if raw is not received and raw.startswith("//"):
            raw = "/" + raw.lstrip("/")  # or the endpoint could take the first segment for an authority
        return f"{raw}{mark}{query}".encode("latin-1")


class _PatternRule:
    """Replaces the first place where a pattern is found in the normalised path."""

    __slots__ = ("_path", "_query", "_regex")

    def __init__(self, config: RewriteConfig) -> None:
        self._regex = compiled(config.regex)
        # Only a "?" of the configuration begins a query, never one that a client sent as %3F.
        self._path, _, self._query = config.to.partition("?")

    def apply(self, raw: str, path: str) -> tuple[str, str]:
        """Return the new path, or `raw` itself, and what comes before the query of the client."""
        text = text_of(path)
        found = self._regex.search(text)
        if found is None:
            return raw, ""
        middle = _expanded(self._path, found, _SAFE)
        new = _quoted(text[: found.start()]) + middle + _quoted(text[found.end() :])
        return _rooted(new), _expanded(self._query, found, "")


def _compared(path: str) -> str:
    normalised = routing_path(path)
    return (path if normalised is None else normalised).rstrip("/")


def _replaced(raw: str, path: str, old: str, new: str) -> str:
    """Return the raw path with prefix `new` in place of `old`, or `raw` itself without that prefix."""
    if path != old and not path.startswith(old + "/"):
        return raw
    rest = path[len(old) :]
    depth = old.count("/") + 1
    head = "/".join(raw.split("/", depth)[:depth])
    raw_rest = raw[len(head) :]
    if unescaped_path(head) != old or not _leads_to(raw_rest or "/", rest or "/"):
        raw_rest = _quoted(text_of(rest))
    return new.rstrip("/") + raw_rest if raw_rest else new or "/"


def _leads_to(raw: str, path: str) -> bool:
    """Return whether `raw` is `path` when normalised, and climbs above where it begins for no backend."""
    normalised = routing_path(raw)
    return normalised == path and (normalised is raw or bool(readings(raw)))


def _expanded(template: str, found: re.Match[str], safe: str) -> str:
    r"""Return `template` with the groups it names, which are escaped but for the `safe` characters."""

    def piece(reference: re.Match[str]) -> str:
        name, number, backslash = reference.groups()
        if backslash:
            return quote(backslash)
        return _quoted(found[name or int(number)] or "", safe)

    pieces, at = [], 0
    for reference in _REFERENCE.finditer(template):
        pieces += [_kept(template[at : reference.start()]), piece(reference)]
        at = reference.end()
    return "".join((*pieces, _kept(template[at:])))


def _kept(literal: str) -> str:
    return quote(literal, safe=_SAFE + "%?")


def _quoted(text: str, safe: str = _SAFE) -> str:
    # An encoded slash is written %2F in a normalised path.
    return quote(text, safe=safe, errors="surrogateescape").replace("%252F", "%2F")


def _rooted(path: str) -> str:
    """Return the path with its slash in front. Raises LocalReply where dot segments came to be.

    The backend would resolve them, and the client decide where that leads.
    """
    if "." in path and not _DOTS.isdisjoint(path.split("/")):
        raise LocalReply("bad_request", "The path of the request leaves what it is rewritten to.")
    return path if path.startswith("/") else f"/{path}"
