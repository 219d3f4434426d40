import re
import sys
from types import SimpleNamespace

import pytest

from lbg.config.schema import AdminConfig, Config, ServerConfig
from lbg.demo.screen import Screen, curl, welcome_text
from lbg.demo.supervisor import Change
from lbg.net.address import parse_bind

POOLS = {"default": {"endpoints": ["http://a"]}}
BACKENDS = [
    SimpleNamespace(key="1", name="backend-1", url="http://127.0.0.1:9001", pid=11),
    SimpleNamespace(key="2", name="backend-2", url="http://127.0.0.1:9002", pid=None),
]


def config(token=""):
    server = ServerConfig(bind=(parse_bind("127.0.0.1:8080"),))
    return Config(server=server, admin=AdminConfig(token=token), pools=POOLS)


@pytest.mark.parametrize(
    ("bind", "command"),
    [
        ("127.0.0.1:8080", "curl -N http://127.0.0.1:8080/events"),
        (":8080", "curl -N http://127.0.0.1:8080/events"),
        ("[::]:8080", "curl -N http://[::1]:8080/events"),
        ("unix:/run/a.sock", "curl -N --unix-socket /run/a.sock http://localhost/events"),
    ],
)
def test_a_listener_is_asked_where_it_can_be_reached(bind, command):
    assert curl(parse_bind(bind), "/events", "-N ") == command


def test_the_welcome_names_every_url_and_how_to_stop_a_backend():
    text = welcome_text(config(), BACKENDS, keys=False)
    for command in (
        "curl http://127.0.0.1:8080/ ",
        "curl http://127.0.0.1:8080/slow ",
        "curl -N http://127.0.0.1:8080/events ",
        "curl -d hello http://127.0.0.1:8080/echo ",
        "curl http://127.0.0.1:9090/api/v1/status ",
        "curl http://127.0.0.1:9090/health/ready ",
    ):
        assert f"  {command}" in text
    assert "backend-1  http://127.0.0.1:9001  kill 11\n" in text
    assert "backend-2  http://127.0.0.1:9002  down, starts again soon\n" in text


def test_the_dashboard_is_named_first_where_a_browser_can_open_it():
    assert welcome_text(config(), BACKENDS, keys=False).startswith("\nDashboard: http://127.0.0.1:9090/\n")
    hidden = config().model_copy(update={"admin": AdminConfig(bind=parse_bind("unix:/run/a.sock"))})
    assert "Dashboard" not in welcome_text(hidden, BACKENDS, keys=False)


def test_keys_are_named_only_where_they_work():
    assert "press 1 to stop and to start it, or kill 11\n" in welcome_text(config(), BACKENDS, keys=True)
    assert "press" not in welcome_text(config(), BACKENDS, keys=False)


def test_a_guarded_admin_listener_is_asked_with_its_token_left_unsaid():
    text = welcome_text(config(token="secret-of-the-admin"), BACKENDS, keys=False)
    command = 'curl -H "Authorization: Bearer $LBG_ADMIN__TOKEN" http://127.0.0.1:9090/api/v1/status'
    assert command in text
    assert "secret-of-the-admin" not in text


def test_the_welcome_tells_how_to_see_all_of_it_live(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/here/.venv/bin/python")
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", "/nowhere")
    command = "here/.venv/bin/lbg top --admin 127.0.0.1:9090 "
    assert f"  {command}" in welcome_text(config(), BACKENDS, keys=False)


@pytest.mark.parametrize(("up", "word"), [(True, "UP  "), (False, "DOWN")])
def test_a_change_is_one_plain_line_where_there_is_no_terminal(capsys, up, word):
    url = f"http://127.0.0.1:{9002}"
    detail = "exited with signal 15; " + "x" * 100
    Screen().change(Change(up, "backend-2", url, detail))
    line = capsys.readouterr().out
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  {word}  backend-2  {url}  {re.escape(detail)}\n", line)
