"""Texts with variables in braces: `https://{host}{path}`; `{{` and `}}` stand for the braces themselves."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

# Known of every request.
OF_REQUEST: Final = (
    "client_ip",
    "peer_ip",
    "host",
    "method",
    "scheme",
    "path",
    "query",
    "uri",
    "request_id",
    "route",
)
# Known only once there is an answer.
OF_RESPONSE: Final = ("pool", "endpoint", "status")
# `{header:User-Agent}`; `match` is a group of the route's `path_regex`, by name or number.
NAMED: Final = ("header", "cookie", "query", "match")

_PARTS: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHOWN: Final = 60  # characters of a wrong variable in a sentence


class UnknownVariable(ValueError):
    """A text names a variable that there is not: `name`, where one of `known` could stand.

    `what` is the sentence without those that there are.
    """

    def __init__(self, what: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{what}, there is {', '.join(known)}")
        self.what = what
        self.name = name
        self.known = known


@dataclass(frozen=True, slots=True)
class Variable:
    """`{kind}` or `{kind:name}`; `name` is "" for the first form."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{{{self.kind}:{self.name}}}" if self.name else f"{{{self.kind}}}"


Parts = tuple["str | Variable", ...]


def parse(text: str) -> Parts:
    """Return the literal pieces and the variables of `text`, in order. Raises ValueError with a sentence."""
    parts: list[str | Variable] = []
    literal = ""
    at = 0
    for match in _PARTS.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        if match[0] in {"{{", "}}"}:
            literal += match[0][0]
        elif match[1] is None:
            raise ValueError(f'a single "{match[0]}", expected "{match[0] * 2}" for the character itself')
        else:
            parts += [literal, _variable(match[1])] if literal else [_variable(match[1])]
            literal = ""
    literal += text[at:]
    return (*parts, literal) if literal else tuple(parts)


def _variable(text: str) -> Variable:
    kind, colon, name = text.partition(":")
    if colon:
        if kind not in NAMED:
            raise UnknownVariable(f"{_shown(text)} is no variable with a name", kind, NAMED)
        if not _NAME.fullmatch(name):
            raise ValueError(f"{_shown(text)} names nothing that can be, expected {{{kind}:NAME}}")
        return Variable(kind, name)
    known = OF_REQUEST + OF_RESPONSE
    if text in known:
        return Variable(text, "")
    if text in NAMED:
        raise ValueError(f"{_shown(text)} wants a name, expected {{{text}:NAME}}")
    raise UnknownVariable(f"there is no variable {_shown(text)}", text, known)


def _shown(text: str) -> str:
    return f"{{{json.dumps(text[:_SHOWN])[1:-1]}}}"
