"""The target that goes upstream."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbg.errors import LocalReply
from lbg.http.target import routing_path
from lbg.routing.lookup import find_route
from lbg.routing.rewrite import Rewrite
from tests.unit.routing.backends import BACKENDS, RAW, seen_by
from tests.unit.routing.requests import environ, route, table_of


def rewritten(raw: str, **keys: Any) -> str:
    """Return what becomes of a target."""
    rewrite = Rewrite.of(route(**keys))
    assert rewrite is not None
    path = routing_path(raw.partition("?")[0])
    assert path is not None
    return rewrite.target(raw.encode("latin-1"), path).decode("latin-1")


def test_a_route_that_changes_nothing_has_no_rewrite() -> None:
    assert Rewrite.of(route(path="/api")) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/api/x", "/x"),
        ("/api/x?a=1&b", "/x?a=1&b"),
        ("/api/x?", "/x?"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q", "/?q"),
        ("/apix", "/apix"),
        ("/v1/api/x", "/v1/api/x"),
        ("*", "*"),
        ("/api/a%2fb/%7Ec;v=1//d%20", "/a%2fb/%7Ec;v=1//d%20"),
        ("/api/x/../y", "/x/../y"),
        ("/api//evil.example/x", "/evil.example/x"),
        ("/api///", "/"),
        ("/%61pi/%7Ex", "/%7Ex"),
        ("//api/%7Ex", "/~x"),
        ("/api;v=1/%7Ex", "/~x"),
        ("/x/../api/%7Ex", "/~x"),
        ("/api/../api/%7Ex", "/~x"),
        ("/api/./%7Ex", "/./%7Ex"),
        ("/api/%zz/caf\xe9", "/%zz/caf\xe9"),
    ],
)
def test_a_prefix_is_stripped_and_the_rest_stays_as_it_came(raw: str, expected: str) -> None:
    assert rewritten(raw, strip_prefix="/api") == expected


@pytest.mark.parametrize(
    ("path", "prefix", "raw", "expected"),
    [
        ("/v1", "/v2", "/v1/a%2Fb?x", "/v2/a%2Fb?x"),
        ("/v1", "/v2", "/v1", "/v2"),
        ("/v1", "/v2/", "/v1", "/v2/"),
        ("/v1", "/v2/", "/v1/x", "/v2/x"),
        ("/v1/", "/v2", "/v1/x", "/v2/x"),
        ("/v1", "/", "/v1/x", "/x"),
        ("/v1", "/", "/v1", "/"),
        ("/v1", "/", "/v1//x", "/x"),
        ("/", "/v2", "/x", "/v2/x"),
        ("/", "/v2", "/", "/v2/"),
        (None, "/v2", "/x", "/v2/x"),
        ("/caf%C3%A9", "/v2", "/caf%c3%a9/%C3", "/v2/%C3"),
    ],
)
def test_the_prefix_of_the_route_is_replaced(path: str | None, prefix: str, raw: str, expected: str) -> None:
    keys = {} if path is None else {"path": path}
    assert rewritten(raw, rewrite={"prefix": prefix}, **keys) == expected


def test_an_exact_path_is_replaced_whole() -> None:
    assert rewritten("/old?x=1", path_exact="/old", rewrite={"prefix": "/new"}) == "/new?x=1"


@pytest.mark.parametrize(
    ("regex", "to", "raw", "expected"),
    [
        ("^/users/([0-9]+)$", r"/u/\1", "/users/7?a=1", "/u/7?a=1"),
        ("^/users/(?P<id>[0-9]+)$", r"/u/\g<id>", "/users/7", "/u/7"),
        ("a", "b", "/aa/a", "/ba/a"),
        ("x", "y", "/%61%7e", "/%61%7e"),
        ("a", "b", "/a%2fa%20/%C3%A9", "/b%2Fa%20/%C3%A9"),
        ("a$", "b", "/%25%3F%23a", "/%25%3F%23b"),
        ("^/(.)$", r"/x\1", "/%C3%A9", "/x%C3%A9"),
        ("^/x", "/é b", "/x", "/%C3%A9%20b"),
        ("^/x", "/%7Eb", "/x", "/%7Eb"),
        ("^/", "", "/x", "/x"),
        ("^/.*", "", "/x", "/"),
        ("^/p/(.*)$", r"//\1", "/p/evil.example", "/evil.example"),
        ("^/p(.*)$", r"\1/\1", "/p//x", "/x//x"),
        ("^/(a)?b$", r"/\1c", "/b", "/c"),
        (r"^/x$", r"/\\1", "/x", "/%5C1"),
        ("^/a.b$", "/c", "/a%0Ab", "/c"),
    ],
)
def test_the_first_place_of_a_pattern_is_replaced(regex: str, to: str, raw: str, expected: str) -> None:
    assert rewritten(raw, rewrite={"regex": regex, "to": to}) == expected


@pytest.mark.parametrize(
    ("to", "raw", "expected"),
    [
        (r"/i.php?p=\1", "/p/a", "/i.php?p=a"),
        (r"/i.php?p=\1", "/p/a?x=1", "/i.php?p=a&x=1"),
        (r"/i.php?p=\1", "/p/a?", "/i.php?p=a"),
        (r"/i.php?p=\1&s=/", "/p/a%26b%3Dc%20d", "/i.php?p=a%26b%3Dc%20d&s=/"),
        (r"/i/\1", "/p/a%3Fadmin=1?x", "/i/a%3Fadmin=1?x"),
        (r"/i?", "/p/a?x", "/i?x"),
    ],
)
def test_a_question_mark_adds_to_the_query_before_what_the_client_asks(
    to: str, raw: str, expected: str
) -> None:
    assert rewritten(raw, rewrite={"regex": "^/p/(.*)$", "to": to}) == expected


KEYS = st.sampled_from(
    [
        {"strip_prefix": "/api"},
        {"path": "/api", "rewrite": {"prefix": "/v2"}},
        {"path": "/api", "rewrite": {"prefix": "//"}},
        {"rewrite": {"regex": "^/api(.*)", "to": r"\1"}},
        {"rewrite": {"regex": "/(.*)", "to": r"/\1.?q=\1"}},
        {"rewrite": {"regex": "a|p", "to": "."}},
        {"rewrite": {"regex": "^/a", "to": "é "}},
    ]
)


@pytest.mark.parametrize(
    ("regex", "to", "raw"),
    [
        ("^/x(.*)$", r"/.\1/a", "/x."),
        ("^/x(.*)$", r"/a/.\1", "/x."),
        ("^/u(.*)$", r"/files/\1", "/u../admin"),
        ("^/u(.*)$", r"\1", "/u."),
    ],
)
def test_a_client_cannot_make_dot_segments_out_of_a_pattern(regex: str, to: str, raw: str) -> None:
    rewrite = Rewrite.of(route(rewrite={"regex": regex, "to": to}))
    assert rewrite is not None
    with pytest.raises(LocalReply, match="leaves what it is rewritten to"):
        rewrite.target(raw.encode(), raw)


@settings(deadline=None, max_examples=500)
@given(RAW, KEYS)
def test_a_rewritten_target_is_well_formed(raw: str, keys: dict[str, Any]) -> None:
    path = routing_path(raw)
    rewrite = Rewrite.of(route(**keys))
    if path is None or rewrite is None:
        return
    try:
        target = rewrite.target(raw.encode("latin-1"), path)
    except LocalReply:
        return
    assert target.startswith(b"/")
    assert target == raw.encode("latin-1") or not target.startswith(b"//")
    assert not re.search(rb"[\x00-\x20\x7f#]", target)


@settings(deadline=None, max_examples=500)
@given(RAW)
def test_a_stripped_path_leads_where_routing_saw_it_lead(raw: str) -> None:
    path = routing_path(raw)
    if path is None or not (path == "/api" or path.startswith("/api/")):
        return
    assert routing_path(rewritten(raw, strip_prefix="/api")) == (path[len("/api") :] or "/")


@settings(deadline=None, max_examples=1000)
@given(RAW.map(lambda raw: f"/public{raw}"))
@example("/public/x\\..\\..\\public\\y")
@example("/public/../public/x")
@example("/public//%2F./../public")
@example("/public/x/..;/..;/public/y")
def test_no_backend_reads_a_rewritten_path_outside_of_its_new_prefix(raw: str) -> None:
    config = route(path="/public", rewrite={"prefix": "/v2"})
    try:
        _, path = find_route(table_of(config), "", raw, environ())
    except LocalReply:
        return
    rewrite = Rewrite.of(config)
    assert rewrite is not None
    target = rewrite.target(raw.encode("latin-1"), path).decode("latin-1")
    for name in BACKENDS:
        seen = seen_by(name, target)
        assert seen == "/v2" or seen.startswith("/v2/"), (
            f"{name}: {raw} becomes {target} and is seen as {seen}"
        )
