"""How a request ended that did not get the whole answer of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import gevent

from lbg.errors import REASONS, ClientGone, LocalReply, StreamTimeout, UpstreamError
from lbg.hooks.guard import HookFailed

if TYPE_CHECKING:
    from lbg.errors import Reason

_SWITCHED: Final = 101
_INTERNAL: Final = REASONS["internal"]


def ending(environ: dict[str, Any], status: int) -> tuple[int, Reason | None]:
    """Return status and reason; `status` is that of the head that was sent, 0 without one.

    `lbg.fault` of the environ is what the server answered in place of the application, `lbg.cut` why the
    answer was cut.
    """
    if "lbg.fault" in environ:
        fault: LocalReply = environ["lbg.fault"]
        return fault.status, fault.reason
    if "lbg.cut" in environ:
        cause = _cause(environ["lbg.cut"])
        return status or cause.status, cause
    client = environ.get("lbg.client")
    if client is not None and client.taken:
        return _SWITCHED, None
    return _INTERNAL.status, _INTERNAL


def _cause(error: BaseException) -> Reason:
    """Return why a response was cut short."""
    if isinstance(error, LocalReply | UpstreamError):
        return error.reason
    if isinstance(error, HookFailed):
        return REASONS["filter_error"]
    if isinstance(error, gevent.GreenletExit):
        return REASONS["shutdown"]
    if isinstance(error, ClientGone | StreamTimeout | OSError):
        return REASONS["client_gone"]
    return _INTERNAL
