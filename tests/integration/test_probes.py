"""Health checks against real backends that behave, misbehave or are not there."""

import json
import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from tests.integration.checks import SOON, WHOLE, backend_that, check, probe
from tests.support import handlers
from tests.support.backend import Backend


def drip(data, pause=0.05):
    """Send byte by byte, so that no single read ever takes long."""

    def handle(connection):
        connection.read_request()
        for at in range(len(data)):
            connection.send(data[at : at + 1])
            connection.pause(pause)

    return handle


def endless(piece):
    def handle(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.send(piece)

    return handle


@pytest.fixture
def closed_port():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_an_endpoint_that_answers_passes(backend):
    result = check(backend.url)
    assert result.passed
    assert result.text.startswith("status 200 in ")
    assert result.connected
    assert 0 < result.seconds < 5.0


def test_each_check_has_a_connection_of_its_own_and_closes_it():
    with backend_that(handlers.answer()) as backend:
        checks = probe(backend.url)
        assert [checks.check(5.0).passed for _ in range(3)] == [True] * 3
        assert [request.connection for request in backend.requests] == [1, 2, 3]
        assert backend.requests[0].get("connection") == "close"


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_ipv6_and_unix_sockets_are_checked_like_all_others(tmp_path, kind):
    for address in (("::1", 0), str(tmp_path / "s")):
        with Backend(address=address) as backend:
            assert check(backend.url, type=kind).passed
        result = check(backend.url, type=kind)
        assert not result.passed
        assert result.text in {"connect refused", "connect failed: no such file or directory"}


def test_a_tcp_check_sends_nothing_and_closes():
    ends = []

    def handle(connection):
        ends.append(connection.receive())

    with backend_that(handle) as backend:
        result = check(backend.url, type="tcp")
        assert result.text.startswith("connected in ")
    assert ends == []


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_closed_port_refuses(closed_port, kind):
    result = check(closed_port, type=kind)
    assert (result.passed, result.text, result.connected) == (False, "connect refused", False)


def test_the_checks_may_go_to_a_port_of_their_own(backend, closed_port):
    port = backend.address[1]
    assert check(closed_port, port=port).passed
    assert backend.probes[0].get("host") == closed_port.removeprefix("http://")


def test_a_name_is_looked_up_and_each_of_its_addresses_tried(backend):
    assert check(f"http://localhost:{backend.address[1]}").passed  # ::1 refuses, where it is the first


@contextmanager
def full(family, address):
    """A listener whose backlog takes no further connection."""
    with socket.socket(family) as listener, ExitStack() as waiting:
        listener.bind(address)
        listener.listen(0)
        for _ in range(8):
            sock = waiting.enter_context(socket.socket(family))
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_an_endpoint_that_does_not_accept_in_time_fails(kind):
    with full(socket.AF_INET, ("127.0.0.1", 0)) as (host, port):
        result = check(f"http://{host}:{port}", SOON, type=kind)
    assert (result.text, result.timed_out, result.connected) == ("connect timeout after 0.3 s", True, False)


def test_a_unix_socket_with_a_full_backlog_refuses(tmp_path):
    with full(socket.AF_UNIX, str(tmp_path / "s")) as path:
        result = check(f"unix:{path}")
    assert (result.text, result.connected) == ("connect refused: the backlog is full", False)


@pytest.mark.parametrize(
    "handler",
    [
        handlers.stall_before_head(),
        handlers.half_head("stall"),
        handlers.half_body("stall"),
        handlers.half_chunked("stall"),
        handlers.raw_bytes(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "stall"),
        drip(WHOLE),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20),
    ],
    ids=["no head", "half head", "half body", "half chunked", "no end", "drip", "drip chunked"],
)
def test_the_timeout_is_for_the_whole_answer(handler):
    with backend_that(handler) as backend:
        result = check(backend.url, SOON)
    assert (result.text, result.timed_out, result.connected) == ("timeout after 0.3 s", True, True)
    assert SOON <= result.seconds < 5.0


def test_an_answer_that_drips_in_time_passes():
    with backend_that(drip(WHOLE, 0.001)) as backend:
        assert check(backend.url).passed


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (handlers.close_before_answer(), "connection closed without an answer"),
        (handlers.reset_before_answer(), "connection reset without an answer"),
        (handlers.half_head(), "connection closed in the middle of the answer"),
        (handlers.half_body(), "connection closed in the middle of the answer"),
        (handlers.half_chunked(), "connection closed in the middle of the answer"),
        (handlers.reset_mid_body(0.5), "connection reset in the middle of the answer"),
        (handlers.raw_bytes(b"220 smtp\r\n"), "invalid answer: no HTTP status line"),
        (handlers.answer(503), "status 503, expected 200-399"),
        (handlers.answer(404), "status 404, expected 200-399"),
    ],
)
def test_what_went_wrong_is_told(handler, text):
    with backend_that(handler) as backend:
        result = check(backend.url)
    assert (result.passed, result.text, result.timed_out) == (False, text, False)


def test_a_redirect_passes_and_is_not_followed():
    with backend_that(handlers.answer(302, [("Location", "/")])) as backend:
        result = check(backend.url)
        assert result.passed
        assert result.text.startswith("status 302")
        assert len(backend.requests) == 1


def test_an_answer_before_the_request_is_read_counts():
    with backend_that(handlers.early_answer_then_close(401)) as backend:
        assert check(backend.url, expect_status="401").passed


@pytest.mark.parametrize(
    "handler", [handlers.stream(1 << 28), endless(b"x" * 65536)], ids=["long", "endless"]
)
def test_of_a_long_body_only_the_beginning_is_read(handler):
    with backend_that(handler) as backend:
        assert check(backend.url).passed
        assert check(backend.url, expect_body="no such words").text == 'body without "no such words"'


def test_the_body_is_searched_for_the_pattern():
    with backend_that(handlers.chunked([b"re", b"ady"])) as backend:
        assert check(backend.url, expect_body="^ready$").passed
        assert check(backend.url, expect_body="^steady$").text == 'body without "^steady$"'


def test_the_environment_has_no_say(backend, closed_port, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, closed_port)
    assert check(backend.url).passed
    assert backend.probes[0].get("authorization") is None


def test_cookies_are_not_kept():
    with backend_that(handlers.answer(200, [("Set-Cookie", "a=b")])) as backend:
        checks = probe(backend.url)
        assert checks.check(5.0).passed
        assert checks.check(5.0).passed
        assert backend.requests[1].get("cookie") is None


def test_without_file_descriptors_the_check_fails_and_says_so(backend):
    checks = probe(backend.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        result = checks.check(5.0)
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (result.made, result.text) == (False, "check not made: no file descriptors left")


# Under gevent: many checks at once in one process that is patched, as in the control worker.

PATCHED = """
from gevent import monkey; monkey.patch_all()
import json, socket, sys, warnings
from time import monotonic
warnings.simplefilter("error")
import gevent
from lbg.config.pools import PoolConfig
from lbg.health.probe import probe_of

look_up = socket.getaddrinfo
def slow_for_one_name(host, *args, **kwargs):
    if host == "slow.example":
        gevent.sleep(30)
    return look_up(host, *args, **kwargs)
socket.getaddrinfo = slow_for_one_name

def check(url, health, timeout):
    pool = PoolConfig.model_validate({"endpoints": [url], "health": health})
    result = probe_of(pool.endpoints[0], pool).check(timeout)
    return result.text.partition(" in ")[0]

began = monotonic()
jobs = [gevent.spawn(check, *job) for job in json.load(sys.stdin)]
gevent.joinall(jobs, raise_error=True)
json.dump({"texts": [job.value for job in jobs], "seconds": monotonic() - began}, sys.stdout)
"""


def under_gevent(*jobs):
    """Make all checks at once in a patched process; return their texts and the seconds in all."""
    command = [sys.executable, "-X", "dev", "-W", "ignore::ImportWarning", "-c", PATCHED]
    ran = subprocess.run(
        command, input=json.dumps(jobs), capture_output=True, text=True, timeout=50, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def test_under_gevent_checks_that_hang_do_not_hold_up_others(tmp_path, closed_port):
    with ExitStack() as running:

        def url(handler, **options):
            return running.enter_context(backend_that(handler, **options)).url

        good = url(handlers.answer())
        host, port = running.enter_context(full(socket.AF_INET, ("127.0.0.1", 0)))
        backlog = running.enter_context(full(socket.AF_UNIX, str(tmp_path / "full")))
        silent = url(lambda connection: connection.wait_until_proxy_closes())
        jobs = [
            (good, {}, 10.0),
            (good.replace("127.0.0.1", "localhost"), {}, 10.0),
            (url(handlers.answer(), address=str(tmp_path / "s")), {}, 10.0),
            (closed_port, {}, 10.0),
            (f"unix:{backlog}", {}, 10.0),
            (f"http://{host}:{port}", {}, 1.0),
            (url(handlers.stall_before_head()), {}, 1.0),
            (silent, {"scheme": "https"}, 1.0),
            ("http://slow.example", {}, 1.0),
            *[(url(drip(WHOLE, 0.2)), {}, 1.0)] * 40,
        ]
        result = under_gevent(*jobs)
    assert result["texts"] == [
        "status 200",
        "status 200",
        "status 200",
        "connect refused",
        "connect refused: the backlog is full",
        "connect timeout after 1.0 s",
        *["timeout after 1.0 s"] * 2,
        "name look-up timeout after 1.0 s",
        *["timeout after 1.0 s"] * 40,
    ]
    assert result["seconds"] < 20.0  # one after the other they take 44 s
