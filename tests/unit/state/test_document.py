"""The directory document: read back equal, refused when damaged."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.state.document import Published, decode, encode

CONFIG = Config.model_validate(
    {
        "server": {"trusted_proxies": ["10.0.0.0/8", "fd00::/8"], "bind": ["[::1]:8080", "unix:/run/a.sock"]},
        "admin": {"bind": "127.0.0.1:9", "token": "secret"},
        "pools": {"api": {"endpoints": ["http://a:1", {"url": "http://[::1]:2", "weight": 3}]}},
        "routes": [{"host": "*.example.com", "path": "/v1", "pool": "api"}, {"pool": "api"}],
    }
)
PUBLISHED = Published(Snapshot.of(CONFIG, 3, "lbg.toml"), {"api/a:1": 0, "api/[::1]:2": 7})


def test_what_is_written_is_read_back_equal() -> None:
    assert decode(encode(PUBLISHED)) == PUBLISHED


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(key)


def with_value(*path: str, value: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "damage",
    [
        without("slots"),
        without("snapshot"),
        with_value("slots", value=None),
        with_value("slots", value=[1]),
        with_value("slots", value={"a": "x"}),
        with_value("slots", value={"a": None}),
        with_value("snapshot", value=None),
        with_value("snapshot", value=[]),
        with_value("snapshot", "config", value=None),
        with_value("snapshot", "config", value={}),
        with_value("snapshot", "digest", value="0"),
        with_value("snapshot", "config", "pools", "api", "endpoints", value=["http://other:1"]),
        with_value("snapshot", "config", "unknown", value=1),
    ],
)
def test_a_damaged_document_is_a_value_error(damage: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(encode(PUBLISHED))
    damage(content)
    with pytest.raises(ValueError):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", b"\0" * 50])
def test_bytes_that_are_no_document_are_a_value_error(document: bytes) -> None:
    with pytest.raises(ValueError):
        decode(document)


@pytest.mark.parametrize("length", range(0, len(encode(PUBLISHED)), 37))
def test_a_document_cut_short_is_a_value_error(length: int) -> None:
    with pytest.raises(ValueError):
        decode(encode(PUBLISHED)[:length])
