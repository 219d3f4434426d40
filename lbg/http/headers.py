"""Which header fields pass a proxy, and which end at it (RFC 9110 section 7.6.1).

Names are classified once and remembered in bounded dicts, so a field costs one look-up.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final

Fields = list[tuple[bytes, bytes]]
"""Header fields in the order, case and repetition in which they came."""

REMEMBERED: Final = 4096  # names; beyond that a name is classified each time it comes


class Rule(IntEnum):
    """What becomes of a field."""

    PASS = 0
    DROP = 1
    HOST = 2
    CONNECTION = 3
    COOKIE = 4
    TE = 5
    TRAILER = 6
    EXPECT = 7
    VIA = 8
    CONTENT_LENGTH = 9
    MAX_FORWARDS = 10
    REQUEST_ID = 11
    FORWARDING = 12
    UPGRADE = 13
    TRANSFER_ENCODING = 14
    KEEP_ALIVE = 15


# RFC 9110 section 7.6.1 and the older names still in use. The field is called Trailer, not Trailers.
HOP_BY_HOP: Final = {
    b"connection": Rule.CONNECTION,
    b"proxy-connection": Rule.DROP,
    b"keep-alive": Rule.KEEP_ALIVE,
    b"te": Rule.TE,
    b"trailer": Rule.TRAILER,
    b"transfer-encoding": Rule.TRANSFER_ENCODING,
    b"upgrade": Rule.UPGRADE,
    b"proxy-authenticate": Rule.DROP,
    b"proxy-authorization": Rule.DROP,
}

_HOP_NAMES: Final = frozenset(HOP_BY_HOP)

_REQUEST: Final = HOP_BY_HOP | {
    b"host": Rule.HOST,
    b"cookie": Rule.COOKIE,
    b"expect": Rule.EXPECT,
    b"via": Rule.VIA,
    b"content-length": Rule.CONTENT_LENGTH,
    b"max-forwards": Rule.MAX_FORWARDS,
    b"x-request-id": Rule.REQUEST_ID,
    b"forwarded": Rule.FORWARDING,
    b"x-real-ip": Rule.FORWARDING,
    # httpoxy: a CGI-like backend would take it for its own HTTP_PROXY variable.
    b"proxy": Rule.DROP,
    # Belongs to Upgrade: h2c, which never passes.
    b"http2-settings": Rule.DROP,
}

_RESPONSE: Final = HOP_BY_HOP | {
    b"content-length": Rule.CONTENT_LENGTH,
}

# Fields that `Connection: <name>` must not be able to remove: without them the next hop would
# see another message, or another client, than we did.
PROTECTED: Final = frozenset(
    {b"host", b"content-length", b"via", b"x-request-id", b"forwarded", b"x-real-ip", b"cookie"}
)

# RFC 9110 section 6.5.1: fields that change framing, routing or authentication mean nothing in trailers.
_NOT_IN_TRAILERS: Final = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expect",
        b"forwarded",
        b"host",
        b"max-forwards",
        b"proxy",
        b"range",
        b"set-cookie",
        b"via",
        b"x-real-ip",
        b"x-request-id",
    }
)


class RequestRules(dict[bytes, Rule]):
    """Field name, in any case, to its rule on the way upstream."""

    def __init__(self, *, underscores: bool) -> None:
        super().__init__()
        self._underscores = underscores

    def __missing__(self, name: bytes) -> Rule:
        rule = self._classify(name.lower())
        if len(self) < REMEMBERED:
            self[name] = rule
        return rule

    def _classify(self, name: bytes) -> Rule:
        if name.startswith(b"x-forwarded-"):
            return Rule.FORWARDING
        # A_B and A-B are one name to every CGI-like backend: the first could forge the second.
        if b"_" in name and (not self._underscores or _forges(name)):
            return Rule.DROP
        return _REQUEST.get(name, Rule.PASS)


def _forges(name: bytes) -> bool:
    """Return whether a lower-case name with underscores could be taken for one that has a rule."""
    dashed = name.replace(b"_", b"-")
    return dashed in _REQUEST or dashed == b"content-type" or dashed.startswith(b"x-forwarded-")


class ResponseRules(dict[bytes, "str | Rule"]):
    """Field name, in any case, to the text it passes under or the rule that handles it."""

    def __init__(self, *, underscores: bool) -> None:
        super().__init__()
        self.underscores = underscores

    def __missing__(self, name: bytes) -> str | Rule:
        lower = name.lower()
        rule: str | Rule = _RESPONSE.get(lower, Rule.PASS)
        if b"_" in name and not self.underscores:
            rule = Rule.DROP
        elif rule is Rule.PASS:
            rule = name.decode("latin-1")
        if len(self) < REMEMBERED:
            self[name] = rule
        return rule


@lru_cache(maxsize=256)
def connection_options(value: bytes) -> frozenset[bytes]:
    """Return the lower-cased options of a `Connection` value (RFC 9110 section 7.6.1)."""
    return frozenset(option.strip(b" \t").lower() for option in value.split(b",")) - {b""}


@lru_cache(maxsize=256)
def removable(options: frozenset[bytes]) -> frozenset[bytes]:
    """Return the field names that `Connection` options may remove, besides those that never pass."""
    named = options - PROTECTED - _HOP_NAMES - {b"close"}
    return frozenset(name for name in named if not name.startswith(b"x-forwarded-"))


def passing(fields: Fields, rules: ResponseRules) -> Fields:
    """Return those of an interim response's `fields` that simply pass a proxy."""
    named: frozenset[bytes] = frozenset()
    for name, value in fields:
        if rules[name] is Rule.CONNECTION:
            named |= removable(connection_options(value))
    return [field for field in without(fields, named) if type(rules[field[0]]) is str]


def without(fields: Fields, names: frozenset[bytes]) -> Fields:
    """Return `fields` less those with one of the lower-cased `names`."""
    return [field for field in fields if field[0].lower() not in names]


def forwardable_trailers(trailers: Fields, *, underscores: bool) -> Fields:
    """Return the trailer fields that may pass a proxy (RFC 9110 section 6.5)."""
    return [
        (name, value)
        for name, value in trailers
        if (lower := name.lower()) not in _NOT_IN_TRAILERS
        and lower not in HOP_BY_HOP
        and not lower.startswith(b"x-forwarded-")
        and (underscores or b"_" not in name)
    ]


class EnvironKeys(dict[bytes, "str | None"]):
    """Field name to its WSGI environ key, None for names that could forge another's key (PEP 3333)."""

    def __init__(self, *, underscores: bool) -> None:
        super().__init__({b"Content-Type": "CONTENT_TYPE", b"Content-Length": "CONTENT_LENGTH"})
        self._underscores = underscores

    def __missing__(self, name: bytes) -> str | None:
        text = name.decode("latin-1")
        key: str | None = "HTTP_" + text.upper().replace("-", "_")
        if key in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
            key = text.upper().replace("-", "_")
        if key == "HTTP_PROXY" or (b"_" in name and (not self._underscores or _forges(name.lower()))):
            key = None
        if len(self) < REMEMBERED:
            self[name] = key
        return key
