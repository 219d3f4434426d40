"""deploy/compose.yaml and what its services read: that they fit together, and fit lbg."""

import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from lbg.config.load import load
from lbg.config.schema import Config
from lbg.demo.backend import BackendServer
from lbg.server.settings import _MARGIN
from tests.support.lbg import ROOT

yaml = pytest.importorskip("yaml")
DEPLOY = ROOT / "deploy"
TOKEN = "a-token"


def _yaml(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def _service(name: str) -> dict[str, Any]:
    return _yaml("compose.yaml")["services"][name]


def _config() -> Config:
    variables = {
        name: re.sub(r"\$\{.*\}", TOKEN, text) for name, text in _service("lbg")["environment"].items()
    }
    return load(variables, DEPLOY).config


def test_lbg_is_given_a_configuration_that_it_takes():
    config = _config()
    hosts = [endpoint.address.text for endpoint in config.pools["default"].endpoints]
    assert hosts == ["backend-1:8000", "backend-2:8000"]
    assert set(_yaml("compose.yaml")["services"]) >= {"backend-1", "backend-2"}
    assert config.admin.token == TOKEN


def test_the_token_has_no_value_that_everybody_knows():
    assert _service("lbg")["environment"]["LBG_ADMIN__TOKEN"].startswith("${LBG_ADMIN__TOKEN:?")


def test_only_requests_are_taken_from_other_machines():
    services = _yaml("compose.yaml")["services"]
    ports = {port for service in services.values() for port in service.get("ports", ())}
    assert {port for port in ports if not port.startswith("127.0.0.1:")} == {"8080:8080"}


def test_open_requests_have_their_time_at_a_stop():
    grace = float(_service("lbg")["stop_grace_period"].removesuffix("s"))
    assert grace > _config().server.shutdown_grace + _MARGIN


@pytest.mark.parametrize("name", ["lbg", "backend-1", "backend-2"])
def test_our_services_may_write_nothing_and_gain_no_rights(name):
    service = _service(name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_backends_run_the_backend_of_the_demo(monkeypatch):
    started = []

    def serve(server):
        started.append(server)

    monkeypatch.setattr(BackendServer, "serve_forever", serve)
    monkeypatch.setenv("NAME", _service("backend-2")["environment"]["NAME"])
    *command, code = _service("backend-2")["entrypoint"]
    assert command == ["python3", "-c"]
    exec(code.replace("8000", "0"))
    (server,) = started
    server.server_close()
    assert server.name == "backend-2"


def test_every_file_of_ours_that_is_mounted_is_there():
    services = _yaml("compose.yaml")["services"]
    mounted = {mount for service in services.values() for mount in service.get("volumes", ())}
    ours = [mount.split(":")[0] for mount in mounted if mount.startswith(".")]
    assert len(ours) == 2
    assert [path for path in ours if not (DEPLOY / path).exists()] == []


def test_every_image_that_is_fetched_has_a_version():
    images = {service["image"] for service in _yaml("compose.yaml")["services"].values()} - {"lbg"}
    assert len(images) == 2
    assert all(re.fullmatch(r"docker\.io/[\w/-]+:v?\d+\.\d+\.\d+", image) for image in images)


def test_prometheus_asks_the_admin_listener_with_its_token():
    (job,) = _yaml("prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"lbg:{_config().admin.bind.port}"]}]
    (secret,) = _service("prometheus")["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    assert _yaml("compose.yaml")["secrets"][secret] == {"environment": "LBG_ADMIN__TOKEN"}


@pytest.mark.needs("promtool")
def test_prometheus_takes_its_configuration():
    path = DEPLOY / "prometheus" / "prometheus.yml"
    command = [shutil.which("promtool") or "promtool", "check", "config", "--syntax-only", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 0, told.stderr


def test_grafana_finds_what_it_is_given():
    source, mounted = _service("grafana")["volumes"][0].split(":")[:2]
    provisioning = PurePosixPath(_service("grafana")["environment"]["GF_PATHS_PROVISIONING"])
    inside = DEPLOY / source / provisioning.relative_to(mounted)
    (datasource,) = yaml.safe_load((inside / "datasources/prometheus.yaml").read_text())["datasources"]
    assert datasource["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((inside / "dashboards/lbg.yaml").read_text())["providers"]
    assert Path(provider["options"]["path"]) == Path(mounted)
