"""What gunicorn is told."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from lbg.server import settings as module
from lbg.server.master import Master


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that returns the settings for these variables."""
    for name in list(os.environ):
        if name.startswith("LBG_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LBG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LBG_ENDPOINTS", "http://a")
    monkeypatch.setattr(module, "MASTER", Master())

    def settings(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return module.settings()

    return settings


def test_gunicorn_knows_every_setting_and_takes_its_value(told: Any) -> None:
    cfg = Config()
    for name, value in told().items():
        cfg.set(name, value)
    assert cfg.worker_class_str == "lbg.server.worker.ProxyWorker"


def test_there_is_a_control_worker_besides_the_proxies(told: Any) -> None:
    assert told(LBG_SERVER__WORKERS="3")["workers"] == 4


def test_without_a_number_there_is_a_proxy_for_each_cpu(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert told()["workers"] == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert told()["workers"] == 2


def test_all_addresses_are_bound_the_admin_one_last(told: Any) -> None:
    binds = told(LBG_SERVER__BIND="127.0.0.1:1,[::1]:2", LBG_ADMIN__BIND="unix:/run/admin.sock")["bind"]
    assert binds == ["127.0.0.1:1", "[::1]:2", "unix:/run/admin.sock"]


def test_the_arbiter_waits_longer_than_the_workers_do(told: Any) -> None:
    assert told(LBG_SERVER__SHUTDOWN_GRACE="12.5")["graceful_timeout"] >= 13


def test_gunicorn_opens_no_control_socket_of_its_own(told: Any) -> None:
    assert told()["control_socket_disable"] is True


def test_a_worker_of_any_class_starts_its_application() -> None:
    started = []
    application = SimpleNamespace(start=lambda: started.append(True))
    module.start_application(SimpleNamespace(wsgi=application))
    assert started == [True]


def test_an_application_without_a_beginning_is_left_alone() -> None:
    module.start_application(SimpleNamespace(wsgi=lambda environ, start_response: []))
