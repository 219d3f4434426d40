"""How the key of a limit is shown to people."""

from __future__ import annotations

from typing import Final

from lbg.state.bucket_layout import ROW_TEXT

ABSENT: Final = b"\0"
"""Begins the key of a request that has none of the kind that a limit asks for."""
_BEGINNING: Final = 40  # bytes of a text that is too long
_HALF: Final = 8  # bytes of a digest: enough to tell keys apart, nothing to learn them from


def key_text(key: bytes, digest: bytes, *, secret: bool) -> str:
    """Return a text of at most ROW_TEXT bytes for `key`.

    One that is secret, or no text, is shown by a part of its keyed `digest`.
    """
    short = digest[:_HALF].hex()
    try:
        text = key.removeprefix(ABSENT).decode()
    except UnicodeDecodeError:
        text = ""
    if (secret and not key.startswith(ABSENT)) or not text.isprintable() or not text.strip("./ "):
        return f"digest:{short}"
    if len(text.encode()) > ROW_TEXT:
        return f"{key[:_BEGINNING].decode('utf-8', 'ignore')}...{short}"
    return text
