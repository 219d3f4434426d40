"""What the tests of this package share."""

from typing import Any

import pytest

from lbg.health.probe import ProbeResult
from lbg.state.cells import Cells
from tests.unit.health.control import Control, Make, pool_of, url
from tests.unit.health.watching import PASSED, ScriptedProbe


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Give a maker of control workers over one pool; each endpoint's probe gives its results in turn."""

    def made(*results: list[ProbeResult | Exception], cells: Cells | None = None, **pool: Any) -> Control:
        probes = {url(slot): ScriptedProbe(*script) for slot, script in enumerate(results)}
        return Control(monkeypatch, {"api": pool_of(len(results), **pool)}, probes, cells)

    return made


@pytest.fixture
def control(make: Make) -> Control:
    """Give a control worker over two endpoints that pass every check, after the first round."""
    control = make([PASSED], [PASSED])
    control.begin()
    control.turn()
    control.turn()
    return control
