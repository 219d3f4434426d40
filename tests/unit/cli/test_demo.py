import json
from pathlib import Path

import pytest

from lbg.demo import launcher, session


class FakeLauncher:
    def __init__(self, url):
        self.url = url


@pytest.fixture
def demo(command, monkeypatch):
    """Run `lbg demo` up to its first process; gives what that would get and the status."""
    seen = {}

    def free_launchers(count, taken):
        seen["taken"] = taken
        return [FakeLauncher(f"http://127.0.0.1:{9001 + index}") for index in range(count)]

    def run(self, environ):
        seen["backends"] = self._backends
        seen["environ"] = {name: value for name, value in environ.items() if name.startswith("LBG_")}
        seen["state"] = Path(seen["environ"].pop("LBG_STATE_DIR"))
        seen["mode"] = seen["state"].stat().st_mode & 0o777
        return 7

    monkeypatch.setattr(launcher, "free_launchers", free_launchers)
    monkeypatch.setattr(session.Session, "run", run)

    def demo(*arguments):
        seen["status"], _, _ = command("demo", *arguments)
        return seen

    return demo


def test_it_serves_loopback_with_two_workers(demo):
    seen = demo()
    assert seen["environ"] == {
        "LBG_SERVER__BIND": "127.0.0.1:8080",
        "LBG_SERVER__WORKERS": "2",
        "LBG_SERVER__SHUTDOWN_GRACE": "3",
        "LBG_ADMIN__BIND": "127.0.0.1:9090",
        "LBG_LOG__ACCESS": "false",
    }
    assert [(backend.name, backend.url) for backend in seen["backends"]] == [
        ("backend-1", "http://127.0.0.1:9001"),
        ("backend-2", "http://127.0.0.1:9002"),
        ("backend-3", "http://127.0.0.1:9003"),
    ]


def test_its_state_is_its_own_and_ends_with_it(demo):
    seen = demo()
    assert seen["mode"] == 0o700
    assert not seen["state"].exists()


def test_a_state_directory_that_is_named_stays(demo, monkeypatch, tmp_path):
    monkeypatch.setenv("LBG_STATE_DIR", str(tmp_path))
    assert demo()["state"] == tmp_path
    assert tmp_path.exists()


def test_its_status_is_the_one_of_the_session(demo):
    assert demo()["status"] == 7


def test_the_environment_wins_over_the_defaults_and_flags_win_over_it(demo, monkeypatch):
    monkeypatch.setenv("LBG_SERVER__BIND", "127.0.0.1:1")
    monkeypatch.setenv("LBG_SERVER__WORKERS", "4")
    environ = demo("--bind", "[::1]:80", "--bind", "unix:/a,b", "--admin", "127.0.0.1:81")["environ"]
    assert json.loads(environ["LBG_SERVER__BIND"]) == ["[::1]:80", "unix:/a,b"]
    assert environ["LBG_ADMIN__BIND"] == "127.0.0.1:81"
    assert environ["LBG_SERVER__WORKERS"] == "4"


def test_no_file_is_read(demo, monkeypatch, tmp_path):
    (tmp_path / "lbg.toml").write_text("not toml")
    monkeypatch.setenv("LBG_CONFIG", "absent.toml")
    assert demo()["status"] == 7


def test_the_backends_keep_off_the_ports_of_the_listeners(demo):
    assert demo("--bind", "127.0.0.1:9001", "--bind", "unix:/a")["taken"] == {9001, 9090}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--bind", "80"], "lbg: Invalid value for '--bind': expected host:port, such as \"0.0.0.0:8080\""),
        (["--admin", "a:x"], "lbg: Invalid value for '--admin': expected a port from 0 to 65535"),
        (["--admin", "0.0.0.0:9090"], "LBG_ADMIN__BIND: admin.bind: admin.token must be set"),
        (["--bind", ":0"], "lbg demo: port 0 leaves nothing to try"),
        (["--restart-after", "-1"], "lbg: Invalid value for '--restart-after'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_nothing_is_run(command, arguments, line):
    status, out, err = command("demo", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(line)


def test_a_mistake_in_the_environment_is_told_by_its_variable(command, monkeypatch):
    monkeypatch.setenv("LBG_SERVER__WORKERS", "x")
    expected = 'LBG_SERVER__WORKERS: server.workers: expected a whole number, got "x"\n'
    assert command("demo") == (2, "", expected)


def test_having_no_free_port_is_told(command, monkeypatch):
    monkeypatch.setattr(launcher, "_PORTS", range(9001, 9002))
    assert command("demo", "--bind", "127.0.0.1:9001") == (
        2,
        "",
        "lbg demo: no 3 ports are free from 9001 to 9001\n",
    )
