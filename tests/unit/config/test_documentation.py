"""docs/configuration.md names every key, with its default, and what it shows can be used."""

import re
import tomllib
from pathlib import Path

import pytest

from lbg.config.filters import BUILT_IN
from lbg.config.load import ConfigError, load
from lbg.config.pools import StickyConfig
from lbg.config.routes import (
    ConditionConfig,
    MaintenanceConfig,
    RedirectConfig,
    RespondConfig,
    RewriteConfig,
    RouteConfig,
    SplitConfig,
)
from lbg.config.schema import Config

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLE, ROUTES, FILTERS = map(tomllib.loads, BLOCKS)
DEFAULTS = Config.model_validate({"pools": {"api": {"endpoints": ["http://a"]}}}).model_dump(mode="json")
POOLS = "".join(f'[pools.{name}]\nendpoints = ["http://a"]\n' for name in ("api", "canary", "auth"))


def tables():
    yield from ((name, EXAMPLE[name], DEFAULTS[name]) for name in ("server", "admin", "log", "tracing"))
    pool, defaults = dict(EXAMPLE["pools"]["api"]), dict(DEFAULTS["pools"]["api"])
    del pool["endpoints"], defaults["endpoints"]
    defaults["sticky"] = StickyConfig(secret=pool["sticky"]["secret"]).model_dump()
    for name in [name for name, value in defaults.items() if isinstance(value, dict)]:
        yield f"pools.api.{name}", pool.pop(name), defaults.pop(name)
    yield "pools.api", pool, defaults


@pytest.mark.parametrize(("name", "documented", "defaults"), list(tables()))
def test_each_key_of_a_table_is_documented_with_its_default(name, documented, defaults):
    assert documented == defaults


def test_the_example_can_be_used():
    assert len(Config.model_validate(EXAMPLE).pools["api"].endpoints) == 4


def below_routes(key):
    """Return the tables that the documented routes have at `key`, which may be written in short."""
    found = [route[key] for route in ROUTES["routes"] if key in route]
    return [table for table in found if isinstance(table, dict)]


def conditions():
    tables = [*below_routes("headers"), *below_routes("query")]
    return [condition for table in tables for condition in table.values() if isinstance(condition, dict)]


@pytest.mark.parametrize(
    ("model", "tables"),
    [
        (RouteConfig, ROUTES["routes"]),
        (ConditionConfig, conditions()),
        (SplitConfig, [part for route in ROUTES["routes"] for part in route.get("split", ())]),
        (RedirectConfig, below_routes("redirect")),
        (RespondConfig, below_routes("respond")),
        (MaintenanceConfig, below_routes("maintenance")),
        (RewriteConfig, below_routes("rewrite")),
    ],
)
def test_each_key_of_a_route_is_documented(model, tables):
    assert {key for table in tables for key in table} == set(model.model_fields)


@pytest.mark.parametrize("use", list(BUILT_IN))
def test_each_key_of_a_filter_is_documented_with_its_default(use):
    fields = BUILT_IN[use].model_fields
    (table,) = [table for table in FILTERS["routes"][0]["filters"] if table["use"] == use]
    assert set(table) == set(fields)
    if use == "headers":
        assert [set(table[side]) for side in ("request", "response")] == [{"set", "add", "remove"}] * 2
        return
    for key, value in table.items():
        default = fields[key].get_default()
        if not fields[key].is_required() and default:
            assert value == (list(default) if isinstance(default, tuple) else default), key


@pytest.mark.parametrize("text", BLOCKS[1:], ids=["routes", "filters"])
def test_the_routes_and_filters_can_be_used(text, tmp_path):
    (tmp_path / "lbg.toml").write_text(POOLS + text)
    with pytest.raises(ConfigError) as caught:
        load({}, tmp_path)
    for problem in caught.value.problems:
        assert problem.message.endswith("cannot be read: no such file or directory")
