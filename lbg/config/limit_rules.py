"""Limits with one name are one limit, wherever they stand."""

from collections.abc import Iterable, Iterator

from lbg.config.filters import ConcurrencyConfig, RateLimitConfig
from lbg.config.problems import Broken, KeyPath, key_text
from lbg.config.section import Section
from lbg.config.written import Written

_SAME: dict[type[Section], tuple[str, ...]] = {
    RateLimitConfig: ("rate", "burst", "key"),
    ConcurrencyConfig: ("limit", "key"),
}


def unequal_limits(filters: Iterable[tuple[KeyPath, Written[Section]]]) -> Iterator[Broken]:
    """Yield the place and the sentence of each key that differs from an earlier limit of the same name."""
    first: dict[tuple[type[Section], str], tuple[KeyPath, Section]] = {}
    for path, written in filters:
        section = written.section
        if not isinstance(section, RateLimitConfig | ConcurrencyConfig) or not section.name:
            continue
        place, earlier = first.setdefault((type(section), section.name), (path, section))
        for key in _SAME[type(section)]:
            if written.right(key) and getattr(section, key) != getattr(earlier, key):
                told = f"{key_text(place)} has {_told(getattr(earlier, key))}"
                yield (*path, key), f'{told} for the limit "{section.name}", expected the same'


def _told(value: object) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
