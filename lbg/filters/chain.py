"""Puts the filters of a route around what answers its requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from lbg.config import filters as config
from lbg.errors import LocalReply
from lbg.filters.access import Access
from lbg.filters.basic_auth import BasicAuth
from lbg.filters.body_limit import BodyLimit
from lbg.filters.compress import Compress
from lbg.filters.concurrency import Concurrency
from lbg.filters.cors import Cors
from lbg.filters.forward_auth import ForwardAuth
from lbg.filters.headers import Headers
from lbg.filters.mirror import Mirror
from lbg.filters.query import Query
from lbg.filters.rate_limit import RateLimit
from lbg.filters.request_id import RequestId
from lbg.filters.user import UserFilter
from lbg.hooks.guard import Guard
from lbg.hooks.reference import HookError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.filters.tools import Environ, StartResponse, Tools

log = logging.getLogger("lbg.filters")

_BUILT_IN: Final[dict[type, type]] = {
    config.AccessConfig: Access,
    config.BasicAuthConfig: BasicAuth,
    config.BodyLimitConfig: BodyLimit,
    config.CompressConfig: Compress,
    config.ConcurrencyConfig: Concurrency,
    config.CorsConfig: Cors,
    config.ForwardAuthConfig: ForwardAuth,
    config.HeadersConfig: Headers,
    config.MirrorConfig: Mirror,
    config.QueryConfig: Query,
    config.RateLimitConfig: RateLimit,
    config.RequestIdConfig: RequestId,
}


def chain_of(
    configs: tuple[config.FilterConfig, ...],
    app: Callable[[Environ, StartResponse], Iterable[bytes]],
    tools_of: Callable[[int], Tools],
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """Return `app` within its filters, the first of them outermost; `tools_of` makes the tools by place.

    What cannot be made, since code of the user fails, answers every request of the route with
    `filter_error`: a filter may be what protects the backend.
    """
    for index in range(len(configs) - 1, -1, -1):
        app = _made(configs[index], app, tools_of(index))
    return app


def _made(
    section: config.FilterConfig,
    app: Callable[[Environ, StartResponse], Iterable[bytes]],
    tools: Tools,
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    try:
        if isinstance(section, config.UserFilterConfig):
            factory = load(section.use)
            return UserFilter(app, Guard(f'filter "{section.use}"'), factory, section.options, tools.reply)
        made: Callable[[Environ, StartResponse], Iterable[bytes]] = _BUILT_IN[type(section)](
            app, section, tools
        )
        return made
    except (HookError, ValueError) as error:
        log.error("filter %s of route %s cannot be used: %s", section.use, tools.route, error)  # noqa: TRY400
        return _Unusable(tools)


class _Unusable:
    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        cause = LocalReply("filter_error", "A filter of this route cannot be used.")
        return self._tools.reply(cause, environ, start_response)
