"""Metrics as text: what a parser of the formats reads in it, and the limits of the formats."""

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from lbg.control.metrics_text import Family, bound_names, encode, single


def read(*families: Family, openmetrics: bool) -> list[Metric]:
    text = encode(families, openmetrics=openmetrics).decode()
    return list((parse_openmetrics if openmetrics else parse)(text))


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_counter_is_read_as_one(openmetrics: bool) -> None:
    family = Family("counter", "lbg_a_total", "What a is.", ["x", "y"])
    family.add(["1", "2"], 7)
    family.add(["3", ""], 2**53)
    (metric,) = read(family, openmetrics=openmetrics)
    assert (metric.name, metric.type, metric.documentation) == ("lbg_a", "counter", "What a is.")
    assert [(each.name, each.labels, each.value) for each in metric.samples] == [
        ("lbg_a_total", {"x": "1", "y": "2"}, 7),
        ("lbg_a_total", {"x": "3", "y": ""}, 2**53),
    ]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_buckets_of_a_histogram_are_cumulative(openmetrics: bool) -> None:
    family = Family("histogram", "lbg_b_seconds", "What b is.", ["x"])
    family.add_histogram(["1"], bound_names((0.5, 1.0)), [3, 0, 4], 9.25)
    (metric,) = read(family, openmetrics=openmetrics)
    assert metric.type == "histogram"
    assert [(each.name, each.labels.get("le"), each.value) for each in metric.samples] == [
        ("lbg_b_seconds_bucket", "0.5", 3),
        ("lbg_b_seconds_bucket", "1.0", 3),
        ("lbg_b_seconds_bucket", "+Inf", 7),
        ("lbg_b_seconds_count", None, 7),
        ("lbg_b_seconds_sum", None, 9.25),
    ]
    assert all(each.labels["x"] == "1" for each in metric.samples)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_metric_without_labels_has_no_braces(openmetrics: bool) -> None:
    family = single("gauge", "lbg_c", "What c is.", 1e-7)
    assert b"\nlbg_c 1e-07\n" in encode([family], openmetrics=openmetrics)
    assert read(family, openmetrics=openmetrics)[0].samples[0].value == 1e-7


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize("value", ['a"b', "a\\", "a\nb", '\\n"\n\\', 'x="y",z="', "ä{}", ""])
def test_any_value_of_a_label_comes_back(value: str, openmetrics: bool) -> None:
    family = Family("gauge", "lbg_d", "What d is.", ["x"])
    family.add([value], 1)
    assert read(family, openmetrics=openmetrics)[0].samples[0].labels == {"x": value}


def test_only_openmetrics_says_that_it_ends() -> None:
    assert encode([], openmetrics=True) == b"# EOF\n"
    assert encode([], openmetrics=False) == b""


def test_a_label_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Family("gauge", "lbg_e", "What e is.", ["x", "y"]).add(["1"], 1)
