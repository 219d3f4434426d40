"""What filters and routes are after reading: short forms written out, texts in one form."""

import pytest
from pydantic import TypeAdapter, ValidationError

from lbg.config.filters import (
    BUILT_IN,
    BasicAuthConfig,
    CompressConfig,
    CorsConfig,
    Filters,
    Limit,
    RateLimitConfig,
    UserFilterConfig,
    model_of,
    parse_rate,
)
from lbg.config.routes import ConditionConfig, MaintenanceConfig, RouteConfig

SECOND = 1_000_000_000
FILTERS = TypeAdapter(Filters)
HASH = "scrypt:32768:8:1$c2FsdHNhbHQ$" + "0123456789abcdef" * 8


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("100/s", Limit(100, SECOND)),
        ("1/m", Limit(1, 60 * SECOND)),
        ("5/10s", Limit(5, 10 * SECOND)),
        ("7/2h", Limit(7, 7200 * SECOND)),
        ("999999999/99999d", Limit(999_999_999, 99_999 * 86_400 * SECOND)),
    ],
)
def test_a_rate_is_a_count_and_a_period(text, limit):
    assert parse_rate(text) == RateLimitConfig(use="rate_limit", rate=text).limit == limit


@pytest.mark.parametrize(
    "text", ["", "s", "100", "100/", "/s", "0/s", "01/s", "1/0s", "1/w", "1.5/s", "1/s\n", "-1/s"]
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="expected a rate such as"):
        parse_rate(text)


@pytest.mark.parametrize("use", [use for use in BUILT_IN if use not in {"rate_limit", "concurrency", "cors"}])
def test_a_table_becomes_the_section_of_its_filter(use):
    required = {"pool": "api", "limit": 1}
    table = {key: required[key] for key in BUILT_IN[use].model_fields if key in required}
    (read,) = FILTERS.validate_python([{"use": use, **table}])
    assert type(read) is BUILT_IN[use] is model_of(read)


def test_a_name_alone_is_a_filter_with_its_defaults():
    (read,) = FILTERS.validate_python(["compress"])
    assert read == CompressConfig(use="compress")


def test_a_reference_is_a_filter_of_the_user_with_its_options():
    (read,) = FILTERS.validate_python([{"use": "shop.filters:tag", "name": "x", "more": {"a": [1]}}])
    assert isinstance(read, UserFilterConfig)
    assert (read.use, read.options) == ("shop.filters:tag", {"name": "x", "more": {"a": [1]}})
    assert model_of(read) is UserFilterConfig


def test_options_and_hashes_are_not_in_the_repr():
    read = RouteConfig.model_validate(
        {
            "pool": "api",
            "filters": [
                {"use": "shop.filters:tag", "token": "hunter2"},
                {"use": "basic_auth", "users": {"alice": HASH}},
            ],
        }
    )
    assert "shop.filters:tag" in repr(read)
    assert "hunter2" not in repr(read)
    assert "scrypt" not in repr(read)
    assert "scrypt" not in str(BasicAuthConfig(use="basic_auth", users={"alice": HASH}))


def test_at_most_fifty_filters_are_read():
    FILTERS.validate_python(["compress"] * 50)
    with pytest.raises(ValidationError):
        FILTERS.validate_python(["compress"] * 51)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("HTTPS://A.Example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://*.A.example:8443", "https://*.a.example:8443"),
        ("http://[0::1]:80", "http://[::1]"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(written, read):
    assert CorsConfig(use="cors", origins=written).origins == (read,)


@pytest.mark.parametrize(
    "origin", ["https://a:65536", "https://a.*", "https://*.*.a", "https://u@a", "null", "a.b"]
)
def test_what_no_browser_sends_is_no_origin(origin):
    with pytest.raises(ValidationError):
        CorsConfig(use="cors", origins=(origin,))


def test_media_types_are_kept_in_lower_case():
    assert CompressConfig(use="compress", types="Text/HTML").types == ("text/html",)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a", ConditionConfig(values=("a",))),
        (["a", "b"], ConditionConfig(values=("a", "b"))),
        (True, ConditionConfig()),
        (False, ConditionConfig(present=False)),
        ({"regex": "^a"}, ConditionConfig(regex="^a")),
        ({"values": ["a"]}, ConditionConfig(values=("a",))),
    ],
)
def test_a_condition_may_be_written_in_short(written, read):
    assert ConditionConfig.model_validate(written) == read


@pytest.mark.parametrize(
    ("written", "read"), [(True, MaintenanceConfig()), ({}, MaintenanceConfig()), (False, None)]
)
def test_maintenance_may_be_written_as_true_or_false(written, read):
    assert RouteConfig.model_validate({"pool": "a", "maintenance": written}).maintenance == read


def test_a_redirect_may_be_written_as_its_target():
    redirect = RouteConfig.model_validate({"redirect": "/new"}).redirect
    assert redirect is not None
    assert (redirect.to, redirect.status) == ("/new", 302)


@pytest.mark.parametrize(
    ("written", "read"), [("/api", "/api"), ("/api/", "/api"), ("/a%20b//", "/a%20b"), ("", "")]
)
def test_a_prefix_to_strip_is_kept_without_the_slash_at_its_end(written, read):
    assert RouteConfig(pool="a", strip_prefix=written).strip_prefix == read


def test_methods_are_kept_in_upper_case_and_one_may_stand_alone():
    assert RouteConfig.model_validate({"methods": "get"}).methods == ("GET",)
