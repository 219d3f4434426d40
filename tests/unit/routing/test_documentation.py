"""docs/routing.md is true: its routes take the requests it says, and `lbg route` prints what it shows."""

import re
from pathlib import Path

import pytest

from lbg.app.application import explainer_of
from lbg.cli.route_text import route_text
from lbg.config.load import load
from lbg.proxy.explain import Explainer

PAGE = (Path(__file__).parents[3] / "docs" / "routing.md").read_text()
(TOML,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(CONSOLE,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(
    r"^\| `(\w+) (http\S+)`(?: with `([^`]+)`)? \| (\w+) \| (?:`([^`]+)`)? ?\|$", PAGE, re.MULTILINE
)


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """Load what the page shows."""
    directory = tmp_path_factory.mktemp("documented")
    (directory / "lbg.toml").write_text(TOML)
    return explainer_of(load({}, directory))


def test_there_are_rows() -> None:
    assert len(ROWS) == 8


@pytest.mark.parametrize(("method", "url", "header", "route", "target"), ROWS)
def test_each_request_takes_the_route_it_is_said_to(
    explainer: Explainer, method: str, url: str, header: str, route: str, target: str
) -> None:
    explained = explainer.explain(method, url, [header] if header else [])
    assert (explained["route"]["name"], explained["target"] or "") == (route, target)


def test_the_output_that_is_shown_is_that_of_the_command(explainer: Explainer) -> None:
    command, _, expected = CONSOLE.partition("\n")
    found = re.fullmatch(r"\$ lbg route (\w+) (\S+) -H '([^']+)' --config lbg.toml", command)
    assert found is not None
    method, url, header = found.groups()
    document = explainer.explain(method, url, [header])
    assert route_text(document) == expected.rstrip("\n")
