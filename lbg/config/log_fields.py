"""The kinds of value that only the access log has, each with its own check and its own sentence."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from lbg.config.pool_fields import checked_status_ranges, status_ranges
from lbg.config.problems import shown


def _log_file(value: str) -> str:
    if not value:
        return value
    # gunicorn's `chdir` and a daemon's start decide what a relative name means.
    if not value.startswith("/") or not value.isprintable() or value.endswith("/"):
        raise ValueError(
            f'expected an absolute file name, such as "/var/log/lbg/access.log", got {shown(value)}'
        )
    return value


def _statuses(value: object) -> str:
    return "" if value == "" else checked_status_ranges(value)


def _route_share(value: object) -> bool | float:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"expected true, false or a share from 0 to 1, got {shown(value)}")


def logged_statuses(text: str) -> frozenset[int]:
    """Return the statuses that a value of `access_always` names, none for an empty one."""
    return frozenset(status for part in status_ranges(text) for status in part) if text else frozenset()


LogFile = Annotated[str, AfterValidator(_log_file)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Statuses = Annotated[str, BeforeValidator(_statuses)]
RouteShare = Annotated[bool | float, PlainValidator(_route_share)]
