"""Under servers that do not tell of the end of a response, the response does."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from lbg.proxy.observed import Observed


class Ends:
    """Notes what `lbg.finished` is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self.environ: dict[str, Any] = {"lbg.finished": self._finished}

    def _finished(self, environ: dict[str, Any], status: int, sent: int) -> None:
        assert environ is self.environ
        self.told.append((status, sent))

    def call(self, *pieces: bytes, status: str = "200 OK") -> Iterable[bytes]:
        """Return the observed response of an application that answers so."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            start_response(status, [])
            return pieces

        return Observed.call(application, self.environ, lambda *_: None)


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_the_end_is_told_at_close_with_the_bytes_that_were_taken(ends: Ends) -> None:
    response: Any = ends.call(b"ab", b"cde", status="404 Not Found")
    assert list(response) == [b"ab", b"cde"]
    assert ends.told == []
    response.close()
    response.close()
    assert ends.told == [(404, 5)]


def test_a_response_that_is_not_read_to_its_end_ends_as_well(ends: Ends) -> None:
    response: Any = ends.call(b"ab", b"cde")
    assert next(iter(response)) == b"ab"
    response.close()
    assert ends.told == [(200, 2)]


def test_an_empty_body_is_a_response(ends: Ends) -> None:
    response: Any = ends.call()
    assert list(response) == []
    response.close()
    assert ends.told == [(200, 0)]


def test_the_body_is_closed_first(ends: Ends) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a"])

        def close(self) -> None:
            ends.told.append((0, 0))

    response: Any = Observed.call(lambda *_: Body(), ends.environ, lambda *_: None)
    response.close()
    assert ends.told == [(0, 0), (0, 0)]


def test_a_body_that_cannot_be_closed_ends_all_the_same(ends: Ends) -> None:
    class Body(list[bytes]):
        def close(self) -> None:
            raise OSError

    response: Any = Observed.call(lambda *_: Body(), ends.environ, lambda *_: None)
    with pytest.raises(OSError):
        response.close()
    assert len(ends.told) == 1


def test_an_application_that_fails_ends_as_well(ends: Ends) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Observed.call(application, ends.environ, lambda *_: None)
    assert ends.told == [(0, 0)]


def test_what_a_server_takes_for_its_own_word_is_handed_on(ends: Ends) -> None:
    handled: Any = object()
    assert Observed.call(lambda *_: handled, ends.environ, lambda *_: None) is handled
    assert ends.told == [(101, 0)]
