"""`compress`: smaller response bodies."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lbg.config.fields import ByteCount, OneOrList
from lbg.config.problems import shown
from lbg.config.route_fields import Once
from lbg.config.section import Section

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"  # RFC 6838 section 4.2
_TYPE = re.compile(rf"{_NAME}/(?:\*|(?:\*\+)?{_NAME})")


def _type(value: str) -> str:
    if not _TYPE.fullmatch(value):
        expected = '"text/html", "text/*" or "application/*+json"'
        raise ValueError(f"expected a media type such as {expected}, got {shown(value)}")
    if value.lower() == "text/event-stream":
        raise ValueError("event streams are never compressed")
    return value.lower()


class CompressConfig(Section):
    """`compress`: never event streams, small bodies or what is encoded already."""

    use: Literal["compress"]
    algorithms: Annotated[tuple[Literal["zstd", "br", "gzip"], ...], Field(min_length=1), Once, OneOrList] = (
        "zstd",
        "br",
        "gzip",
    )
    """By preference; those whose library is not installed are left out."""
    min_size: ByteCount = 1024
    level: Annotated[int, Field(strict=True, ge=1, le=9)] = 5
    types: Annotated[
        tuple[Annotated[str, AfterValidator(_type)], ...], Field(min_length=1), Once, OneOrList
    ] = (
        "text/*",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/*+json",
        "application/*+xml",
        "image/svg+xml",
        "application/wasm",
    )
