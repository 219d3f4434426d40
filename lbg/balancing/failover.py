"""What follows when neither of two drawn endpoints can take a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from lbg.balancing.balancer import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_SORTED: Final = 16  # endpoints up to which the load of all is looked at

E = TypeVar("E", bound=Candidate)


def others(
    endpoints: Sequence[E], taken: tuple[int, int], load: Callable[[E], Any], random: Callable[[], float]
) -> Iterator[E]:
    """Yield all but those at the two places in `taken`: by load if they are few, else from anywhere on."""
    count = len(endpoints)
    if count <= _SORTED:
        rest = [endpoint for at, endpoint in enumerate(endpoints) if at not in taken]
        yield from sorted(rest, key=load)
        return
    start = int(random() * count)
    for at in range(start - count, start):
        if at % count not in taken:
            yield endpoints[at]
