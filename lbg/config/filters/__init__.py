"""`filters = [{ use = "…" }]`: one section for each filter, and one for filters of the user."""

from lbg.config.filters.access import AccessConfig
from lbg.config.filters.auth import BasicAuthConfig, ForwardAuthConfig
from lbg.config.filters.chain import BUILT_IN, FilterConfig, Filters, UserFilterConfig, model_of
from lbg.config.filters.compress import CompressConfig
from lbg.config.filters.cors import CorsConfig
from lbg.config.filters.fields import (
    HeadersConfig,
    QueryConfig,
    RequestFieldsConfig,
    RequestIdConfig,
    ResponseFieldsConfig,
)
from lbg.config.filters.limits import BodyLimitConfig, ConcurrencyConfig, Limit, RateLimitConfig, parse_rate
from lbg.config.filters.mirror import MirrorConfig

__all__ = [
    "BUILT_IN",
    "AccessConfig",
    "BasicAuthConfig",
    "BodyLimitConfig",
    "CompressConfig",
    "ConcurrencyConfig",
    "CorsConfig",
    "FilterConfig",
    "Filters",
    "ForwardAuthConfig",
    "HeadersConfig",
    "Limit",
    "MirrorConfig",
    "QueryConfig",
    "RateLimitConfig",
    "RequestFieldsConfig",
    "RequestIdConfig",
    "ResponseFieldsConfig",
    "UserFilterConfig",
    "model_of",
    "parse_rate",
]
