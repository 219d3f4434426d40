import os
import sys
from pathlib import Path

import pytest

POOL = '[pools.api]\nendpoints = ["http://a"]\n'


class ExecCalledError(Exception):
    pass


@pytest.fixture
def executed(command, monkeypatch):
    """Run `lbg run` up to the exec; gives the argument list and the LBG_ variables gunicorn would get."""

    def execve(path, argv, environ):
        assert path == sys.executable
        raise ExecCalledError(
            argv, {name: value for name, value in environ.items() if name.startswith("LBG_")}
        )

    def run(*arguments):
        monkeypatch.setattr(os, "execve", execve)
        with pytest.raises(ExecCalledError) as caught:
            command("run", *arguments)
        return caught.value.args

    return run


def test_run_becomes_gunicorn(executed):
    argv, environ = executed("--endpoint", "http://a", "--endpoint", "http://b")
    settings = argv.pop(4)
    assert Path(settings).is_file()
    assert settings.endswith("lbg/server/gunicorn_conf.py")
    assert argv == [sys.executable, "-m", "gunicorn", "-c", "lbg.wsgi"]
    assert environ == {"LBG_CONFIG": "", "LBG_ENDPOINTS": "http://a,http://b"}


def test_flags_win_over_the_environment(executed, monkeypatch, tmp_path):
    (tmp_path / "lbg.toml").write_text("not toml")
    (tmp_path / "other.toml").write_text(POOL)
    monkeypatch.setenv("LBG_SERVER__WORKERS", "9")
    monkeypatch.setenv("LBG_CONFIG", "absent.toml")
    flags = ("--bind", "[::]:80", "--bind", "unix:/a,b", "--admin", "127.0.0.1:1", "--workers", "2")
    _, environ = executed("--config", "other.toml", *flags)
    assert environ == {
        "LBG_CONFIG": "other.toml",
        "LBG_SERVER__BIND": '["[::]:80", "unix:/a,b"]',
        "LBG_ADMIN__BIND": "127.0.0.1:1",
        "LBG_SERVER__WORKERS": "2",
    }


def test_endpoint_flags_win_over_any_file(executed, monkeypatch, tmp_path):
    (tmp_path / "lbg.toml").write_text("not toml")
    monkeypatch.setenv("LBG_CONFIG", "absent.toml")
    _, environ = executed("--endpoint", "http://a")
    assert environ == {"LBG_CONFIG": "", "LBG_ENDPOINTS": "http://a"}


def test_without_flags_the_environment_is_passed_on(executed, tmp_path):
    (tmp_path / "lbg.toml").write_text(POOL)
    assert executed()[1] == {}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--endpoint", "x", "--config", "y"], "lbg run: --endpoint and --config exclude each other"),
        (["--config", ""], "lbg run: expected a file name after --config"),
        (["--config", "absent"], "absent: cannot be read: no such file or directory"),
        (["--workers", "two"], '--workers: server.workers: expected a whole number, got "two"'),
        (
            ["--bind", "80"],
            '--bind: server.bind[0]: expected host:port, such as "0.0.0.0:8080", or unix:/path, got "80"',
        ),
        (["--admin", "a:x"], '--admin: admin.bind: expected a port from 0 to 65535, got "x"'),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_nothing_is_run(command, tmp_path, flags, line):
    (tmp_path / "lbg.toml").write_text(POOL)
    assert command("run", *flags) == (2, "", f"{line}\n")


def test_a_bad_endpoint_flag_is_told_by_its_name(command):
    assert command("run", "--endpoint", "a:80") == (
        2,
        "",
        '--endpoint: pools.default.endpoints[0]: expected http://host:port or unix:/path, got "a:80"\n',
    )


def test_a_mistake_in_the_environment_keeps_the_name_of_its_variable(command, monkeypatch):
    monkeypatch.setenv("LBG_SERVER__WORKERS", "x")
    assert command("run", "--endpoint", "http://a")[2] == (
        'LBG_SERVER__WORKERS: server.workers: expected a whole number, got "x"\n'
    )


def test_a_failing_exec_is_told(command, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert command("run", "--endpoint", "http://a") == (
        2,
        "",
        "lbg run: /nonexistent/python: No such file or directory\n",
    )
