"""Clients that try to break a worker, or other clients' answers, with requests that are half right."""

from pathlib import Path

import psutil

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient
from tests.support.handlers import answer, raw_bytes
from tests.support.lbg import one_pool
from tests.support.waiting import eventually


def refuse_early(connection: BackendConnection) -> None:
    """Answer as soon as the head is there, and keep the connection."""
    connection.read_head()
    connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    connection.wait_until_proxy_closes()


def _descriptors(pid: int) -> int:
    return psutil.Process(pid).num_fds()


def test_an_early_answer_to_half_a_body_leaves_no_connection_behind(lbg: StartLbg) -> None:
    with Backend(refuse_early, expect_errors=True) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        worker = process.worker_pids("proxy")[0]
        before = _descriptors(worker)
        for _ in range(20):
            with RawClient(process.address) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
                assert client.read_response().status == 413
        eventually(lambda: _descriptors(worker) <= before + 2, what="the connections to be closed")


def test_a_worker_at_its_connection_limit_recovers_from_half_bodies(lbg: StartLbg) -> None:
    with Backend(refuse_early, expect_errors=True) as backend:
        process = lbg(one_pool(backend.url), workers=1, env={"LBG_SERVER__MAX_CONNECTIONS": "5"})
        for _ in range(12):
            with RawClient(process.address) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
                assert client.read_response().status == 413


def test_no_100_continue_lands_in_a_response_that_has_begun(lbg: StartLbg) -> None:
    def begin_then_wait(connection: BackendConnection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"A" * 20)
        connection.pause(0.6)
        connection.send(b"A" * 20)
        connection.wait_until_proxy_closes()

    with Backend(begin_then_wait, expect_errors=True) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        with RawClient(process.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            client.send(b"he")
            assert client.read_response().body == b"A" * 40


def test_a_bad_chunk_cuts_an_answer_that_ends_with_its_connection(lbg: StartLbg) -> None:
    def answer_without_length(connection: BackendConnection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nfirst part")
        connection.wait_until_proxy_closes()

    with Backend(answer_without_length, expect_errors=True) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        with RawClient(process.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            eventually(lambda: backend.connections, what="the request at the backend")
            client.send(b"zzz\r\n")
            response = client.read_response()
            assert response.status == 400 or not response.complete


def test_the_admin_listener_cannot_be_reached_by_naming_its_port(lbg: StartLbg, tmp_path: Path) -> None:
    with Backend(answer(body=b"public")) as backend:
        path = tmp_path / "p"
        process = lbg(one_pool(backend.url), worker_class="gevent", env={"LBG_SERVER__BIND": f"unix:{path}"})
        port = process.admin_address[1]
        with RawClient(str(path)) as client:
            client.send(f"GET /api/v1/status HTTP/1.1\r\nHost: x:{port}\r\n\r\n".encode())
            assert client.read_response().body == b"public"


def test_two_upgrades_in_one_packet_after_a_body_are_two_requests(lbg: StartLbg) -> None:
    with Backend(answer(body=b"ok")) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        with RawClient(process.address) as client:
            upgrade = b"Host: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n"
            client.send(
                b"POST /1 HTTP/1.1\r\n" + upgrade + b"Content-Length: 1\r\n\r\na"
                b"POST /2 HTTP/1.1\r\n" + upgrade + b"Content-Length: 1\r\n\r\nb"
            )
            assert [client.read_response().status for _ in range(2)] == [200, 200]
        assert [request.body for request in backend.requests] == [b"a", b"b"]


def test_interim_responses_lose_their_hop_by_hop_fields(lbg: StartLbg) -> None:
    hints = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n\r\n"
    )
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with Backend(raw_bytes(hints + final, end="open"), expect_errors=True) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        with RawClient(process.address) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            response = client.read_response()
        assert [dict(interim.headers) for interim in response.informational] == [{b"Link": b"</a>"}]
