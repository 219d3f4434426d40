"""The ways in which backends may read one path."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.target import readings, routing_path


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ("/a/b", {"/a/b"}),
        ("*", {"*"}),
        ("/%61%20", {"/a "}),
        ("/a//b", {"/a//b", "/a/b"}),
        ("/a%2Fb", {"/a%2Fb", "/a/b"}),
        ("/a;x/b", {"/a;x/b", "/a/b"}),
        ("/a%3bx", {"/a;x", "/a"}),
        ("/a\\b", {"/a\\b", "/a/b"}),
        ("/a%5Cb", {"/a\\b", "/a/b"}),
        ("/a/./b", {"/a/./b", "/a/b"}),
        ("/a/../b", {"/a/../b", "/b"}),
        ("/a/%2e%2e/b", {"/a/../b", "/b"}),
        ("/a%2f", {"/a%2F", "/a/"}),
        ("/x/%2e%2e/../y", set()),
        ("/a/%2e/../y", {"/a/./../y", "/a/y", "/y"}),
        ("/a//../b", {"/a//../b", "/a/../b", "/a/b", "/b"}),
    ],
)
def test_a_path_is_read_in_these_ways(raw: str, paths: set[str]) -> None:
    assert readings(raw) == paths


@pytest.mark.parametrize("raw", ["/..", "/a/../..", "/%2e%2e/a", "/a%2F..%2F..", "/\\..\\a", "/a\\..\\..\\b"])
def test_a_path_that_climbs_in_some_way_has_no_readings(raw: str) -> None:
    assert readings(raw) == frozenset()


def test_a_path_with_more_readings_than_an_honest_one_has_none() -> None:
    assert readings("/%3b//%5c%3b;/./%2f%2e\\.") == frozenset()


@pytest.mark.parametrize("raw", ["/a//b" * 2000, "/%2f" * 3000, "/a/.//b;c%2f\\" * 5000])
def test_a_long_path_of_several_readings_has_none(raw: str) -> None:
    assert readings(raw) == frozenset()


def test_a_long_path_of_escapes_alone_has_its_one_reading() -> None:
    assert readings("/%c3%a9" * 5000) == {"/\xc3\xa9" * 5000}


def test_no_path_takes_long_to_read() -> None:
    began = time.process_time()
    readings("/a/.//b;c%2f\\" * 600)
    assert time.process_time() - began < 1.0


PIECES = ["/", "//", "a", "..", ".", "%2e", "%2f", "%2F", "%5c", "\\", ";x", "%3b", "%61", "%", "%25"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map(lambda pieces: "/" + "".join(pieces)))
def test_the_path_that_routing_compares_is_one_of_the_readings(raw: str) -> None:
    found, normalised = readings(raw), routing_path(raw)
    assert not found or normalised is None or normalised in found
