"""What expressions of Prometheus name: as much of the language as rules and dashboards here need."""

import re

_SELECTOR = re.compile(r"\b(lbg_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_RECORDED = re.compile(r"\b\w+:lbg_\w+:\w+\b")


def metrics(expression: str) -> dict[str, set[str]]:
    """Return the metrics of lbg in an expression, with the labels that are asked of each."""
    found: dict[str, set[str]] = {}
    for name, matchers in _SELECTOR.findall(_RECORDED.sub("", expression)):
        found.setdefault(name, set()).update(_MATCHER.findall(matchers))
    return found


def grouped(expression: str) -> set[str]:
    """Return the labels by which an expression groups or joins."""
    return {
        label.strip()
        for labels in _GROUPED.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }


def recorded(expression: str) -> set[str]:
    """Return the recorded series in an expression."""
    return set(_RECORDED.findall(expression))
