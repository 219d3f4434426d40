import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.config.load import ConfigError, Loaded, load
from lbg.config.pools import EndpointConfig, HealthConfig, PoolConfig, RetryConfig, TlsConfig
from lbg.config.problems import Origin, key_text, shown
from lbg.config.schema import Config, RouteConfig, ServerConfig
from lbg.config.section import Section
from lbg.config.validate import validate

TABLES = (Config, ServerConfig, PoolConfig, RouteConfig, EndpointConfig, HealthConfig, RetryConfig, TlsConfig)
KEYS = sorted(
    {key for model in TABLES for key in model.model_fields}
    | {"connect", "eject", "size", "token", "level", "api", "web", "[key]", "no such key", ""}
)
keys = st.sampled_from(KEYS) | st.text(max_size=5)
scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.just(16**5000),
    st.floats(),
    st.sampled_from(["", "*", "api", "http://a", "http://b:1", "a:80", "/", "client", "10.0.0.0/8", "json"]),
    st.sampled_from(["unix:/s", "https", "HEAD", "[", "(?\x1b)", "a\r\nb", "200-99", "/no/file", "tcp"]),
    st.text(max_size=8),
    st.just(datetime.date(2026, 1, 1)),
    st.just(datetime.time(1, 2)),
)
leaves = scalars | st.lists(scalars, max_size=3)
tables = st.dictionaries(keys, leaves | st.dictionaries(keys, leaves, max_size=4), max_size=4)
pools = st.fixed_dictionaries(
    {"endpoints": leaves | st.lists(tables, max_size=2)},
    optional=dict.fromkeys(("health", "outlier", "retry", "queue", "tls"), tables),
)
documents = st.dictionaries(
    keys, leaves | tables | st.lists(tables, max_size=3), max_size=5
) | st.fixed_dictionaries(
    {"pools": st.dictionaries(keys, pools | tables, max_size=3)},
    optional={"server": tables, "admin": tables, "log": tables, "routes": st.lists(tables, max_size=3)},
)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except ConfigError as error:
        return error


@given(documents)
def test_any_data_is_a_config_or_problems_in_our_own_words(data):
    result = outcome(validate, data, Origin("lbg.toml", {}, {}))
    if isinstance(result, Config):
        assert result.routes
        assert {route.pool for route in result.routes} <= set(result.pools)
        return
    lines = str(result).split("\n")
    assert len(lines) == len(result.problems) > 0
    assert not any(word in str(result) for word in ("Input should", "pydantic", "Extra inputs"))
    assert all(line.startswith("lbg.toml: ") and line.isprintable() for line in lines)


variables = [
    f"LBG_{section}__{key}".upper()
    for section in ("server", "admin", "log", "x")
    for key in ("bind", "workers", "header_timeout", "forwarded", "trusted_proxies", "token", "level", "y")
]
texts = st.sampled_from(["http://a", "1", "1e999", "[]", "[[1]]", "{}", '["a:1"]', "true"]) | st.text(
    max_size=12
)


@given(st.dictionaries(st.sampled_from(["LBG_CONFIG", "LBG_ENDPOINTS", *variables]), texts))
def test_any_environment_is_a_config_or_problems(environ):
    result = outcome(load, environ, Path("/nonexistent"))
    assert isinstance(result, Loaded) or result.problems


def models_in(model):
    yield model
    for field in model.model_fields.values():
        arguments = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for argument in arguments:
            if isinstance(argument, type) and issubclass(argument, Section):
                yield from models_in(argument)


@pytest.mark.parametrize("model", list(models_in(Config)))
def test_every_table_refuses_unknown_keys_and_is_frozen(model):
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]


def test_a_path_is_written_as_in_toml():
    assert key_text(("pools", "a b", "endpoints", 1, "url")) == 'pools."a b".endpoints[1].url'
    assert key_text(("é", "", "a-b_c")) == '"\\u00e9"."".a-b_c'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        ("a\n", '"a\\n"'),
        (1.5, "1.5"),
        (2**70, "a number too large"),
        ([1], "a list"),
        ({}, "a table"),
        (None, "null"),
        (datetime.date(2026, 1, 1), "a date or time"),
    ],
)
def test_a_value_is_shown_on_one_line(value, text):
    assert shown(value) == text
