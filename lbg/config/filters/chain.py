"""The filters of a route: which section a table with `use` is."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from lbg.config.filters.access import AccessConfig
from lbg.config.filters.auth import BasicAuthConfig, ForwardAuthConfig
from lbg.config.filters.compress import CompressConfig
from lbg.config.filters.cors import CorsConfig
from lbg.config.filters.fields import HeadersConfig, QueryConfig, RequestIdConfig
from lbg.config.filters.limits import BodyLimitConfig, ConcurrencyConfig, RateLimitConfig
from lbg.config.filters.mirror import MirrorConfig
from lbg.config.hints import did_you_mean
from lbg.config.problems import shown
from lbg.config.route_fields import reference
from lbg.config.section import Section

BUILT_IN: Final[dict[str, type[Section]]] = {
    "access": AccessConfig,
    "basic_auth": BasicAuthConfig,
    "body_limit": BodyLimitConfig,
    "compress": CompressConfig,
    "concurrency": ConcurrencyConfig,
    "cors": CorsConfig,
    "forward_auth": ForwardAuthConfig,
    "headers": HeadersConfig,
    "mirror": MirrorConfig,
    "query": QueryConfig,
    "rate_limit": RateLimitConfig,
    "request_id": RequestIdConfig,
}
_USER = "user"


def _use(value: str) -> str:
    if ":" in value:
        return reference(value)
    hint = did_you_mean(value, BUILT_IN) or ', expected a name or "package.module:factory"'
    raise ValueError(f"there is no filter {shown(value)}{hint}")


class UserFilterConfig(Section):
    """WSGI middleware of the user: `use` is `package.module:factory`, all other keys are its arguments."""

    model_config = ConfigDict(extra="allow")

    use: Annotated[str, AfterValidator(_use)]

    @property
    def options(self) -> dict[str, Any]:
        """The arguments for the factory."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Leave the arguments out: one of them may be a secret."""
        return [("use", self.use)]


def model_of(value: object) -> type[Section]:
    """Return the section that a table, or one that was read already, is meant for."""
    return BUILT_IN.get(_tag(value), UserFilterConfig)


def _tag(value: object) -> str:
    use = value.get("use") if isinstance(value, Mapping) else getattr(value, "use", None)
    return use if isinstance(use, str) and use in BUILT_IN else _USER


def _table(value: object) -> object:
    if isinstance(value, str):
        return {"use": value}
    if not isinstance(value, dict | Section):
        message = f'expected a table with use = "…" or the name of a filter, got {shown(value)}'
        raise ValueError(message)  # noqa: TRY004  pydantic collects only this type
    return value


FilterConfig = Annotated[
    Annotated[AccessConfig, Tag("access")]
    | Annotated[BasicAuthConfig, Tag("basic_auth")]
    | Annotated[BodyLimitConfig, Tag("body_limit")]
    | Annotated[CompressConfig, Tag("compress")]
    | Annotated[ConcurrencyConfig, Tag("concurrency")]
    | Annotated[CorsConfig, Tag("cors")]
    | Annotated[ForwardAuthConfig, Tag("forward_auth")]
    | Annotated[HeadersConfig, Tag("headers")]
    | Annotated[MirrorConfig, Tag("mirror")]
    | Annotated[QueryConfig, Tag("query")]
    | Annotated[RateLimitConfig, Tag("rate_limit")]
    | Annotated[RequestIdConfig, Tag("request_id")]
    | Annotated[UserFilterConfig, Tag(_USER)],
    Discriminator(_tag),
    BeforeValidator(_table),
]
Filters = Annotated[tuple[FilterConfig, ...], Field(max_length=50)]
