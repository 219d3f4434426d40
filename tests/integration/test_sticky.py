"""Sticky cookies: the same client, the same endpoint, whichever worker, and until that endpoint is gone."""

import json
import re
import signal
import threading
from collections.abc import Sequence
from urllib.parse import quote

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import RawResponse, fetch
from tests.support.handlers import answer, echo, raw_bytes
from tests.support.lbg import LbgProcess, one_pool
from tests.support.processes import booted
from tests.support.waiting import eventually

STICKY = {"secret": "0123456789abcdef"}
QUICK = {"interval": 0.2, "fast_interval": 0.1, "fall": 1}
NAME = "lbg"


def set_cookies(response: RawResponse) -> list[str]:
    """Return the cookies of ours that a response sets."""
    return [value for value in response.values("set-cookie") if value.startswith(f"{NAME}=")]


class Visitor:
    """A browser that keeps its cookie and makes a connection for each request."""

    def __init__(self, process: LbgProcess) -> None:
        self.process = process
        self.cookie = ""
        self.given = 0

    def ask(self, *headers: tuple[str, str]) -> RawResponse:
        """Ask once."""
        cookies = [("Cookie", f"other=1; {self.cookie}")] if self.cookie else []
        response = fetch(self.process.address, headers=[*cookies, *headers])
        for value in set_cookies(response):
            self.cookie = value.partition(";")[0]
            self.given += 1
        return response

    def where(self) -> bytes:
        """Ask once and return who answered."""
        response = self.ask()
        assert response.status == 200, response
        return response.body


def visitors(process: LbgProcess, count: int) -> list[Visitor]:
    """Return visitors that were there once."""
    made = [Visitor(process) for _ in range(count)]
    for visitor in made:
        visitor.where()
    return made


def set_state(process: LbgProcess, backend: Backend, state: str) -> None:
    name = quote(addresses.authority(backend.address), safe="")
    response = fetch(
        process.admin_address,
        f"/api/v1/pools/main/endpoints/{name}/state",
        method="POST",
        headers=[("Content-Type", "application/json")],
        body=json.dumps({"state": state}).encode(),
    )
    assert response.status == 200, response


def test_the_same_cookie_leads_to_the_same_endpoint_in_every_worker_and_over_a_reload(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b, Backend(answer(body=b"c")) as c:
        process = booted(lbg(one_pool(a.url, b.url, c.url, sticky=STICKY), workers=4))
        clients = visitors(process, 24)
        homes = [client.where() for client in clients]
        assert set(homes) == {b"a", b"b", b"c"}
        for _ in range(10):
            assert [client.where() for client in clients] == homes
        generation = process.status()["config"]["generation"]
        process.send_signal(signal.SIGHUP)
        eventually(lambda: process.status()["config"]["generation"] > generation, timeout=15.0)
        booted(process)
        for _ in range(10):
            assert [client.where() for client in clients] == homes
        assert [client.given for client in clients] == [1] * 24


def test_clients_stay_while_their_endpoint_drains_and_move_when_it_dies(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url, sticky=STICKY, health=QUICK), workers=4))
        clients = visitors(process, 20)
        homes = [client.where() for client in clients]
        assert set(homes) == {b"a", b"b"}
        set_state(process, b, "drain")
        for _ in range(4):
            assert [client.where() for client in clients] == homes
            assert [visitor.where() for visitor in visitors(process, 4)] == [b"a"] * 4
        b.stop()
        assert [client.where() for client in clients] == [b"a"] * 20
        assert [client.given for client in clients] == [1 + (home == b"b") for home in homes]
        set_state(process, b, "ready")
        b.start()
        process.wait_for(b.url, "up")
        assert [client.where() for client in clients] == [b"a"] * 20


def test_clients_move_at_once_when_their_endpoint_goes_into_maintenance(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url, sticky=STICKY), workers=4))
        clients = visitors(process, 20)
        set_state(process, b, "maint")
        assert [client.where() for client in clients] == [b"a"] * 20


def test_clients_move_under_load_without_a_failed_request_when_their_endpoint_is_killed(
    lbg: StartLbg,
) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url, sticky=STICKY)))
        clients = visitors(process, 8)
        stopping = threading.Event()
        failures: list[RawResponse] = []

        def go_on(client: Visitor) -> None:
            while not stopping.wait(0.02):
                response = client.ask()
                if response.status != 200:
                    failures.append(response)

        threads = [threading.Thread(target=go_on, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        b.stop()
        process.wait_for(b.url, "down")
        stopping.set()
        for thread in threads:
            thread.join(10.0)
        assert failures == []
        assert [client.where() for client in clients] == [b"a"] * 8


@pytest.mark.parametrize("cookie", ["lbg=forged", "lbg=127.0.0.1:80", "lbg=", "LBG=x; lbg"])
def test_a_forged_cookie_is_as_none(lbg: StartLbg, cookie: str) -> None:
    with Backend() as a:
        process = lbg(one_pool(a.url, sticky=STICKY))
        response = fetch(process.address, headers=[("Cookie", cookie)])
        assert response.body == b"ok"
        (given,) = set_cookies(response)
        assert re.fullmatch(r"lbg=[\w-]{22}; Path=/; HttpOnly; SameSite=Lax", given)
        assert fetch(process.address, headers=[("Cookie", given.partition(";")[0])]).get("set-cookie") is None


@pytest.mark.parametrize("lines", [["a=b", "lbg={}"], ["lbg=old; lbg={}; a=b"], ["lbg={}", "c=d"]])
def test_a_cookie_is_found_among_others_and_all_reach_the_backend(
    lbg: StartLbg, lines: Sequence[str]
) -> None:
    with Backend(echo()) as a:
        process = lbg(one_pool(a.url, sticky=STICKY))
        (given,) = set_cookies(fetch(process.address))
        value = given.partition(";")[0].removeprefix("lbg=")
        sent = [line.format(value) for line in lines]
        response = fetch(process.address, headers=[("Cookie", line) for line in sent])
        assert set_cookies(response) == []
        received = [value for name, value in json.loads(response.body)["headers"] if name.lower() == "cookie"]
        assert received == ["; ".join(sent)]


def test_behind_a_tls_terminator_the_cookie_is_for_tls_only(lbg: StartLbg) -> None:
    with Backend() as a:
        config = one_pool(a.url, sticky=STICKY | {"cookie": "where", "ttl": 600})
        process = lbg(config | {"server": {"trusted_proxies": ["127.0.0.0/8"]}})
        plain = "; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"
        for proto, rest in (("http", plain), ("https", f"{plain}; Secure")):
            (given,) = fetch(process.address, headers=[("X-Forwarded-Proto", proto)]).values("set-cookie")
            assert re.fullmatch(rf"where=[\w-]{{22}}{rest}", given)


def test_a_switch_of_protocols_sets_the_cookie_too(lbg: StartLbg) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n"
    with Backend(raw_bytes(switch, end="stall")) as a:
        process = lbg(one_pool(a.url, sticky=STICKY))
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "own")]
        response = fetch(process.address, headers=upgrade)
        assert (response.status, len(set_cookies(response))) == (101, 1)


def test_an_endpoint_that_is_full_passes_its_client_on(lbg: StartLbg) -> None:
    gate = threading.Event()
    with Backend() as a, Backend(answer(body=b"other")) as b:
        process = lbg(one_pool({"url": a.url, "max_requests": 1}, b.url, sticky=STICKY), workers=1)
        client = next(one for one in visitors(process, 20) if one.where() == b"ok")
        free = a.handler
        a.handler = lambda connection: (gate.wait(10.0), free(connection))[1]
        waiting = threading.Thread(target=Visitor.where, args=(client,))
        waiting.start()
        eventually(lambda: process.endpoint(a.url)["in_flight"] == 1)
        late = Visitor(process)
        late.cookie = client.cookie
        assert late.where() == b"other"
        assert (late.given, late.cookie != client.cookie) == (1, True)
        gate.set()
        waiting.join(10.0)
        assert client.where() == b"ok"
