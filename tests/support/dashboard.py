"""The dashboard for Grafana, as it is in the tree."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.lbg import ROOT

PATH = ROOT / "deploy" / "grafana" / "lbg.json"

_TIMES = {"__rate_interval": "10s", "__range": "1m"}
_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


def dashboard() -> dict[str, Any]:
    """Return the document."""
    document: dict[str, Any] = json.loads(PATH.read_text())
    return document


def panels() -> list[dict[str, Any]]:
    """Return all panels but the rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield each expression as it is sent, behind the title of its panel or the name of what else asks."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], _filled(target["expr"])
    for annotation in dashboard()["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], _filled(annotation["expr"])
    for name, selector, _ in variables():
        yield f"${name}", selector


def variables() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each variable, the series that have its values, and the label that is one."""
    for variable in dashboard()["templating"]["list"]:
        found = _VALUES.fullmatch(variable["definition"] if variable["type"] == "query" else "")
        if found:
            yield variable["name"], _filled(found[1]), found[2]


def _filled(expression: str) -> str:
    """Return an expression with the values that variables have when all is shown."""
    return re.sub(r"\$(\w+)", lambda found: _TIMES.get(found[1], ".*"), expression)
