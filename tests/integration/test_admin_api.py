"""The admin API of running workers: as it is documented, through deaths, and without a secret."""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import RawResponse, fetch
from tests.support.handlers import answer
from tests.support.lbg import ROOT, LbgProcess, one_pool
from tests.support.waiting import eventually

DOCUMENT = (ROOT / "docs" / "admin-api.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^### `([A-Z]+) ([^`]+)`(?: `([^`]+)`)?\n(.*?)^```json\n(.*?)^```", re.M | re.S)
EXAMPLES = {
    f"{found[1]} {found[2]}": (found[3], json.loads(found[5])) for found in EXAMPLE.finditer(DOCUMENT)
}
QUICK = {"interval": 0.2, "fast_interval": 0.1, "timeout": 1.0}
PATIENCE = 15.0
MORE = "…"
TOKEN = "correct-horse-battery-staple"
HASH = "scrypt:32768:8:1$hunter2$" + "0123456789abcdef" * 8


def ask(process: LbgProcess, method: str, path: str, body: str | None = None, token: str = "") -> RawResponse:
    """Return the answer of the admin listener."""
    headers = [("Accept", "application/json")]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    if body is not None:
        headers.append(("Content-Type", "application/json"))
    return fetch(process.admin_address, path, method=method, headers=headers, body=(body or "").encode())


def assert_shape(example: Any, found: Any, path: str) -> None:
    """Assert that what was found has the fields of the example, no others, and values of its types."""
    if isinstance(example, list):
        assert isinstance(found, list), path
        if example and found:
            assert_shape(example[0], found[0], f"{path}[0]")
    elif isinstance(example, dict):
        assert isinstance(found, dict), path
        its = set(example) - {MORE}
        assert its <= set(found) if MORE in example else its == set(found), path
        for name in its:
            assert_shape(example[name], found[name], f"{path}.{name}")
    elif example is not None and found is not None:
        kinds = (int, float) if isinstance(example, int | float) else type(example)
        assert isinstance(found, kinds), path


def documented(process: LbgProcess, one: Backend, other: Backend, new: Backend) -> Iterator[tuple[str, Any]]:
    """Yield each documented request, in their order, with what is answered; the addresses are replaced."""
    real = {
        "10.0.0.11:8000": addresses.authority(one.address),
        "10.0.0.12:8000": addresses.authority(other.address),
        "10.0.0.13:8000": addresses.authority(new.address),
    }
    back = {address: name for name, address in real.items()}
    for request, (body, _) in EXAMPLES.items():
        method, path = _replaced(request, real).split(" ", 1)
        response = ask(process, method, path, body and _replaced(body, real))
        assert response.status in (HTTPStatus.OK, HTTPStatus.CREATED), (request, response)
        yield request, json.loads(_replaced(response.body.decode(), back))


def _replaced(text: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def test_every_documented_answer_has_the_shape_that_is_documented(lbg: StartLbg, backend: Backend) -> None:
    assert len(EXAMPLES) >= 20
    limit = {"use": "rate_limit", "name": "login", "rate": "1/m", "burst": 0, "key": "header:X-User"}
    with Backend(answer()) as other, Backend(answer()) as new:
        pools = one_pool(backend.url, {"url": other.url, "weight": 2}, health=QUICK)["pools"]
        route = {"name": "site", "pool": "web", "filters": [{**limit, "ban_after": 1, "ban": 600.0}]}
        process = lbg({"pools": {"web": dict(pools)["main"]}, "routes": [route]})  # type: ignore[call-overload]
        for _ in range(4):
            fetch(process.address, "/a", headers=[("X-User", "ann")])
        eventually(lambda: len(process.ask("/api/v1/stats")["times"]) > 1, PATIENCE, "two samples")
        for request, found in documented(process, backend, other, new):
            assert_shape(EXAMPLES[request][1], found, request)


def test_rates_are_right_over_all_workers_and_their_deaths(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    eventually(lambda: process.ask("/api/v1/stats")["times"], PATIENCE, "the first sample")
    for _ in range(100):
        assert fetch(process.address, "/").status == 200

    def counted() -> bool:
        stats = process.ask("/api/v1/stats")
        name = f"main/{addresses.authority(backend.address)}"
        each = [stats["total"], stats["pools"]["main"], stats["endpoints"][name]]
        sums = [
            stats["interval"] * sum(filter(None, track["history"]["requests_per_second"])) for track in each
        ]
        return all(90 <= number <= 110 for number in sums)

    eventually(counted, PATIENCE, "a hundred requests")
    os.kill(process.worker_pids("proxy")[0], signal.SIGKILL)
    for _ in range(20):
        eventually(lambda: fetch(process.address, "/").status == 200)
    stats = process.ask("/api/v1/stats")
    tracks = [stats["total"], *stats["pools"].values(), *stats["endpoints"].values()]
    assert all((rate or 0) >= 0 for track in tracks for rate in track["history"]["requests_per_second"])
    assert all(0 <= (track["error_rate"] or 0) <= 1 for track in tracks)


def test_errors_and_latencies_are_told(lbg: StartLbg) -> None:
    with Backend(answer(500)) as backend:
        process = lbg(one_pool(backend.url, health={"type": "none"}, outlier={"server_errors": 0}))
        eventually(lambda: process.ask("/api/v1/stats")["times"], PATIENCE, "the first sample")
        for _ in range(10):
            assert fetch(process.address, "/").status == 500

        def told() -> bool:
            total = process.ask("/api/v1/stats")["total"]
            return total["error_rate"] == 1.0 and total["p50_ms"] is not None

        eventually(told, PATIENCE, "errors")


def test_a_new_control_worker_begins_with_an_empty_history(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    fetch(process.address, "/")
    eventually(lambda: len(process.ask("/api/v1/stats")["times"]) > 2, PATIENCE, "some samples")
    (control,) = process.worker_pids("control")
    os.kill(control, signal.SIGKILL)
    eventually(lambda: process.worker_pids("control") not in ([], [control]), PATIENCE, "another one")
    eventually(lambda: len(process.ask("/api/v1/stats")["times"]) == 2, PATIENCE, "a new history")
    assert process.ask("/api/v1/stats")["total"]["requests_per_second"] == 0.0


def test_history_goes_on_when_an_endpoint_is_added(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    eventually(lambda: len(process.ask("/api/v1/stats")["times"]) > 1, PATIENCE, "two samples")
    with Backend(answer()) as other:
        body = json.dumps({"url": other.url})
        assert ask(process, "POST", "/api/v1/pools/main/endpoints", body).status == HTTPStatus.CREATED
        name = f"main/{addresses.authority(other.address)}"

        def there() -> Mapping[str, Any] | None:
            found: Mapping[str, Any] = process.ask("/api/v1/stats")
            known = name in found["endpoints"]
            return found if known and found["endpoints"][name]["requests_per_second"] is not None else None

        stats = eventually(there, PATIENCE, "the new endpoint")
        assert stats is not None
        assert len(stats["times"]) > 3
        assert stats["endpoints"][name]["history"]["requests_per_second"][0] is None
        assert [route["name"] for route in process.ask("/api/v1/routes")] == ["*/"]
        urls = [one["url"] for one in process.ask("/api/v1/config")["config"]["pools"]["main"]["endpoints"]]
        assert urls == [backend.url, other.url]


def test_no_path_tells_a_secret(lbg: StartLbg, backend: Backend) -> None:
    pool = {
        "endpoints": [backend.url],
        "sticky": {"secret": "hunter2-hunter2-hunter2"},
        "health": {**QUICK, "headers": {"X-Whatever": "hunter2"}, "path": "/?key=hunter2"},
    }
    filters = [
        {"use": "basic_auth", "users": {"ann": HASH}},
        {
            "use": "headers",
            "request": {"set": {"X-Api-Key": "hunter2", "X-Pwd": "hunter2", "X-Env": "Bearer hunter2"}},
        },
        {"use": "forward_auth", "pool": "main", "path": "/check?token=hunter2"},
    ]
    route = {"pool": "main", "headers": {"X-Token": "hunter2"}, "filters": filters}
    routes = [route, {"path": "/else", "redirect": "https://ann:hunter2@example.com/"}]
    process = lbg({"admin": {"token": TOKEN}, "pools": {"main": pool}, "routes": routes})
    asked = [request.replace("/web", "/main").split(" ", 1) for request in EXAMPLES]
    asked += [
        ["GET", "/api/v1/route?url=/a&header=X-Token:%20hunter2"],
        ["GET", "/api/v1/route?url=/else&header=X-Token:%20wrong"],
    ]
    for method, path in asked:
        if method != "GET":
            continue
        response = ask(process, "GET", path, token=TOKEN)
        assert response.status == HTTPStatus.OK, (path, response)
        for secret in (b"hunter2", TOKEN.encode(), HASH.encode()):
            assert secret not in response.body, path
        if not path.startswith("/health/"):
            assert ask(process, "GET", path).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/status", 405),
        ("GET", "/api/v1/stats?since=never", 400),
        ("POST", "/api/v1/pools/main/endpoints/x/state", 404),
    ],
)
def test_mistakes_are_problem_documents(
    lbg: StartLbg, backend: Backend, method: str, path: str, status: int
) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    response = ask(process, method, path, "{}" if method != "GET" else None)
    assert response.status == status
    assert json.loads(response.body)["status"] == status
