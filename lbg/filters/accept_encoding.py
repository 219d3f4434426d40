"""Which content coding a client wants (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from typing import Final

_WEIGHT: Final = re.compile(r"[ \t]*q=(?:(0)(?:\.([0-9]{0,3}))?|1(?:\.0{0,3})?)[ \t]*")
_FULL: Final = 1000  # weights are in thousandths


def best_coding(accepted: str, offered: tuple[str, ...]) -> str:
    """Return the coding of `offered` that Accept-Encoding ranks first; of equal ones the first offered.

    `""` means none: the client takes none of them, or ranks the plain body higher.
    """
    weights = _weights(accepted)
    if "x-gzip" in weights:  # RFC 9110 section 8.4.1.3
        weights.setdefault("gzip", weights["x-gzip"])
    others = weights.get("*", 0)
    best, highest = "", max(weights.get("identity", 0), 1)
    for coding in offered:
        weight = weights.get(coding, others)
        if weight > highest or (weight == highest and not best):
            best, highest = coding, weight
    return best


def _weights(accepted: str) -> dict[str, int]:
    weights = {}
    for item in accepted.lower().split(","):
        coding, semicolon, parameter = item.partition(";")
        weights[coding.strip(" \t")] = _weight(parameter) if semicolon else _FULL
    return weights


def _weight(parameter: str) -> int:
    """Return a weight; what is malformed counts as 0: an answer that cannot be read is the worst of all."""
    match = _WEIGHT.fullmatch(parameter)
    if match is None:
        return 0
    return int((match[2] or "").ljust(3, "0")) if match[1] else _FULL
