"""A table of the configuration as it was written, together with what of it is right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from lbg.config.section import Section

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Written(Generic[S]):
    """`data` is the table; `section` what it says without the keys in `wrong`, which are told elsewhere."""

    section: S
    data: Mapping[str, object]
    wrong: frozenset[str] = frozenset()

    def has(self, *keys: str) -> list[str]:
        """Return those of `keys` that are there, right or wrong, in the order of the file."""
        return [
            key
            for key, value in self.data.items()
            if key in keys and value is not None and value is not False
        ]

    @property
    def unknown(self) -> frozenset[str]:
        """The keys that there are not, any of which may be a misspelt one."""
        return self.wrong - type(self.section).model_fields.keys()

    def right(self, *keys: str) -> bool:
        """Return whether none of `keys` is wrong; they may be absent."""
        return self.wrong.isdisjoint(keys)


def as_written(model: type[S], value: object) -> Written[S] | None:
    """Return what can be said of a table; None when nothing can, since even the right keys do not suffice."""
    if not isinstance(value, dict):
        return None
    try:
        return Written(model.model_validate(value), value)
    except ValidationError as error:
        places = (entry["loc"] for entry in error.errors(include_url=False, include_input=False))
        wrong = frozenset(str(place[0]) for place in places if place)
    try:
        right = {key: one for key, one in value.items() if key not in wrong}
        return Written(model.model_validate(right), value, wrong)
    except ValidationError:
        return None
