"""LbgProcess, with a stand-in for the command."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import toml
from tests.support.client import fetch
from tests.support.lbg import RUNNING, LbgProcess, one_pool
from tests.support.waiting import eventually

STAND_IN = """
import http.server, json, os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
if "--fail" in sys.argv:
    sys.exit("no such pool")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pids = {"proxy": child.pid, "control": os.getpid()}
        workers = [{"pid": pid, "role": role, "slot": 0} for role, pid in pids.items()]
        body = json.dumps({"workers": workers, "environment": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def stop(*_):
    os._exit(7)
signal.signal(signal.SIGTERM, stop)
host, port = os.environ["LBG_ADMIN__BIND"].split(":")
print("--say Traceback" if "--say" in sys.argv else "started", flush=True)
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


class StandIn(LbgProcess):
    """Runs a small script in place of gunicorn."""

    def command(self) -> list[str]:
        """Return the script's command line with the same extra arguments."""
        return [sys.executable, "-c", STAND_IN, *self.args]


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie nobody reaped has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_the_command_is_the_documented_one(tmp_path: Path) -> None:
    process = LbgProcess("", tmp_path, worker_class="gevent", args=["--log-level", "debug"])
    process.close()
    assert process.command()[1:] == [
        *("-m", "gunicorn", "-c", "gunicorn.conf.py", "-k", "gevent", "--log-level", "debug", "lbg.wsgi")
    ]


def test_it_runs_with_its_environment_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBG_ENDPOINTS", "http://inherited.example")
    with StandIn(one_pool("http://127.0.0.1:1"), tmp_path, workers=3, env={"EXTRA": "yes"}) as process:
        environment = process.status()["environment"]
        (child,) = process.worker_pids("proxy")
        assert process.worker_pids("control") == [process.pid]
        assert process.url == f"http://{environment['LBG_SERVER__BIND']}"
        assert process.admin_url == f"http://{environment['LBG_ADMIN__BIND']}"
        assert (environment["LBG_SERVER__WORKERS"], environment["EXTRA"]) == ("3", "yes")
        assert environment["LBG_STATE_DIR"].startswith(str(tmp_path))
        assert "LBG_ENDPOINTS" not in environment
        assert tomllib.loads(Path(environment["LBG_CONFIG"]).read_text())["routes"] == [{"pool": "main"}]
        assert "started" in process.log()
        assert process in RUNNING
    assert process not in RUNNING
    eventually(lambda: is_gone(child), what="the child of the master to be killed")


def test_stop_returns_the_exit_code(tmp_path: Path) -> None:
    with StandIn("", tmp_path) as process:
        assert process.stop() == 7
        with pytest.raises(ConnectionRefusedError):
            fetch(process.admin_address)


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such pool"), StandIn("", tmp_path, args=["--fail"]):
        pass
    assert not [one for one in RUNNING if one.directory == tmp_path]


def test_a_traceback_in_the_log_fails_the_test(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a traceback in the log"), StandIn("", tmp_path, args=["--say"]):
        pass


def test_an_allowed_traceback_does_not(tmp_path: Path) -> None:
    with StandIn("", tmp_path, args=["--say"], allow_traceback=True) as process:
        assert process.pid != os.getpid()


def test_a_written_document_reads_back() -> None:
    document = {
        "server": {"workers": 2, "keepalive_timeout": 1.5, "trusted_proxies": []},
        "pools": {
            "a b": {
                "endpoints": ["http://x", {"url": "unix:/y", "weight": 2, "backup": False}],
                "retry": {"attempts": 3},
            },
        },
        "routes": [{"path": '/\u00e9"\\\n\x7f', "pool": "a b", "headers": {"X-A": "b"}}, {"pool": "a b"}],
    }
    assert tomllib.loads(toml.dump(document)) == document
