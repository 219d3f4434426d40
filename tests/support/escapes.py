r"""The visible spelling of raw bytes in the corpus: \r \n \t \\ \xHH and \{N*text\} for a repetition."""

import re

_ESCAPE = re.compile(r"\\(?:(?P<plain>[rnt\\])|x(?P<hex>[0-9a-f]{2})|\{(?P<count>\d+)\*(?P<text>.*?)\\\})")
_PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


def unescape(text: str) -> bytes:
    """Return the bytes that a text of printable ASCII and escapes stands for."""
    out, position = bytearray(), 0
    while position < len(text):
        following = text.find("\\", position)
        end = len(text) if following < 0 else following
        out += _printable(text[position:end])
        position = end
        if following >= 0:
            match = _ESCAPE.match(text, position)
            if match is None:
                raise ValueError(f"unknown escape at {text[position : position + 12]!r}")
            out += _expand(match)
            position = match.end()
    return bytes(out)


def visible(data: bytes, limit: int = 2000) -> str:
    """Return bytes in the same spelling, cut to a readable length."""
    text = repr(data[:limit])[2:-1].replace("\\'", "'")
    return text if len(data) <= limit else f"{text}… ({len(data)} bytes)"


def _expand(match: re.Match[str]) -> bytes:
    if match["plain"]:
        return _PLAIN[match["plain"]]
    if match["hex"]:
        return bytes.fromhex(match["hex"])
    return unescape(match["text"]) * int(match["count"])


def _printable(text: str) -> bytes:
    if not all(" " <= char <= "~" for char in text):
        raise ValueError(f"neither printable ASCII nor escaped: {text!r}")
    return text.encode()
