"""The configuration as the admin API tells it: whole, and without a secret."""

import json
import warnings
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.control.app import ControlApp
from lbg.control.config_document import add_config, without_secrets
from lbg.control.event_stream import EventStreams
from lbg.health.events import EventLog
from lbg.state.document import Published
from tests.unit.control.control_app import Answer, cells_of

HASH = "scrypt:32768:8:1$hunter2$" + "0123456789abcdef" * 8
SECRET = "hunter2-hunter2-hunter2"
POOL: dict[str, Any] = {"endpoints": ["http://a:1"]}


def shown(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a configuration, in which the word "hunter2" stands for each secret."""
    complete = {"pools": {"main": POOL}, **data}
    document = without_secrets(Config.model_validate(complete))
    assert "hunter2" not in json.dumps(document)
    return document


def pool(**tables: Any) -> dict[str, Any]:
    """Return what is told of a pool with these settings."""
    found: dict[str, Any] = shown({"pools": {"main": {**POOL, **tables}}})["pools"]["main"]
    return found


def route(**settings: Any) -> dict[str, Any]:
    """Return what is told of a route with these settings."""
    found: dict[str, Any] = shown({"routes": [{"pool": "main", **settings}]})["routes"][0]
    return found


def test_all_defaults_are_filled_in() -> None:
    document = shown({})
    assert set(document) == set(Config.model_fields)
    assert document["server"]["bind"] == ["0.0.0.0:8080"]
    assert document["pools"]["main"]["health"]["interval"] == 3.0
    assert document["pools"]["main"]["endpoints"] == [
        {"url": "http://a:1", "weight": 1, "max_requests": 0, "backup": False}
    ]


def test_the_token_is_hidden() -> None:
    admin = shown({"admin": {"token": SECRET}})["admin"]
    assert (admin["bind"], admin["token"]) == ("127.0.0.1:9090", "(hidden)")


def test_that_there_is_no_token_may_be_seen() -> None:
    assert shown({})["admin"]["token"] == ""


def test_the_secret_of_a_sticky_cookie_is_hidden_and_its_name_is_not() -> None:
    assert pool(sticky={"secret": SECRET})["sticky"] == {"cookie": "lbg", "ttl": 0, "secret": "(hidden)"}


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "X-Whatever"])
def test_fields_that_checks_send_are_hidden(name: str) -> None:
    assert pool(health={"headers": {name: "hunter2"}})["health"]["headers"] == {name: "(hidden)"}


def test_the_query_that_checks_send_is_hidden() -> None:
    assert pool(health={"path": "/up?key=hunter2"})["health"]["path"] == "/up?(hidden)"
    assert pool(health={"path": "/up"})["health"]["path"] == "/up"


def test_the_query_that_a_filter_asks_another_pool_with_is_hidden() -> None:
    (section,) = route(filters=[{"use": "forward_auth", "pool": "main", "path": "/c?token=hunter2"}])[
        "filters"
    ]
    assert section["path"] == "/c?(hidden)"


def test_names_of_key_files_are_told() -> None:
    tls = pool(tls={"cert": "/etc/tls.crt", "key": "/etc/tls.key"})["tls"]
    assert (tls["cert"], tls["key"]) == ("/etc/tls.crt", "/etc/tls.key")


def test_passwords_of_users_are_hidden_and_their_names_are_not() -> None:
    (section,) = route(filters=[{"use": "basic_auth", "users": {"ann": HASH}}])["filters"]
    assert section["users"] == {"ann": "(hidden)"}
    assert section["realm"] == "restricted"


@pytest.mark.parametrize(
    "name", ["Authorization", "Cookie", "X-Api-Key", "X-Auth", "X-Pass", "X-Pwd", "X-Session-Id", "X-JWT"]
)
def test_fields_that_a_filter_sets_are_hidden_by_their_name(name: str) -> None:
    changes = {"set": {name: "hunter2", "X-Env": "b"}, "add": {name: "hunter2"}}
    (section,) = route(filters=[{"use": "headers", "request": changes, "response": changes}])["filters"]
    told = {"set": {name: "(hidden)", "X-Env": "b"}, "add": {name: "(hidden)"}, "remove": []}
    assert (section["request"], section["response"]) == (told, told)


def test_parameters_that_a_filter_sets_are_hidden_by_their_name() -> None:
    (section,) = route(filters=[{"use": "query", "set": {"token": "hunter2", "page": "1"}}])["filters"]
    assert section["set"] == {"token": "(hidden)", "page": "1"}


def test_credentials_are_hidden_in_any_field() -> None:
    changes = {"set": {"X-Upstream": "Bearer hunter2", "X-Other": "basic hunter2=="}}
    (section,) = route(filters=[{"use": "headers", "request": changes}])["filters"]
    assert section["request"]["set"] == {"X-Upstream": "Bearer (hidden)", "X-Other": "basic (hidden)"}


def test_options_of_filters_of_the_user_are_hidden() -> None:
    (section,) = route(filters=[{"use": "shop.filters:sign", "phrase": "hunter2", "list": ["hunter2"]}])[
        "filters"
    ]
    assert section == {"use": "shop.filters:sign", "phrase": "(hidden)", "list": "(hidden)"}


def test_conditions_are_hidden_by_the_name_of_the_field() -> None:
    found = route(
        headers={"X-Token": "hunter2", "Authorization": {"regex": "hunter2"}, "X-Env": ["b"]},
        query={"api_key": ["hunter2"], "page": True},
    )
    assert found["headers"] == {
        "X-Token": {"values": ["(hidden)"], "regex": "", "present": True},
        "Authorization": {"values": [], "regex": "(hidden)", "present": True},
        "X-Env": {"values": ["b"], "regex": "", "present": True},
    }
    assert found["query"]["api_key"]["values"] == ["(hidden)"]
    assert found["query"]["page"] == {"values": [], "regex": "", "present": True}


def test_users_and_passwords_in_urls_are_hidden() -> None:
    found = route(pool=None, redirect="https://ann:hunter2@example.com/{path}")
    assert found["redirect"]["to"] == "https://(hidden)@example.com/{path}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://ann:hunter2@otel:4318/v1", "https://(hidden)@otel:4318/v1"),
        ("https://hunter2@otel:4318/v1", "https://(hidden)@otel:4318/v1"),
        ("https://otel/v1?key=hunter2&x=1#y", "https://otel/v1?(hidden)#y"),
        ("redis://:hunter2@cache:6379/0", "redis://(hidden)@cache:6379/0"),
    ],
)
def test_what_a_url_of_another_service_carries_is_hidden(url: str, told: str) -> None:
    config = Config.model_validate({"pools": {"main": POOL}})
    tracing = config.tracing.model_copy(update={"otlp": url})  # whatever a later version may allow
    assert without_secrets(config.model_copy(update={"tracing": tracing}))["tracing"]["otlp"] == told


def test_fields_that_lbg_sends_to_another_service_are_hidden() -> None:
    config = Config.model_construct(tracing={"headers": {"X-Whatever": "hunter2"}}, pools={}, routes=())
    with warnings.catch_warnings(action="ignore"):  # of pydantic: there is no such section yet
        assert without_secrets(config)["tracing"] == {"headers": {"X-Whatever": "(hidden)"}}


def test_where_keys_of_requests_come_from_is_told() -> None:
    found = route(filters=[{"use": "rate_limit", "rate": "1/s", "key": "header:X-Api-Key"}])
    assert found["filters"][0]["key"] == "header:X-Api-Key"


def test_the_configuration_is_left_as_it_is() -> None:
    config = Config.model_validate({"admin": {"token": SECRET}, "pools": {"main": POOL}})
    without_secrets(config)
    assert config.admin.token == SECRET


def ask(token: str, **environ: str) -> Answer:
    """Return the answer of the admin listener."""
    config = Config.model_validate({"admin": {"token": token}, "pools": {"main": POOL}})
    snapshot = Snapshot.of(config, 4, "/etc/lbg.toml")
    published = Published(snapshot, {"main/a:1": 0}, {"main": 0})
    control = ControlApp(published, cells_of(), EventStreams(EventLog()))
    control.parts.append(lambda flask: add_config(flask, snapshot))
    return Answer(control, "/api/v1/config", **environ)


def test_the_admin_api_tells_it() -> None:
    document = ask("").document
    assert list(document) == ["source", "generation", "digest", "config"]
    assert (document["source"], document["generation"], len(document["digest"])) == ("/etc/lbg.toml", 4, 32)
    assert list(document["config"]["pools"]) == ["main"]


def test_strangers_are_told_nothing() -> None:
    assert ask(SECRET).status == 401
    assert ask(SECRET, HTTP_AUTHORIZATION=f"Bearer {SECRET}").status == 200
