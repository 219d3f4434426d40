"""Which header fields the configuration may change, and which are lbg's own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lbg.config.problems import Broken, shown
from lbg.http.forwarded import OURS
from lbg.http.headers import HOP_BY_HOP

_OF_THE_CONNECTION: Final = frozenset({*(name.decode() for name in HOP_BY_HOP), "expect"})
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_ORIGIN: Final = frozenset(name.decode() for name in OURS)
_NEVER: Final = frozenset({"proxy", "http2-settings"})


def repeated_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is the same as an earlier one but for its case, with a sentence."""
    first: dict[str, str] = {}
    for name in names:
        earlier = first.setdefault(name.lower(), name)
        if earlier != name:
            yield name, f"{shown(earlier)} is the same header field"


def own_field(name: str) -> str:
    """Say why lbg alone may write the field of a message, or nothing."""
    lower = name.lower()
    if lower in _FRAMING:
        return f"{shown(name)} says where a message ends, so lbg alone writes it"
    if lower in _OF_THE_CONNECTION:
        return f"{shown(name)} is for one connection, so lbg alone writes it"
    return ""


def lost_field(name: str, *, underscores: bool) -> str:
    """Say why nothing can be written into the field of a request for the backend to see, or nothing."""
    lower = name.lower()
    if lower in _ORIGIN:
        return f"lbg writes {shown(name)} itself"
    if lower == "via":
        return f"lbg writes {shown(name)} itself"
    if lower == "x-request-id":
        return f"lbg writes {shown(name)} itself, as the filter request_id says"
    if lower in _NEVER:
        return f"{shown(name)} never passes"
    if "_" in name and not underscores:
        return f'{shown(name)} has a "_" and does not pass, unless server.underscore_headers is true'
    return own_field(name)


def broken_request_fields(
    put: Mapping[str, Iterable[str]], removed: Iterable[str], *, underscores: bool
) -> Iterator[Broken]:
    """Yield the place and the sentence of each field of a request that cannot be changed.

    `put` has the names of each table that writes fields; `removed` is the list of names to take away.
    """
    for key, names in put.items():
        yield from (((key, name), sentence) for name, sentence in repeated_names(names))
        for name in names:
            reason = lost_field(name, underscores=underscores)
            if key == "add" and name.lower() == "host":
                reason = 'a request has one "Host", expected it in set'
            if reason:
                yield (key, name), reason
    yield from broken_names("remove", removed, own_field)


def broken_names(key: str, names: Iterable[str], fault: Callable[[str], str]) -> Iterator[Broken]:
    """Yield the place and the sentence of each name of a list that is there twice, or has a fault."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        reason = fault(name)
        if first.setdefault(name.lower(), index) != index:
            reason = f"{shown(name)} is listed twice"
        if reason:
            yield (key, index), reason
