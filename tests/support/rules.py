"""The folder `rules` of the corpus: routes, and how clients try to get past them."""

import tomllib
from collections.abc import Iterator
from typing import Any

from tests.support.corpus import Case
from tests.support.corpus_format import CORPUS, parse

FOLDER = CORPUS / "rules"
TOLD = {"use": "headers", "request": {"set": {"X-Route": "{route}"}}}
STATUS = {"refused": 400, "denied": 403, "unauthorized": 401}
"""The answers to what does not come to a backend; any other verdict is the name of a route."""


def routes() -> list[dict[str, Any]]:
    """Return the routes; those that lead to the pool tell it their names."""
    tables: list[dict[str, Any]] = tomllib.loads((FOLDER / "routes.toml").read_text("ascii"))["routes"]
    return [
        {**table, "filters": [*table.get("filters", ()), TOLD]} if "pool" in table else table
        for table in tables
    ]


def rows(name: str) -> list[tuple[str, list[str]]]:
    """Return the lines of a file: a text, and the verdicts that are right."""
    return list(_rows((FOLDER / name).read_text("ascii")))


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        if line and not line.startswith("# "):
            spelling, verdicts = line.rsplit(maxsplit=1)
            yield spelling, verdicts.split("|")


def cases() -> list[Case]:
    """Return the whole messages."""
    return [parse(path) for path in sorted(FOLDER.glob("*.http"))]
