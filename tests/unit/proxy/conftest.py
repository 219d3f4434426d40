"""What the tests of this package share."""

from collections.abc import Iterator

import pytest

from tests.unit.upstream.pools import Fleet, a_fleet


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Give the maker of endpoints that share their cells; all are shut at the end."""
    with a_fleet() as made:
        yield made
