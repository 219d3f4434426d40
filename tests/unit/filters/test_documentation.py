"""What docs/filters.md shows can be written so."""

import re
import tomllib
from pathlib import Path

import pytest

from lbg.config.filters import BUILT_IN

PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if text.startswith("[[")]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("example", EXAMPLES, ids=[text.splitlines()[1] for text in EXAMPLES])
def test_an_example_is_a_valid_filter(example: str) -> None:
    whole = example if "[[routes]]" in example else f"[[routes]]\n{example}"
    for route in tomllib.loads(whole)["routes"]:
        for table in route["filters"]:
            BUILT_IN[table["use"]].model_validate(table)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_filter_is_in_the_table(name: str) -> None:
    assert f"| [`{name}`](#{name}) |" in PAGE
