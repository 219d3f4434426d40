import datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.config.filters import BUILT_IN, UserFilterConfig
from lbg.config.load import ConfigError, Loaded, load
from lbg.config.pools import EndpointConfig, HealthConfig, PoolConfig, RetryConfig, TlsConfig
from lbg.config.problems import Origin, key_text, shown
from lbg.config.routes import RouteConfig
from lbg.config.schema import Config, ServerConfig
from lbg.config.section import Section
from lbg.config.snapshot import Snapshot, from_document, to_document
from lbg.config.validate import validate

TABLES = (Config, ServerConfig, PoolConfig, EndpointConfig, HealthConfig, RetryConfig, TlsConfig)
KEYS = sorted(
    {key for model in TABLES for key in model.model_fields}
    | {"connect", "eject", "size", "token", "level", "api", "web", "[key]", "no such key", ""}
)
keys = st.sampled_from(KEYS) | st.text(max_size=5)
scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.builds(pow, st.just(16), st.just(5000)),
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
texts = ["GET", "/a", "/a;b", "X-A", "x-a", "Host", "(?P<a>.)", "\\1", "{host}", "{match:a}", "{x", "{\x9b}"]
names = [
    "header:X",
    "m:f",
    "100/s",
    "*",
    "https://a",
    "text/*",
    "deny",
    "5xx",
    "/",
    "/dev/null",
    "Connection",
]
values = st.sampled_from([*texts, *names, 0, 1, 404, 0.5, True, False, 10**6])
below = st.recursive(
    values | scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["values", "regex", "to", "status", "file", "body", "headers", "set", "add", "remove"]
            )
            | st.sampled_from(["pool", "weight", "prefix", "X-A", "x-a", "502", "allow", "page"])
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


def filters_of(use):
    known = BUILT_IN[use].model_fields if use in BUILT_IN else {"option": None, "an option": None}
    names = st.sampled_from(sorted(set(known) - {"use"})) | st.text(max_size=5)
    return st.dictionaries(names, below, max_size=4).map(lambda table: table | {"use": use})


filters = st.sampled_from([*BUILT_IN, "m:f", "acces", 3]).flatmap(filters_of) | below
routes = st.dictionaries(
    st.sampled_from(sorted(RouteConfig.model_fields)) | st.text(max_size=5), below, max_size=4
) | st.fixed_dictionaries(
    {"pool": st.just("api"), "filters": st.lists(filters, max_size=3)}, optional={"path_regex": below}
)
documents = st.dictionaries(
    keys, leaves | tables | st.lists(tables, max_size=3), max_size=5
) | st.fixed_dictionaries(
    {"pools": st.dictionaries(keys, pools | tables, max_size=3)},
    optional={"server": tables, "admin": tables, "log": tables, "routes": st.lists(routes, max_size=3)},
)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except ConfigError as error:
        return error


ROUTED = st.fixed_dictionaries(
    {"pools": st.just({"api": {"endpoints": ["http://a"]}}), "routes": st.lists(routes, max_size=2)}
)


@given(documents | ROUTED)
def test_any_data_is_a_config_or_problems_in_our_own_words(data):
    result = outcome(validate, data, Origin("lbg.toml", {}, {}))
    if isinstance(result, Config):
        snapshot = Snapshot.of(result, 1, "lbg.toml")
        assert from_document(to_document(snapshot)) == snapshot
        assert result.routes
        assert {route.pool for route in result.routes} - {None} <= set(result.pools)
        assert all(
            any((one.pool, one.split, one.redirect, one.respond, one.maintenance)) for one in result.routes
        )
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
variable_texts = st.sampled_from(
    ["http://a", "1", "1e999", "[]", "[[1]]", "{}", '["a:1"]', "true"]
) | st.text(max_size=12)


@given(st.dictionaries(st.sampled_from(["LBG_CONFIG", "LBG_ENDPOINTS", *variables]), variable_texts))
def test_any_environment_is_a_config_or_problems(environ):
    result = outcome(load, environ, Path("/nonexistent"))
    assert isinstance(result, Loaded) or result.problems


def models_in(model):
    if isinstance(model, type) and issubclass(model, Section):
        yield model
        for field in model.model_fields.values():
            yield from models_in(field.annotation)
    for argument in get_args(model):
        yield from models_in(argument)


MODELS = set(models_in(Config)) - {UserFilterConfig}


def test_the_tables_of_filters_are_among_all_tables():
    assert set(BUILT_IN.values()) < MODELS


@pytest.mark.parametrize("model", sorted(MODELS, key=str))
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
