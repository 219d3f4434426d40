"""`/metrics` of running workers: right across them, through deaths and reloads, and for a real Prometheus."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import close_before_answer, half_body, slow
from tests.support.lbg import ROOT, LbgProcess, one_pool
from tests.support.load import Load
from tests.support.metrics import Scrape, busy, scrape, scrape_with
from tests.support.processes import pids
from tests.support.prometheus import prometheus, query
from tests.support.waiting import eventually


class Watch:
    """Scrapes again and again; no counter may ever go back."""

    def __init__(self, process: LbgProcess) -> None:
        self._process = process
        self.last = scrape(process)

    def look(self) -> Scrape:
        """Scrape once more."""
        before, self.last = self.last, scrape(self._process)
        for key, value in before.samples.items():
            if key[0] in before.counters:
                assert self.last.samples.get(key, -1.0) >= value, (key, value, self.last.samples.get(key))
        return self.last


def requests(found: Scrape) -> float:
    return found.total("lbg_requests_total", code="200")


def test_four_workers_count_every_request_while_some_are_killed(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=4)
    watch = Watch(process)
    killed = 0
    with Load(process.address, concurrency=8) as load:
        for _ in range(3):
            load.wait_for(300)
            watch.look()
            os.kill(pids(process, "proxy", 4)[0], signal.SIGKILL)
            killed += 1
            watch.look()
    pids(process, "proxy", 4)
    eventually(lambda: watch.look().total("lbg_requests_in_flight") == 0, 5.0, "nothing in flight")
    found = watch.look()
    # A client that saw its connection close asked again; what had been answered was counted all the same.
    lost = len(load.failures) + load.stale
    good = load.bodies.total()
    assert good > 900
    assert good - killed <= requests(found) <= good + lost
    assert found.total("lbg_upstream_in_flight") == 0
    assert found.total("lbg_request_duration_seconds_count") == found.total("lbg_requests_total")
    assert found.total("lbg_workers", role="proxy") == 4
    assert found.total("lbg_metrics_lost_total") == 0


def test_counters_go_on_through_reloads_and_a_restart(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=2)
    watch = Watch(process)
    with Load(process.address, concurrency=4) as load:
        for _ in range(2):
            load.wait_for(100)
            before = set(process.worker_pids("proxy"))
            process.send_signal(signal.SIGHUP)
            eventually(lambda old=before: old.isdisjoint(pids(process, "proxy", 2)), 15.0, "new workers")
            watch.look()
        load.wait_for(100)
    assert load.failures == []
    eventually(lambda: requests(watch.look()) == load.bodies.total(), what="all counted")
    process.stop()
    process.start()
    assert requests(watch.look()) == load.bodies.total()


def test_a_reload_that_failed_is_told(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    first = scrape(process)
    assert first.total("lbg_config_last_reload_success") == 1
    loaded = first.total("lbg_config_last_reload_timestamp_seconds")
    assert abs(loaded - time.time()) < 60
    good = process.config_path.read_text()
    process.write_config("[pools.main]\nendpoints = 7\n")
    process.send_signal(signal.SIGHUP)

    def told(success: float) -> Scrape:
        found = scrape(process)
        assert found.total("lbg_config_last_reload_success") == success
        return found

    failed = eventually(lambda: told(0), 10.0, "the failure")
    assert failed.total("lbg_config_last_reload_timestamp_seconds") == loaded
    process.write_config(good)
    process.send_signal(signal.SIGHUP)
    assert (
        eventually(lambda: told(1), 10.0, "success").total("lbg_config_last_reload_timestamp_seconds")
        > loaded
    )


def test_requests_that_were_never_understood_count(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    for raw, status in [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
    ]:
        with RawClient(process.address) as client:
            client.send(raw)
            assert client.read_response().status == status
    with RawClient(process.admin_address) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.read_response().status == 400
    found = scrape(process)
    assert found.total("lbg_local_responses_total", reason="bad_request", code="400") == 2
    assert found.total("lbg_local_responses_total", reason="bad_request", code="505") == 1
    assert found.total("lbg_requests_total", route="", code="400") == 2


def test_no_label_is_what_a_client_said(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    for secret in ("/private-path", "/?key=private-query"):
        fetch(process.address, secret, headers=[("Host", "private-host"), ("X-Forwarded-For", "192.0.2.77")])
    eventually(lambda: requests(scrape(process)) == 2, what="both counted")
    text = fetch(process.admin_address, "/metrics").body.decode()
    assert not re.search(r"private|192\.0\.2\.77", text)


def test_whatever_clients_send_makes_no_more_series(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)

    def send(start: int) -> None:
        for number in range(start, start + 200):
            fetch(process.address, f"/{number}?{number}", headers=[("Host", f"host-{number}.example")])
            fetch(process.address, "/", method=f"M{number}")

    def counted(count: int) -> Scrape:
        found = scrape(process)
        assert found.total("lbg_requests_total") == count
        return found

    send(0)
    before = eventually(lambda: counted(400), what="all counted")
    send(200)
    after = eventually(lambda: counted(800), what="all counted")
    assert set(after.samples) == set(before.samples)
    assert after.total("lbg_requests_total", method="other") == 400


def test_errors_retries_and_cuts_have_their_reasons(lbg: StartLbg) -> None:
    with Backend(close_before_answer()) as broken, Backend() as good:
        config = one_pool(broken.url, good.url, balance="round_robin", outlier={"connect_failures": 0})
        process = lbg(config, workers=1)
        for _ in range(4):
            assert fetch(process.address).status == 200
        found = eventually(lambda: _counted(process, 4), what="all counted")
        retried = found.total("lbg_retries_total", outcome="answered")
        assert retried >= 1
        name = broken.url.removeprefix("http://")
        assert found.total("lbg_upstream_errors_total", endpoint=name, reason="upstream_reset") == retried
        assert found.total("lbg_upstream_requests_total", endpoint=name, code="error") == retried
        good.handler = broken.handler = half_body()
        assert not fetch(process.address).complete
        cut = eventually(
            lambda: scrape_with(process, "lbg_upstream_errors_total", reason="upstream_cut_body")
        )
        assert cut.total("lbg_upstream_errors_total", reason="upstream_cut_body") == 1


def _counted(process: LbgProcess, count: int) -> Scrape:
    found = scrape(process)
    assert requests(found) == count
    return found


def test_a_client_that_leaves_counts_as_499(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    backend.handler = slow(1.0)
    with RawClient(process.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        waiting = eventually(lambda: scrape_with(process, "lbg_requests_in_flight"), 5.0, "the request")
        assert waiting.total("lbg_requests_in_flight") == 1
    gone = eventually(lambda: scrape_with(process, "lbg_requests_total", code="499"), 5.0, "its end")
    assert gone.total("lbg_local_responses_total", reason="client_gone") == 1
    eventually(lambda: scrape(process).total("lbg_requests_in_flight") == 0, 5.0, "nothing in flight")


def test_every_metric_is_there_after_traffic(tmp_path: Path) -> None:
    documented = re.findall(r"^\| `(lbg_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    with busy(tmp_path) as process:
        found = scrape(process)
        names = {name for name, _ in found.samples}
        missing = [name for name in documented if not names & {name, f"{name}_count"}]
        assert missing == []
        assert found.total("lbg_request_bytes_total") == 5
        assert found.total("lbg_queue_wait_seconds_count", pool="main") >= 1
        assert found.total("lbg_rate_limited_total", limit="tight") >= 1
        assert found.total("lbg_hook_faults_total", use="filter", hook="odd:Odd", kind="failed") == 1
        assert found.total("lbg_mirror_requests_total", pool="broken", outcome="failed") == 1
        assert found.total("lbg_worker_starts_total", role="proxy") == 1
        assert found.total("lbg_local_responses_total", reason="upstream_reset", code="502") == 1


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    with busy(tmp_path) as process:
        text = fetch(process.admin_address, "/metrics").body
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_scrape_of_two_hundred_endpoints_is_quick(lbg: StartLbg, backend: Backend) -> None:
    assert not isinstance(backend.address, str)
    port = backend.address[1]
    urls = [f"http://127.0.{number // 250}.{number % 250 + 1}:{port}" for number in range(200)]
    config = one_pool(*urls, balance="round_robin", health={"type": "none"})
    with Backend(address=("0.0.0.0", 0)) as everywhere:
        assert not isinstance(everywhere.address, str)
        urls = [url.replace(f":{port}", f":{everywhere.address[1]}") for url in urls]
        config = one_pool(*urls, balance="round_robin", health={"type": "none"})
        process = lbg(config, workers=1)
        with Load(process.address, concurrency=2, total=400) as load:
            load.finish()
        found = scrape(process)
        assert len({key for key in found.samples if key[0] == "lbg_upstream_duration_seconds_count"}) == 200
        times = []
        for _ in range(7):
            begun = time.perf_counter()
            assert fetch(process.admin_address, "/metrics").status == 200
            times.append(time.perf_counter() - begun)
    # 0.02 s on an idle core; other tests run beside this one.
    assert min(times) < 0.1, times


def test_another_server_counts_for_itself(tmp_path: Path, lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1, worker_class="gevent")
    for _ in range(3):
        fetch(process.address)
    fetch(process.address, "/", method="TRACE")
    found = eventually(lambda: scrape_with(process, "lbg_requests_total", code="405"))
    assert requests(found) == 3
    assert found.total("lbg_response_bytes_total") >= 6
    assert found.total("lbg_local_responses_total", reason="bad_request", code="405") == 1


@pytest.mark.needs("prometheus")
@pytest.mark.timeout(120)
def test_a_real_prometheus_sees_the_rate_that_the_clients_make(tmp_path: Path, lbg: StartLbg) -> None:
    with Backend() as backend:
        process = lbg(one_pool(backend.url), workers=4)
        with (
            prometheus(tmp_path / "prometheus", process.admin_address) as where,
            Load(process.address, concurrency=8, rate=150.0) as load,
        ):
            up = 'up{job="lbg"}'
            eventually(lambda: query(where, up, time.time()) == 1, 20.0, "the first scrape")
            time.sleep(2.0)  # what is measured is a rate: it needs time to pass
            begun, before = time.monotonic(), load.done
            time.sleep(8.0)
            os.kill(pids(process, "proxy", 4)[0], signal.SIGKILL)
            time.sleep(8.0)
            seconds, made = time.monotonic() - begun, load.done - before
            moment = time.time()
            total = "sum(rate(lbg_requests_total[15s]))"
            seen = eventually(lambda: query(where, total, moment), 5.0, "the rate")
            state = "lbg_endpoint_up"
            assert query(where, state, moment) == 1
        assert len(load.failures) <= 8
        assert seen == pytest.approx(made / seconds, rel=0.05)
