"""`[[routes]]`: which requests a route takes, and what becomes of them."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lbg.config.fields import Count, Flag, Network, OneOrList, RouteHost, RoutePath
from lbg.config.filters import Filters
from lbg.config.log_fields import RouteShare
from lbg.config.problems import shown
from lbg.config.route_fields import (
    FieldName,
    KeySpec,
    MediaType,
    Once,
    PageFile,
    Regex,
    RouteMethods,
    RouteName,
    SplitWeight,
    Status,
    StatusClass,
    StripPrefix,
)
from lbg.config.section import Section
from lbg.config.template_fields import AnswerText, Location, RequestField


class ConditionConfig(Section):
    """What a header field or a query parameter must be: a text, one of several, there, absent, or a pattern.

    In a file: `"text"`, `["one", "two"]`, `true`, `false` or `{ regex = "…" }`, which may be found anywhere.
    """

    values: Annotated[tuple[str, ...], Once] = ()
    regex: Regex = ""
    present: Flag = True

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        match value:
            case bool():
                return {"present": value}
            case str():
                return {"values": (value,)}
            case list() if value and all(isinstance(one, str) for one in value):
                return {"values": tuple(value)}
            case dict() | ConditionConfig():
                return value
        expected = "a text, a list of texts, true, false or { regex = … }"
        raise ValueError(f"expected {expected}, got {shown(value)}")


class SplitConfig(Section):
    """A pool and its share of the requests; weight 0 takes none."""

    pool: str
    weight: SplitWeight


class RedirectConfig(Section):
    """`redirect = "https://{host}{uri}"`, or a table with its status."""

    to: Location
    status: Literal[301, 302, 303, 307, 308] = 302

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str) else value


class RespondConfig(Section):
    """A fixed answer: `body` as a text with variables, or the content of `file` as it is."""

    status: Status = 200
    body: AnswerText = ""
    file: PageFile | None = None
    content_type: MediaType = "text/plain; charset=utf-8"
    headers: dict[FieldName, RequestField] = {}


class MaintenanceConfig(Section):
    """503 for all but those who come from `allow`; `true` stands for a table without keys."""

    page: PageFile | None = None
    retry_after: Count = 0
    """Seconds for Retry-After; 0 sends none."""
    allow: Annotated[tuple[Network, ...], Once, OneOrList] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {} if value is True else value


class RewriteConfig(Section):
    r"""The path that goes upstream: `prefix` in place of the route's own, or `regex` replaced by `to`.

    `to` refers to groups as `\1` or `\g<name>`. Matching is on the normalised path.
    """

    prefix: RoutePath | None = None
    regex: Regex = ""
    to: str = ""


class RouteConfig(Section):
    """One route: its conditions, one thing that becomes of the request, and the filters on the way there."""

    name: RouteName = ""
    host: RouteHost | None = None
    path: RoutePath | None = None
    """A prefix that ends on a segment border."""
    path_exact: RoutePath | None = None
    path_regex: Regex = ""
    """For the whole path."""
    methods: RouteMethods = ()
    headers: dict[FieldName, ConditionConfig] = {}
    query: dict[str, ConditionConfig] = {}
    pool: str | None = None
    split: Annotated[tuple[SplitConfig, ...], Field(max_length=100)] = ()
    split_key: KeySpec | None = None
    """Equal keys go to the same pool; without it, chance decides."""
    redirect: RedirectConfig | None = None
    respond: RespondConfig | None = None
    maintenance: MaintenanceConfig | None = None
    strip_prefix: StripPrefix = ""
    """What the path loses on its way upstream; without the slash at its end."""
    rewrite: RewriteConfig | None = None
    filters: Filters = ()
    """The first is the outermost."""
    error_pages: dict[StatusClass, PageFile] = {}
    """Files for the answers lbg makes itself, by status."""
    access_log: RouteShare | None = None
    """All requests, none, or a share besides those of `log.access_always`; None is what `[log]` says."""

    @field_validator("maintenance", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return None if value is False else value
