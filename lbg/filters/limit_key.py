"""What limits tell requests apart by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lbg.http.keys import parse_key
from lbg.proxy.keys import client_network, key_of
from lbg.state.key_text import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.filters.tools import Environ

_SECRET: Final = re.compile(
    r"auth|token|secret|key|pass|pwd|session|sid|cookie|credential|sign|jwt", re.IGNORECASE
)


def limit_key(spec: str) -> Callable[[Environ], bytes]:
    """Return the function that takes the key from an environ. Raises HookError.

    A request that has none is counted by its client: to leave out a field would else lift every limit,
    and one key for all who do so would let one of them shut out the others.
    """
    key = key_of(spec)

    def key_or_client(environ: Environ) -> bytes:
        found = key(environ)
        if found is not None:
            return found
        return ABSENT + client_network(environ["lbg.exchange"].client)

    return key_or_client


def is_secret(spec: str) -> bool:
    """Return whether the keys may be secrets of clients, by the names of the fields they come from."""
    key = parse_key(spec)
    if key.kind in {"header", "query"}:
        return _SECRET.search(key.name) is not None
    return key.kind == "cookie"
