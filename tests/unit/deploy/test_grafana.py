"""deploy/grafana/lbg.json: that Grafana can show it, and that people can read it."""

import itertools
import re
from typing import Any

from tests.support.dashboard import dashboard, panels, queries, variables

COLUMNS = 24


def _place(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    grid = panel["gridPos"]
    return grid["x"], grid["y"], grid["x"] + grid["w"], grid["y"] + grid["h"]


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    left, top, right, bottom = _place(one)
    its_left, its_top, its_right, its_bottom = _place(other)
    return left < its_right and its_left < right and top < its_bottom and its_top < bottom


def test_no_two_panels_overlap() -> None:
    pairs = itertools.combinations(dashboard()["panels"], 2)
    assert [(one["title"], other["title"]) for one, other in pairs if _overlap(one, other)] == []


def test_all_panels_are_within_the_columns() -> None:
    for panel in dashboard()["panels"]:
        left, top, right, bottom = _place(panel)
        assert 0 <= left < right <= COLUMNS, panel["title"]
        assert 0 <= top < bottom, panel["title"]


def test_no_row_of_panels_has_a_hole() -> None:
    for top in {panel["gridPos"]["y"] for panel in dashboard()["panels"]}:
        row = [panel["gridPos"] for panel in dashboard()["panels"] if panel["gridPos"]["y"] == top]
        assert sum(grid["w"] for grid in row) == COLUMNS
        assert len({grid["h"] for grid in row}) == 1


def test_no_id_is_there_twice() -> None:
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters)), panel["title"]


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        axis = panel["options"].get("yAxis", {}).get("unit")
        assert axis or panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["legendFormat"], panel["title"]


def test_legends_name_labels_that_the_query_leaves() -> None:
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


def test_everything_asks_the_data_source_that_was_chosen() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    (chosen,) = (each for each in dashboard()["templating"]["list"] if each["type"] == "datasource")
    assert (chosen["name"], chosen["query"]) == ("datasource", "prometheus")
    for panel in panels():
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])


def test_what_can_be_chosen_is_there() -> None:
    assert [name for name, _, _ in variables()] == ["instance", "route", "pool", "endpoint"]
    used = set(re.findall(r'"\$(\w+)"', str(panels())))
    assert used == {"instance", "route", "pool", "endpoint"}


def test_no_query_has_a_variable_left() -> None:
    assert [expression for _, expression in queries() if "$" in expression] == []
