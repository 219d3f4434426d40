"""docs/troubleshooting.md has every reason with its status, and the numbers of what is kept."""

import re
from pathlib import Path

from lbg.errors import REASONS
from lbg.state.trace_layout import AREA, SLOT, SLOTS
from lbg.telemetry.trace import KEPT

PAGE = (Path(__file__).parents[3] / "docs" / "troubleshooting.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (\w+) \| .+ \| .+ \|$", PAGE, re.MULTILINE)
CUT = {"read_timeout", "upstream_cut_body"}


def test_every_reason_is_there_with_its_status() -> None:
    assert dict(ROWS) == {
        code: "cut" if code in CUT else str(reason.status) for code, reason in REASONS.items()
    }


def test_what_is_kept_is_told_in_numbers() -> None:
    text = " ".join(PAGE.split())
    failed, refused, served = SLOTS
    assert f"its last {failed} failed requests, its last {refused} refused ones" in text
    assert f"its last {served} slow or sampled ones" in text
    assert f"{AREA / 1e6:.1f} MB per worker, of {SLOT // 1024} KB for a request at most" in text
    assert KEPT.tolerance // KEPT.interval + 1 == 50
    assert 1e9 // KEPT.interval == 5
    assert "50 are kept at once and then 5 a second" in text
