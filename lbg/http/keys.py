"""What requests are told apart by, as written: `client_ip`, `header:X-Tenant`, `package.module:function`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

SIMPLE: Final = ("client_ip", "path", "host", "route")
NAMED: Final = ("header", "cookie", "query")

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


_SHOWN: Final = 60  # characters of a wrong key in a sentence


def is_reference(text: str) -> bool:
    """Return whether `text` has the form package.module:attribute."""
    return _REFERENCE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Key:
    """`kind` is one of `SIMPLE` and `NAMED`, or "function" with `name` as its reference."""

    kind: str
    name: str = ""


def parse_key(text: str) -> Key:
    """Return the key that `text` names. Raises ValueError with a sentence."""
    if text in SIMPLE:
        return Key(text)
    kind, colon, name = text.partition(":")
    if colon and kind in NAMED:
        if not _NAME.fullmatch(name):
            raise ValueError(f'"{kind}:" wants a name after the colon, such as "{kind}:id"')
        return Key(kind, name)
    if is_reference(text):
        return Key("function", text)
    raise ValueError(
        f'expected "client_ip", "path", "host", "route", "header:NAME", "cookie:NAME", "query:NAME" or '
        f'"package.module:function", got {json.dumps(text[:_SHOWN])}'
    )
