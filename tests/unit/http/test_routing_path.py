"""The normalised copy of a path that routing compares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.target import routing_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/%61", "/a"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a;v=1/b;w", "/a/b"),
        ("/a/..;x/b", "/b"),
        ("/a/%2e%2e;x/b", "/b"),
        ("/a%3Bx/b", "/a/b"),
        ("/;x/a", "/a"),
        ("/a/...", "/a/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/b", "/..a/b"),
        ("/a%", "/a%"),
        ("/a%zz", "/a%zz"),
        ("/caf%C3%A9", "/cafÃ©"),
        ("/a\\b/", "/a\\b/"),
        ("*", "*"),
    ],
)
def test_a_path_is_normalised(raw: str, path: str) -> None:
    assert routing_path(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        *[
            "/..",
            "/../a",
            "/a/../..",
            "/%2e%2e/a",
            "/.%2E",
            "/a/../../b",
            "//..",
            "/./..",
            "/..;x/a",
            "/a%00b",
        ],
        *["/a%2F..%2Fb", "/a\\..\\b", "/a%5C..%5cb", "/a/..\\b", "/a%2F.%2e"],
    ],
)
def test_a_path_that_climbs_or_hides_a_climb_or_holds_a_nul_has_no_copy(raw: str) -> None:
    assert routing_path(raw) is None


def test_a_plain_path_is_returned_as_it_is() -> None:
    raw = "/a/b.c/d"
    assert routing_path(raw) is raw


PIECES = [
    "/",
    "//",
    "a",
    "b",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%41",
    ";",
    ";x=1",
    "%3b",
    "%C3%A9",
    "é",
]
PATHS = st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: "/" + "".join(pieces))
ANY_PATH = st.text(st.characters(max_codepoint=0xFF), max_size=30).map(lambda text: "/" + text)


def naive(raw: str) -> str | None:
    """Return the same by one step at a time, a list of segments and no shortcut."""
    kept: list[str] = []
    text = raw.replace("%2f", "%2F")
    for code, character in (("%2e", "."), ("%2E", "."), ("%41", "A"), ("%3b", ";"), ("%C3%A9", "Ã©")):
        text = text.replace(code, character)
    segments = [segment.partition(";")[0] for segment in text.split("/")]
    last = segments[-1]
    for segment in segments:
        if segment == ".." and not kept:
            return None
        if segment == "..":
            kept.pop()
        elif segment not in {"", "."}:
            kept.append(segment)
    if any(".." in segment.split("%2F") for segment in kept):
        return None
    slash = "/" if last in {"", ".", ".."} and kept else ""
    return "/" + "/".join(kept) + slash


@settings(deadline=None)
@given(PATHS)
def test_it_agrees_with_a_naive_normaliser(raw: str) -> None:
    assert routing_path(raw) == naive(raw)


@settings(deadline=None)
@given(PATHS)
def test_normalising_twice_changes_nothing(raw: str) -> None:
    once = routing_path(raw)
    if once is not None:
        assert routing_path(once) == once


@settings(deadline=None)
@given(PATHS | ANY_PATH)
def test_the_copy_has_no_dot_segments_no_empty_ones_and_no_parameters(raw: str) -> None:
    path = routing_path(raw)
    if path is not None:
        assert path.startswith("/")
        assert "//" not in path
        assert ";" not in path
        assert not {".", ".."} & set(path.split("/"))


@settings(deadline=None)
@given(PATHS)
def test_it_never_climbs_out_of_a_folder_it_was_put_below(raw: str) -> None:
    path = routing_path(raw)
    if path is not None:
        below = routing_path("/base" + raw)
        assert below is not None
        assert below == "/base" + path or below == "/base" == ("/base" + path).rstrip("/")


@pytest.mark.parametrize("raw", ["/a/..%2Fb", "/a/..%2fb", "/a/%2e%2e%2Fb", "/a/b%2F..", "/..%2f"])
def test_a_dot_segment_behind_an_encoded_slash_is_refused(raw: str) -> None:
    assert routing_path(raw) is None
