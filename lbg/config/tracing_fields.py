"""The kinds of value that only the export of traces has, each with its own check and its own sentence."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from lbg.config.problems import shown
from lbg.net.address import parse_host

_VISIBLE = re.compile(r"[!-~]+")
_LONGEST_NAME = 255


def _collector_url(value: str) -> str:
    if not value:
        return value
    if "@" in value:
        # Not shown: what it holds may be a password.
        raise ValueError("expected a URL without a user; set OTEL_EXPORTER_OTLP_HEADERS in the environment")
    wanted = f'expected a URL such as "http://127.0.0.1:4318", got {shown(value)}'
    if not _VISIBLE.fullmatch(value) or "?" in value or "#" in value:
        raise ValueError(wanted)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(wanted)
    parse_host(parts.netloc.removesuffix(f":{port}"))
    return value


def _service_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > _LONGEST_NAME:
        raise ValueError(f"expected a name of 1 to {_LONGEST_NAME} printable characters, got {shown(value)}")
    return value


CollectorUrl = Annotated[str, AfterValidator(_collector_url)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
