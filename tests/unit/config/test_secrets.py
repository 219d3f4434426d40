"""What is hidden of a configuration before people see it."""

from typing import Any

import pytest

from lbg.config.secrets import (
    may_be_secret,
    route_without_secrets,
    settings_without_secrets,
    text_without_secrets,
)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-Auth",
        "X-Author-Key",
        "X-Pass",
        "x-pwd",
        "password",
        "api_key",
        "X-Signature",
        "Cookie",
        "X-Session-Id",
        "X-JWT",
        "X-Bearer",
        "access_token",
        "client-secret",
        "X-Credential",
    ],
)
def test_what_is_called_like_a_secret_may_be_one(name: str) -> None:
    assert may_be_secret(name)


@pytest.mark.parametrize("name", ["X-Env", "page", "author", "X-Authors", "X-Author-Id", "Accept"])
def test_what_is_called_otherwise_is_none(name: str) -> None:
    assert not may_be_secret(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://ann:hunter2@a/b@c", "https://(hidden)@a/b@c"),
        ("Bearer hunter2", "Bearer (hidden)"),
        ("basic hunter2==, digest hunter2", "basic (hidden), digest (hidden)"),
        ("mail me@example.com", "mail me@example.com"),
    ],
)
def test_credentials_are_hidden_in_any_text(text: str, told: str) -> None:
    assert text_without_secrets(text) == told


@pytest.mark.parametrize("hide", [settings_without_secrets, route_without_secrets])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"path": "/check?token=hunter2"}, {"path": "/check?(hidden)"}),
        ({"path": "/check"}, {"path": "/check"}),
        ({"token": "hunter2", "secret": ""}, {"token": "(hidden)", "secret": ""}),
        ({"users": {"ann": "hunter2"}}, {"users": {"ann": "(hidden)"}}),
        ({"key": "header:X-Key", "cookie": "lbg"}, {"key": "header:X-Key", "cookie": "lbg"}),
    ],
)
def test_settings_are_hidden_by_their_name(hide: Any, settings: dict[str, Any], told: dict[str, Any]) -> None:
    assert hide(settings) == told


def test_what_lbg_sends_by_itself_is_hidden_whatever_its_name() -> None:
    settings = {"headers": {"X-Env": "hunter2"}, "url": "https://a/b?k=hunter2"}
    assert settings_without_secrets(settings) == {
        "headers": {"X-Env": "(hidden)"},
        "url": "https://a/b?(hidden)",
    }


def test_what_a_route_sets_is_hidden_by_its_name() -> None:
    settings = {
        "set": {"X-Env": "b", "X-Pass": "hunter2", "X-Other": "Bearer hunter2"},
        "to": "https://a/?b=c",
    }
    assert route_without_secrets(settings) == {
        "set": {"X-Env": "b", "X-Pass": "(hidden)", "X-Other": "Bearer (hidden)"},
        "to": "https://a/?b=c",
    }
