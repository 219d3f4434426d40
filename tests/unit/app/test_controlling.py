"""The paths of the admin listener, all of them."""

import re
from typing import Any

import pytest
from flask import Flask

from lbg.app.controlling import Controlling
from lbg.app.pools import Pools
from lbg.app.shared import Shared
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.state.document import Published
from tests.unit.control.control_app import Answer

VARIABLE = re.compile(r"<[^>]*>")


def answerer() -> Any:
    """Return what answers in a process that does everything and changes nothing."""
    config = Config.model_validate({"pools": {"web": {"endpoints": ["http://a:1"]}}})
    published = Published(Snapshot.of(config, 1, "lbg.toml"), {"web/a:1": 0}, {"web": 0})
    shared = Shared.private()
    return Controlling(published, shared, Pools(published, shared, serves=False)).answer


def paths() -> list[str]:
    """Return a path for each rule that there is."""
    found: list[Flask] = []
    answer = answerer()
    answer.parts.append(found.append)
    Answer(answer, "/health/live")
    return sorted({VARIABLE.sub("x", rule.rule) for rule in found[0].url_map.iter_rules()})


@pytest.mark.parametrize("path", paths())
def test_no_path_is_answered_with_a_redirect(path: str) -> None:
    answer = answerer()
    for spoilt in (path.replace("/", "//"), f"{path}/", f"{path}//", f"//a.example{path}"):
        found = Answer(answer, spoilt, REQUEST_METHOD="OPTIONS", HTTP_HOST="localhost")
        assert found.status in {200, 404}, spoilt
        assert "Location" not in found.headers


@pytest.mark.parametrize("path", ["/api/v1/reload", "/api/v1/pools/web/endpoints"])
def test_a_process_that_changes_nothing_has_the_paths_for_it(path: str) -> None:
    assert Answer(answerer(), path, REQUEST_METHOD="OPTIONS", HTTP_HOST="localhost").status == 200
