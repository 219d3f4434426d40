"""Which Python of the user's is looked for, and what is said when it is not there."""

import pytest

from lbg.config.load import ConfigError, load
from lbg.config.references import Call, check_references, references

TEXT = """\
[pools.web]
endpoints = ["http://a"]
balance = "shop.policies:Nearest"
hash_key = "shop.keys:tenant"
[pools.api]
endpoints = ["http://a"]
balance = "hash"
hash_key = "header:X-Tenant"
[[routes]]
pool = "api"
filters = [
    { use = "rate_limit", rate = "1/s", key = "shop.keys:tenant" },
    { use = "concurrency", limit = 1, key = "shop.keys:user" },
    { use = "rate_limit", rate = "1/s", key = "cookie:id" },
    "shop.filters:tag",
    { use = "shop.filters:Greet.politely", name = "x" },
]
[[routes]]
path = "/split"
split = [{ pool = "api", weight = 1 }]
split_key = "shop.keys:user"
[[routes]]
path = "/other"
split = [{ pool = "api", weight = 1 }]
split_key = "cookie:id"
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "lbg.toml").write_text(TEXT)
    return load({}, tmp_path)


def test_every_place_that_can_name_python_is_known(loaded):
    assert references(loaded.config) == {
        ("pools", "web", "balance"): Call("shop.policies:Nearest"),
        ("pools", "web", "hash_key"): Call("shop.keys:tenant"),
        ("routes", 0, "filters", 0, "key"): Call("shop.keys:tenant"),
        ("routes", 0, "filters", 1, "key"): Call("shop.keys:user"),
        ("routes", 0, "filters", 3, "use"): Call("shop.filters:tag"),
        ("routes", 0, "filters", 4, "use"): Call("shop.filters:Greet.politely", ("name",)),
        ("routes", 1, "split_key"): Call("shop.keys:user"),
    }


def test_each_call_is_looked_at_once_in_the_directory_that_is_given(loaded, tmp_path):
    asked = []
    check_references(loaded, lambda *arguments: asked.append(arguments) or {}, tmp_path)
    names = ["shop.policies:Nearest", "shop.keys:tenant", "shop.keys:user", "shop.filters:tag"]
    assert asked == [([*map(Call, names), Call("shop.filters:Greet.politely", ("name",))], tmp_path)]


def test_a_reference_that_cannot_be_loaded_is_told_at_each_place_in_the_order_of_the_file(loaded, tmp_path):
    faults = {
        Call("shop.keys:tenant"): [("", "there is none")],
        Call("shop.filters:tag"): [("", 'there is no module "shop"')],
    }
    with pytest.raises(ConfigError) as caught:
        check_references(loaded, lambda *_: faults, tmp_path)
    assert str(caught.value).split("\n") == [
        "lbg.toml:4: pools.web.hash_key: there is none",
        "lbg.toml:12: routes[0].filters[0].key: there is none",
        'lbg.toml:15: routes[0].filters[3].use: there is no module "shop"',
    ]


def test_what_is_wrong_with_an_option_is_told_at_its_key(loaded, tmp_path):
    faults = {Call("shop.filters:Greet.politely", ("name",)): [("name", "it takes none"), ("", "it wants x")]}
    with pytest.raises(ConfigError) as caught:
        check_references(loaded, lambda *_: faults, tmp_path)
    assert str(caught.value).split("\n") == [
        "lbg.toml:16: routes[0].filters[4].use: it wants x",
        "lbg.toml:16: routes[0].filters[4].name: it takes none",
    ]


def test_without_references_nothing_is_started(tmp_path):
    def verify(*_):
        raise AssertionError

    check_references(load({"LBG_ENDPOINTS": "http://a"}, tmp_path), verify, tmp_path)
