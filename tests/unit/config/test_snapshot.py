import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest

from lbg.config.load import load
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot, digest_of, from_document, to_document

FULL = """\
[server]
bind = ["[::]:8080", "unix:/run/lbg.sock"]
trusted_proxies = ["10.0.0.0/8", "fe80::/10"]
keepalive_timeout = 0.1
max_body_bytes = 4611686018427387904
[admin]
bind = "0.0.0.0:9090"
token = "t"
[pools.b]
endpoints = ["http://b", { url = "unix:/run/b.sock", weight = 7, max_requests = 3, backup = true }]
timeouts.total = 1.5
health = { headers = { X-A = "b" }, expect_status = 204, expect_body = "r\u00e9ady" }
outlier.max_ejected = 0.1
retry = { on = ["timeout"], status = [502, 503] }
tls.server_name = "b.example"
[pools.a]
endpoints = ["http://[::1]:8000"]
[[routes]]
host = "*.example.com"
path = "/v1"
pool = "a"
[[routes]]
pool = "b"
"""


@pytest.fixture
def snapshot(tmp_path):
    (tmp_path / "lbg.toml").write_text(FULL)
    loaded = load({}, tmp_path)
    return Snapshot.of(loaded.config, 7, loaded.source)


def test_a_document_reads_back_equal(snapshot):
    read = from_document(to_document(snapshot))
    assert read == snapshot
    assert list(read.config.pools) == ["b", "a"]
    assert (read.generation, read.source) == (7, "lbg.toml")


def test_the_digest_is_the_same_for_equal_configurations():
    first = load({"LBG_ENDPOINTS": "http://A:80/"}, Path("/nonexistent")).config
    second = load({"LBG_ENDPOINTS": "http://a"}, Path("/nonexistent")).config
    other = load({"LBG_ENDPOINTS": "http://b"}, Path("/nonexistent")).config
    assert digest_of(first) == digest_of(second) != digest_of(other)
    assert Snapshot.of(first, 1, "x").digest == Snapshot.of(second, 2, "y").digest


def test_the_order_of_pools_does_not_change_the_digest(snapshot):
    data = snapshot.config.model_dump(mode="json")
    turned = Config.model_validate({**data, "pools": dict(reversed(data["pools"].items()))})
    assert list(turned.pools) == ["a", "b"]
    assert digest_of(turned) == snapshot.digest


def test_a_snapshot_does_not_change(snapshot):
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.generation = 8


def test_a_damaged_document_is_refused(snapshot):
    changed = to_document(snapshot)
    changed["config"]["server"]["workers"] = 5
    for damaged in ({}, [], 1, {"config": {}}, changed):
        with pytest.raises(ValueError):
            from_document(damaged)


def test_a_document_survives_as_json(snapshot):
    assert from_document(json.loads(json.dumps(to_document(snapshot)))) == snapshot


BLOCKS = re.findall(
    r"```toml\n(.*?)```", (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(), re.DOTALL
)


@pytest.fixture
def everything():
    """The data of a configuration with every key that is documented, which is every key."""
    first, *others = map(tomllib.loads, BLOCKS)
    return {**first, "routes": [route for block in (first, *others) for route in block["routes"]]}


def test_a_configuration_with_every_key_reads_back_equal(everything):
    snapshot = Snapshot.of(Config.model_validate(everything), 1, "lbg.toml")
    assert from_document(to_document(snapshot)) == snapshot


def test_neither_the_order_of_keys_nor_a_short_form_changes_the_digest(everything):
    digest = digest_of(Config.model_validate(everything))
    assert digest_of(Config.model_validate(turned(everything))) == digest
    written_out = Config.model_validate(everything).model_dump(mode="json")
    assert digest_of(Config.model_validate(written_out)) == digest


def turned(value):
    if isinstance(value, dict):
        return {key: turned(inner) for key, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value
