"""Another configuration while lbg runs: by `lbg reload`, by its file, by `lbg add` and `remove`."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import websocket

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import answer, slow
from tests.support.lbg import ROOT, LbgProcess, one_pool
from tests.support.load import Load
from tests.support.processes import booted
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages
from tests.support.websocket_backend import websocket as serving

LBG = [sys.executable, "-P", "-m", "lbg.cli.main"]
ENDPOINTS = "/api/v1/pools/main/endpoints"


def name_of(backend: Backend) -> str:
    """Return what an endpoint is called."""
    assert not isinstance(backend.address, str)
    return addresses.authority(backend.address)


def command(process: LbgProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lbg` against the admin listener."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    return subprocess.run(
        [*LBG, *arguments, "--admin", process.admin_url],
        cwd=process.directory,
        env=inherited | {"NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def post(process: LbgProcess, path: str, document: object) -> RawResponse:
    """Ask the admin API for a change."""
    kind = ("Content-Type", "application/json")
    body = json.dumps(document).encode()
    return fetch(process.admin_address, path, method="POST", headers=[kind], body=body)


def bodies(process: LbgProcess, count: int = 12) -> set[bytes]:
    """Return what some requests, each on a connection of its own, are answered."""
    return {fetch(process.address).body for _ in range(count)}


def test_endpoints_come_and_go_under_load_without_a_failed_request(lbg: StartLbg) -> None:
    with Backend(slow(0.02, answer(body=b"a"))) as a, Backend(slow(0.02, answer(body=b"b"))) as b:
        process = booted(lbg(one_pool(a.url), workers=4))
        with Load(process.address, concurrency=8, rate=150) as load:
            added = command(process, "add", "main", b.url)
            assert (added.returncode, added.stdout) == (
                0,
                f"main/{name_of(b)} is added; configuration 2 is in force\n",
            )
            eventually(lambda: len(load.bodies) == 2, what="both to be used")
            removed = command(process, "remove", "main", a.url)
            assert (removed.returncode, removed.stderr) == (0, "")
            eventually(lambda: not a.open_connections, what="the connections of the removed one to be closed")
            served = len(a.requests)
            load.wait_for(60)
            assert len(a.requests) == served
            assert load.failures == []
        assert [each["url"] for each in process.ask("/api/v1/endpoints")] == [b.url]
        assert [event["kind"] for event in process.events("added", "removed")] == ["added", "removed"]


def test_what_was_added_outlives_reloads_and_the_control_worker(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, balance="round_robin")))
        assert post(process, ENDPOINTS, {"url": b.url, "weight": 3}).status == 201
        (control,) = process.worker_pids("control")
        os.kill(control, signal.SIGKILL)
        eventually(
            lambda: process.worker_pids("control") not in ([], [control]), what="another control worker"
        )
        eventually(lambda: bodies(process) == {b"a", b"b"}, what="both to answer")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: process.status()["config"]["generation"] == 3, what="the reload")
        eventually(lambda: bodies(process) == {b"a", b"b"}, what="both to answer after HUP")
        process.write_config(one_pool(a.url, balance="random"))
        assert command(process, "reload").returncode == 0
        assert process.endpoint(b.url)["weight"] == 3


def test_workers_that_no_client_has_met_yet_take_it_up_too(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url), workers=4))
        removed = command(process, "remove", "main", a.url)
        assert removed.returncode == 0
        assert command(process, "status").returncode == 0  # more than the tenth of a second that it may take
        assert bodies(process, 20) == {b"b"}


def test_the_file_is_found_though_gunicorn_works_elsewhere(lbg: StartLbg, tmp_path: Path) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        relative = os.path.relpath(tmp_path / "lbg1" / "lbg.toml", ROOT)
        args, env = ["--chdir", str(elsewhere)], {"LBG_CONFIG": relative}
        process = booted(lbg(one_pool(a.url), args=args, env=env))
        process.write_config(one_pool(b.url))
        assert command(process, "reload").returncode == 0
        eventually(lambda: bodies(process, 4) == {b"b"}, what="the file to be read again")


def test_a_request_in_flight_to_a_removed_endpoint_is_answered(lbg: StartLbg) -> None:
    with Backend(slow(1.0, answer(body=b"a"))) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, {"url": b.url, "backup": True}), workers=1))
        with closing(RawClient(process.address)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: process.endpoint(a.url)["in_flight"] == 1, what="the request to be there")
            process.write_config(one_pool(b.url))
            assert command(process, "reload").returncode == 0
            assert client.read_response().body == b"a"
            assert client.request("GET", "/").body == b"b"


def test_a_websocket_outlives_changes_of_its_pool_and_its_route(lbg: StartLbg) -> None:
    with Backend(serving(echo_messages)) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url)))
        client = websocket.create_connection(process.url.replace("http", "ws"), timeout=10)
        try:
            client.send("before")
            assert client.recv() == "before"
            config = one_pool(a.url, b.url, balance="round_robin")
            process.write_config(config | {"routes": [{"pool": "main", "path": "/chat"}]})
            assert "routes changed" in command(process, "reload").stdout
            assert command(process, "remove", "main", name_of(a)).returncode == 0
            eventually(lambda: fetch(process.address, "/").status == 404, what="the new routes")
            client.send("after")
            assert client.recv() == "after"
        finally:
            client.close()


def test_the_file_is_taken_up_when_it_changes(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url)))
        process.write_config(one_pool(b.url))
        eventually(lambda: bodies(process, 4) == {b"b"}, what="the file to be taken up")
        process.write_config("[pools")
        eventually(
            lambda: "the configuration was not changed" in process.log(), what="the mistake to be told"
        )
        assert bodies(process, 4) == {b"b"}


def test_without_watch_it_is_not(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url), env={"LBG_ADMIN__WATCH": "false"}))
        process.write_config(one_pool(b.url))
        assert command(process, "add", "main", b.url, "--backup").returncode == 0
        assert bodies(process, 4) == {b"a"}
        assert command(process, "reload").returncode == 0
        eventually(lambda: bodies(process, 4) == {b"b"}, what="the file to be taken up")


def test_a_mistake_changes_nothing_and_is_told_everywhere(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a:
        process = booted(lbg(one_pool(a.url), env={"LBG_ADMIN__WATCH": "false"}))
        before = process.status()["config"]
        process.write_config(one_pool(a.url, balance="rond_robin", slow_start=-1))
        told = command(process, "reload")
        assert told.returncode == 1
        assert "balance: expected" in told.stderr
        assert "slow_start" in told.stderr
        assert "nothing was changed" in told.stderr
        answered = post(process, "/api/v1/reload", {})
        assert answered.status == 422
        assert answered.get("Content-Type") == "application/problem+json"
        mistakes = json.loads(answered.body)["errors"]
        assert {mistake["key"] for mistake in mistakes} == {"pools.main.balance", "pools.main.slow_start"}
        after = process.status()["config"]
        assert after | {"error": None} == before
        assert len(after["error"]["mistakes"]) == 2
        shown = command(process, "status").stdout
        assert f"{after['source']} was not taken up since" in shown
        assert "2 mistakes, see `lbg reload`" in shown
        metrics = fetch(process.admin_address, "/metrics").body
        assert b"lbg_config_last_reload_success 0\n" in metrics
        assert bodies(process, 2) == {b"a"}


def test_what_needs_new_workers_is_named(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a:
        process = booted(lbg(one_pool(a.url)))
        process.write_config(one_pool(a.url) | {"server": {"header_timeout": 3.0}})
        told = command(process, "reload")
        assert told.returncode == 0
        assert "nothing else changed; server.header_timeout waits for kill -HUP" in told.stdout


def test_what_is_wrong_with_the_file_is_told_by_a_new_control_worker_until_it_is_mended(
    lbg: StartLbg,
) -> None:
    with Backend(answer(body=b"a")) as a:
        process = booted(lbg(one_pool(a.url)))
        file = process.config_path
        text = file.read_text()

        def mistakes() -> list[str]:
            error = process.status()["config"]["error"]
            return error["mistakes"] if error else []

        file.write_text("nonsense")
        eventually(lambda: "not valid TOML" in str(mistakes()), what="the mistake to be told")
        old = process.status()["control"]["pid"]
        process.send_signal(signal.SIGHUP)
        eventually(lambda: process.status()["control"]["pid"] != old, what="another control worker")
        eventually(lambda: "not valid TOML" in str(mistakes()), what="the mistake to be told again")
        file.unlink()
        eventually(lambda: "no such file any more" in str(mistakes()), what="the file to be missed")
        file.write_text(text)
        eventually(lambda: not mistakes(), what="the mistake to be over")


def test_what_cannot_be_added_or_removed_is_told(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a:
        process = booted(lbg(one_pool(a.url), workers=1))
        assert post(process, ENDPOINTS, {"url": a.url}).status == 409
        assert post(process, "/api/v1/pools/nope/endpoints", {"url": a.url}).status == 404
        assert post(process, ENDPOINTS, {"url": "ftp://x"}).status == 400
        assert post(process, ENDPOINTS, {"url": "http://b:1", "weight": 0}).status == 400
        assert post(process, ENDPOINTS, {"ur": "http://b:1"}).status == 400
        one = f"{ENDPOINTS}/{quote(name_of(a), safe='')}"
        assert fetch(process.admin_address, one, method="DELETE").status == 409
        assert fetch(process.admin_address, f"{ENDPOINTS}/b%3A1", method="DELETE").status == 404
        assert fetch(process.admin_address, f"{ENDPOINTS}/%20", method="DELETE").status == 404
        assert process.status()["config"]["generation"] == 1


def test_a_single_worker_that_does_everything_changes_too(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url), args=["-w", "1"])
        assert command(process, "add", "main", b.url).returncode == 0
        assert bodies(process) == {b"a", b"b"}


def test_the_summary_counts_what_was_added(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url), workers=1))
        assert command(process, "add", "main", b.url).returncode == 0
        assert command(process, "remove", "main", a.url).returncode == 0
        eventually(lambda: bodies(process, 1) == {b"b"}, what="the added one alone")
        process.stop(signal.SIGINT)
        assert f"main/{name_of(b)}: " in process.log()
