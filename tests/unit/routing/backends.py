"""How backends read a path that they receive, each by its own rules, and paths to confuse them with."""

import posixpath
import re
from collections.abc import Callable
from urllib.parse import unquote

from hypothesis import strategies as st


def decoded(path: str) -> str:
    return unquote(path, encoding="latin-1")


def decoded_but_slashes(path: str) -> str:
    return decoded(re.sub("%2[fF]", "%252F", path))


def resolved(path: str) -> str:
    """Resolve dots and empty segments as file systems do; a slash at the end is a matter of its own."""
    if not path.startswith("/"):
        return path
    kept = posixpath.normpath(path).lstrip("/")
    return f"/{kept}/" if kept and path.endswith(("/", "/.", "/..")) else f"/{kept}"


def resolved_as_a_url(path: str) -> str:
    """Resolve dots as RFC 3986 section 5.2.4 does, where empty segments count."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/".join(kept) or "/"


def merged(path: str) -> str:
    return re.sub("/+", "/", path)


def without_parameters(path: str) -> str:
    return re.sub(";[^/]*", "", path)


def slashed(path: str) -> str:
    return path.replace("\\", "/")


Steps = tuple[Callable[[str], str], ...]
BACKENDS: dict[str, Steps] = {
    "as received": (decoded_but_slashes,),
    "wsgi": (decoded,),
    "wsgi that merges": (decoded, merged),
    "nginx": (decoded, merged, resolved_as_a_url),
    "node": (resolved_as_a_url, decoded),
    "file server": (decoded, resolved),
    "go": (decoded, merged, resolved),
    "resolves first": (resolved, decoded),
    "resolves twice": (resolved_as_a_url, decoded, resolved_as_a_url),
    "tomcat": (without_parameters, decoded_but_slashes, merged, resolved_as_a_url),
    "jetty": (decoded, without_parameters, resolved_as_a_url),
    "spring": (merged, without_parameters, decoded),
    "iis": (decoded, slashed, merged, resolved_as_a_url),
    "iis behind a cleaner": (slashed, resolved_as_a_url, decoded, slashed),
}


def seen_by(backend: str, raw: str) -> str:
    """Return what path a backend takes `raw` for."""
    for step in BACKENDS[backend]:
        raw = step(raw)
    return raw


PIECES = [
    *["/"] * 8,
    "//",
    "public",
    "admin",
    "a",
    "b",
    "7",
    "..",
    ".",
    "%2e%2e",
    "%2E",
    "%2f",
    "%2F",
    "%5c",
    "\\",
]
PIECES += [";x", ";", "%3b", "%61dmin", "%70ublic", "%25", "%20", "%", "admi%6E"]
RAW = st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: "/" + "".join(pieces))
