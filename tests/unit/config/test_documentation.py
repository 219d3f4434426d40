"""The example in docs/configuration.md names every key, with its default."""

import re
import tomllib
from pathlib import Path

import pytest

from lbg.config.schema import Config

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
EXAMPLE = tomllib.loads(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
DEFAULTS = Config.model_validate({"pools": {"api": {"endpoints": ["http://a"]}}}).model_dump(mode="json")


def tables():
    yield from ((name, EXAMPLE[name], DEFAULTS[name]) for name in ("server", "admin", "log"))
    pool, defaults = dict(EXAMPLE["pools"]["api"]), dict(DEFAULTS["pools"]["api"])
    del pool["endpoints"], defaults["endpoints"]
    for name in [name for name, value in defaults.items() if isinstance(value, dict)]:
        yield f"pools.api.{name}", pool.pop(name), defaults.pop(name)
    yield "pools.api", pool, defaults


@pytest.mark.parametrize(("name", "documented", "defaults"), list(tables()))
def test_each_key_of_a_table_is_documented_with_its_default(name, documented, defaults):
    assert documented == defaults


def test_the_example_can_be_used():
    assert len(Config.model_validate(EXAMPLE).pools["api"].endpoints) == 4
