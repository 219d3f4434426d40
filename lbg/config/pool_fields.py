"""The kinds of value that only pools have, each with its own check and its own sentence."""

import re
import warnings
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from lbg.config.fields import TOKEN
from lbg.config.hints import did_you_mean
from lbg.config.problems import shown
from lbg.config.route_fields import reference
from lbg.net.address import parse_endpoint_url, parse_host

_TARGET = re.compile(r"/[!-~]*")
_FIELD_VALUE = re.compile(r"[\t -~]*")
_STATUS_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_SECRET = re.compile(r"[!-~]{16,}")
BALANCE = ("power_of_two", "least_requests", "round_robin", "peak_ewma", "random", "hash")
# What frames a message or its connection, and Host, which has a key of its own.
_OWN_FIELDS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade", "te"}
)


def status_ranges(text: str) -> tuple[range, ...]:
    """Return the ranges of `200-299,304`. Raises ValueError."""
    return tuple(_status_range(part.strip()) for part in text.split(","))


def _status_range(text: str) -> range:
    match = _STATUS_RANGE.fullmatch(text)
    if not match:
        raise ValueError(_expected_statuses(text))
    first = int(match[1])
    last = int(match[2] or first)
    if first > last:
        raise ValueError(f"expected the lower status first, got {shown(text)}")
    return range(first, last + 1)


def _expected_statuses(value: object) -> str:
    return f'expected statuses such as "200-399" or "200,204", got {shown(value)}'


def checked_status_ranges(value: object) -> str:
    """Return `value` as a text that `status_ranges` takes. Raises ValueError with a sentence."""
    if isinstance(value, int) and 100 <= value <= 599:
        return str(value)
    if not isinstance(value, str):
        raise ValueError(_expected_statuses(value))  # noqa: TRY004  pydantic collects only this type
    status_ranges(value)
    return value


def _endpoint_url(value: str) -> str:
    return parse_endpoint_url(value).url


def _method(value: str) -> str:
    method = value.upper()
    if not TOKEN.fullmatch(value) or method in {"CONNECT", "TRACE"}:
        raise ValueError(f'expected a method such as "GET" or "HEAD", got {shown(value)}')
    return method


def _health_target(value: str) -> str:
    if not _TARGET.fullmatch(value) or "#" in value:
        raise ValueError(
            f'expected an ASCII path that starts with "/", without spaces and "#", got {shown(value)}'
        )
    return value


def _optional_host(value: str) -> str:
    return parse_host(value) if value else value


def _header_fields(fields: dict[str, str]) -> dict[str, str]:
    seen: set[str] = set()
    for name, value in fields.items():
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{shown(name)} is not a header field name")
        if name.lower() in _OWN_FIELDS:
            raise ValueError(f"{shown(name)} is set by lbg itself")
        if name.lower() in seen:
            raise ValueError(f"{shown(name)} is listed twice")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"the value of {shown(name)} holds control or non-ASCII characters")
        seen.add(name.lower())
    return {name: value.strip() for name, value in fields.items()}


def _body_pattern(value: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python will read in another way
            re.compile(value.encode())
    except (re.error, OverflowError, RecursionError, UnicodeEncodeError, Warning) as error:
        reason = str(error).encode("unicode_escape").decode()
        raise ValueError(f"expected a regular expression, got {shown(value)}: {reason}") from None
    return value


def _file_name(value: str) -> str:
    # gunicorn's `chdir` and a daemon's start decide what a relative name means.
    if value and (not value.startswith("/") or not value.isprintable()):
        raise ValueError(f'expected an absolute file name, such as "/etc/ssl/ca.pem", got {shown(value)}')
    return value


def _balance(value: str) -> str:
    if value in BALANCE:
        return value
    try:
        return reference(value)
    except ValueError:
        known = ", ".join(f'"{name}"' for name in BALANCE)
        hint = did_you_mean(value, BALANCE)
        raise ValueError(
            f'expected {known} or "package.module:attribute", got {shown(value)}{hint}'
        ) from None


def _hash_bound(value: int) -> int:
    if value and not 125 <= value <= 200:
        raise ValueError(f"expected 0, or a percentage from 125 to 200, got {shown(value)}")
    return value


def _cookie_name(value: str) -> str:
    if not TOKEN.fullmatch(value):
        raise ValueError(f'expected a cookie name without spaces, such as "lbg", got {shown(value)}')
    return value


def _sticky_secret(value: str) -> str:
    # What it is stays out of messages and logs.
    if not _SECRET.fullmatch(value):
        raise ValueError("expected at least 16 visible ASCII characters without spaces")
    return value


Weight = Annotated[int, Field(strict=True, ge=1, le=1000)]
Attempts = Annotated[int, Field(strict=True, ge=1, le=100)]
# A retry buffer is held once for each open request.
BufferBytes = Annotated[int, Field(strict=True, ge=0, le=2**24)]
Port = Annotated[int, Field(strict=True, ge=0, le=65535)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
ErrorStatus = Annotated[int, Field(strict=True, ge=400, le=599)]
# Browsers keep a cookie for 400 days at most (draft-ietf-httpbis-rfc6265bis section 5.5).
CookieSeconds = Annotated[int, Field(strict=True, ge=0, le=400 * 86_400)]

EndpointUrl = Annotated[str, AfterValidator(_endpoint_url)]
Method = Annotated[str, AfterValidator(_method)]
HealthTarget = Annotated[str, AfterValidator(_health_target)]
OptionalHost = Annotated[str, AfterValidator(_optional_host)]
HeaderFields = Annotated[dict[str, str], AfterValidator(_header_fields)]
StatusRanges = Annotated[str, BeforeValidator(checked_status_ranges)]
BodyPattern = Annotated[str, AfterValidator(_body_pattern)]
FileName = Annotated[str, AfterValidator(_file_name)]
Balance = Annotated[str, AfterValidator(_balance)]
HashBound = Annotated[int, Field(strict=True), AfterValidator(_hash_bound)]
CookieName = Annotated[str, AfterValidator(_cookie_name)]
StickySecret = Annotated[str, AfterValidator(_sticky_secret)]
