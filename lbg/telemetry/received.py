"""A request as it came: filters change what goes upstream, and put secrets of the operator there."""

from __future__ import annotations

from typing import Any


def as_received(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the environ as it was before the filters of its route, itself where there are none."""
    came: dict[str, Any] = environ.get("lbg.received", environ)
    return came
