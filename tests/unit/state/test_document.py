"""The directory document: read back equal, refused when damaged."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.state.document import Published, decode, decode_slots, encode
from lbg.state.layout import ENDPOINT_SLOTS, POOL_SLOTS

CONFIG = Config.model_validate(
    {
        "server": {"trusted_proxies": ["10.0.0.0/8", "fd00::/8"], "bind": ["[::1]:8080", "unix:/run/a.sock"]},
        "admin": {"bind": "127.0.0.1:9", "token": "secret"},
        "pools": {"api": {"endpoints": ["http://a:1", {"url": "http://[::1]:2", "weight": 3}]}},
        "routes": [{"host": "*.example.com", "path": "/v1", "pool": "api"}, {"pool": "api"}],
    }
)
SLOTS = {"api/a:1": 0, "api/[::1]:2": 7}
PUBLISHED = Published(Snapshot.of(CONFIG, 3, "lbg.toml"), SLOTS, {"old": 1, "api": 0})


def test_what_is_written_is_read_back_equal() -> None:
    assert decode(encode(PUBLISHED)) == PUBLISHED


def test_the_order_of_slots_is_kept() -> None:
    assert list(decode(encode(PUBLISHED)).pool_slots) == ["old", "api"]


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(key)


def with_value(*path: str, value: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


DAMAGED_SLOTS = [
    without("slots"),
    without("pool_slots"),
    with_value("slots", value=None),
    with_value("slots", value=[1]),
    with_value("slots", value={"a": "x"}),
    with_value("slots", value={"a": None}),
    with_value("slots", value={"a": True}),
    with_value("slots", value={"a": 1.0}),
    with_value("slots", value={"a": float("inf")}),
    with_value("slots", value={"a": -1}),
    with_value("slots", value={"a": ENDPOINT_SLOTS}),
    with_value("slots", value={"a": 3, "b": 3}),
    with_value("pool_slots", value={"a": POOL_SLOTS}),
]


@pytest.mark.parametrize(
    "damage",
    [
        *DAMAGED_SLOTS,
        without("snapshot"),
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


@pytest.mark.parametrize("damage", DAMAGED_SLOTS)
def test_damaged_slots_are_a_value_error(damage: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(encode(PUBLISHED))
    damage(content)
    with pytest.raises(ValueError):
        decode_slots(json.dumps(content).encode())


def test_slots_are_read_whatever_another_version_of_lbg_wrote_beside_them() -> None:
    content = json.loads(encode(PUBLISHED)) | {"snapshot": {"config": {"unheard": "of"}}}
    assert decode_slots(json.dumps(content).encode()) == (PUBLISHED.slots, PUBLISHED.pool_slots)


NO_DOCUMENTS = [b"", b"{", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", b"\0" * 50, b"[" * 200_000]


@pytest.mark.parametrize("document", NO_DOCUMENTS, ids=range(len(NO_DOCUMENTS)))
def test_bytes_that_are_no_document_are_a_value_error(document: bytes) -> None:
    with pytest.raises(ValueError):
        decode(document)
    with pytest.raises(ValueError):
        decode_slots(document)


@pytest.mark.parametrize("length", range(0, len(encode(PUBLISHED)), 37))
def test_a_document_cut_short_is_a_value_error(length: int) -> None:
    with pytest.raises(ValueError):
        decode(encode(PUBLISHED)[:length])
