"""The kinds of value a configuration key can have, each with its own check and its own sentence."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator

from lbg.config.problems import shown
from lbg.net.address import Bind, parse_bind, parse_host

_POOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# RFC 9110, 5.6.2.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE = re.compile(r"[!-~]*")
_ROUTE_PATH = re.compile(r"/[!-~]*")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2[eE]){1,2}(?:/|$)")

_YEAR = 31_536_000


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, got {shown(value)}")  # noqa: TRY004  pydantic collects only this type
    return value


def _bind(value: object) -> Bind:
    return value if isinstance(value, Bind) else parse_bind(_string(value))


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _string(value)
    if "%" in text:
        raise ValueError("a network with a zone, such as %eth0, is not supported")
    try:
        network = ip_interface(text).network
    except ValueError:
        raise ValueError(f'expected a network such as "10.0.0.0/8", got {shown(text)}') from None
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f"{shown(value)} has bits set after its prefix, did you mean {shown(str(network))}?"
        ) from None


def _pool_name(value: str) -> str:
    if not _POOL_NAME.fullmatch(value):
        raise ValueError('expected a pool name of 1 to 64 letters, digits, "-" and "_"')
    return value


def _pseudonym(value: str) -> str:
    if not TOKEN.fullmatch(value):
        raise ValueError(f'expected a name without spaces, such as "lbg", got {shown(value)}')
    return value


def _admin_token(value: str) -> str:
    # It travels in a header field; what it is stays out of messages and logs.
    if not _VISIBLE.fullmatch(value):
        raise ValueError("expected visible ASCII characters without spaces")
    return value


def _route_host(value: str) -> str:
    if value == "*":
        raise ValueError("leave host out to match every host")
    wildcard, name = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    if ":" in name and (wildcard or not name.endswith("]")):
        raise ValueError(f"expected a host without a port, got {shown(value)}")
    host = parse_host(name).removesuffix(".")
    return f"[{host}]" if ":" in host else wildcard + host


def route_path(value: str) -> str:
    """Return `value` if routing can compare it with the path of a request. Raises ValueError."""
    if not _ROUTE_PATH.fullmatch(value) or "?" in value or "#" in value:
        raise ValueError(f'expected a path that starts with "/", without query or spaces, got {shown(value)}')
    if _DOT_SEGMENT.search(value):
        raise ValueError(f"a path with dot segments can never match, got {shown(value)}")
    if ";" in value:
        raise ValueError(f'routing does not see what follows a ";", got {shown(value)}')
    return value


def _one_or_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _distinct(binds: tuple[Bind, ...]) -> tuple[Bind, ...]:
    fixed = [bind for bind in binds if bind.family == "unix" or bind.port]
    for index, bind in enumerate(fixed):
        if bind in fixed[:index]:
            raise ValueError(f"{shown(bind.text)} is listed twice")
    return binds


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_AS_TEXT = PlainSerializer(str, return_type=str, when_used="json")

Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
PositiveCount = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
# Twice as many live at once during a reload, each in a slot of the cell file (lbg.state.layout).
MAX_WORKERS = 62
Workers = Annotated[int, Field(strict=True, ge=0, le=MAX_WORKERS)]
ByteCount = Annotated[int, Field(strict=True, ge=0, le=2**62)]
HeaderBytes = Annotated[int, Field(strict=True, ge=1024, le=2**20)]
Seconds = Annotated[float, Field(strict=True, ge=0.001, le=_YEAR, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(strict=True, ge=0, le=_YEAR, allow_inf_nan=False)]

OneOrList = BeforeValidator(_one_or_list)

Listener = Annotated[Bind, PlainValidator(_bind), _AS_TEXT]
Listeners = Annotated[tuple[Listener, ...], Field(min_length=1), AfterValidator(_distinct), OneOrList]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), _AS_TEXT]
PoolName = Annotated[str, AfterValidator(_pool_name)]
Pseudonym = Annotated[str, AfterValidator(_pseudonym)]
AdminToken = Annotated[str, AfterValidator(_admin_token)]
RouteHost = Annotated[str, AfterValidator(_route_host)]
RoutePath = Annotated[str, AfterValidator(route_path)]
AnyCase = BeforeValidator(_lower)
