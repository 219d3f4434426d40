"""`cors`: what pages of other origins may do."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lbg.config.fields import Count, Flag, OneOrList
from lbg.config.problems import shown
from lbg.config.route_fields import FieldNames, Once, RouteMethods
from lbg.config.section import Section
from lbg.net.address import parse_host

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<wildcard>\*\.)?(?P<host>[^/:\[\]]+|\[[^/\]]+\])(?P<port>:\d{1,5})?"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(value: str) -> str:
    """Return an origin as browsers write it: in lower case and without the default port."""
    if value == "*":
        return value
    match = _ORIGIN.fullmatch(value.lower())
    try:
        if not match or int((match["port"] or ":1")[1:]) > 65535:
            raise ValueError
        host = parse_host(match["host"])
    except ValueError:
        expected = '"https://example.com", "https://*.example.com" or "*"'
        raise ValueError(f"expected an origin such as {expected}, got {shown(value)}") from None
    port = match["port"] or ""
    scheme, wildcard = match["scheme"], match["wildcard"] or ""
    shown_host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{wildcard}{shown_host}{'' if port == _DEFAULT_PORTS[scheme] else port}"


class CorsConfig(Section):
    """`cors`: answers preflight requests and tells browsers who may read responses (Fetch standard)."""

    use: Literal["cors"]
    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], Field(min_length=1), Once, OneOrList
    ]
    """`https://example.com`, `https://*.example.com` or `*`."""
    methods: RouteMethods = ("GET", "HEAD", "POST")
    headers: FieldNames = ()
    expose: FieldNames = ()
    credentials: Flag = False
    max_age: Count = 600
