"""`rate_limit`, `concurrency` and `body_limit`: how much a client may ask for."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from lbg.config.fields import Flag, Seconds
from lbg.config.filters.access import Networks
from lbg.config.problems import shown
from lbg.config.route_fields import KeySpec, RouteName
from lbg.config.section import Section

_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})?(s|m|h|d)")
_SECOND = 1_000_000_000  # ns
_UNITS: Final = {"s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86_400 * _SECOND}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in each period of `period_ns`."""

    count: int
    period_ns: int


def parse_rate(text: str) -> Limit:
    """Return what `100/s`, `5/m` or `100/10s` says. Raises ValueError with a sentence."""
    match = _RATE.fullmatch(text)
    if not match:
        raise ValueError(f'expected a rate such as "100/s", "30/m" or "5/10s", got {shown(text)}')
    return Limit(int(match[1]), int(match[2] or 1) * _UNITS[match[3]])


def _rate(value: str) -> str:
    parse_rate(value)
    return value


class RateLimitConfig(Section):
    """`rate_limit`: GCRA, exact over all workers; limits with the same `name` are one."""

    use: Literal["rate_limit"]
    rate: Annotated[str, AfterValidator(_rate)]
    burst: Annotated[int, Field(strict=True, ge=0, le=10**9)] | None = None
    """What may come at once beyond the first request; one second's worth when not given."""
    key: KeySpec = "client_ip"
    name: RouteName = ""
    # The table of bans counts no further.
    ban_after: Annotated[int, Field(strict=True, ge=0, le=65_534)] = 0
    """Rejections within a minute that lead to a ban; 0 never bans."""
    ban: Seconds = 60.0
    """The first time; doubling to an hour."""
    allow: Networks = ()
    """Clients that are not limited."""
    headers: Literal["draft", "legacy", "off"] = "draft"
    dry_run: Flag = False
    """Count and log only."""

    @property
    def limit(self) -> Limit:
        """The rate as numbers."""
        return parse_rate(self.rate)


class ConcurrencyConfig(Section):
    """`concurrency`: requests in flight at once for each key, over all workers."""

    use: Literal["concurrency"]
    limit: Annotated[int, Field(strict=True, ge=1, le=60_000)]
    key: KeySpec = "client_ip"
    name: RouteName = ""


class BodyLimitConfig(Section):
    """`body_limit`: 413 for a larger request body, by its length or once it is passed."""

    use: Literal["body_limit"]
    limit: Annotated[int, Field(strict=True, ge=1, le=2**62)]
