"""What the writer of a wrong name may have meant."""

import difflib
from collections.abc import Iterable

# "api" is this near to "apo"; below it hints turn silly, such as "outlier" for "routes".
_NEAR = 0.66


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, None when there is none like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=_NEAR)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that offers the nearest known name, or nothing."""
    near = nearest(name, known)
    return f', did you mean "{near}"?' if near is not None else ""
