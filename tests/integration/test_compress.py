"""`compress` with real backends: readable as it comes, whole or visibly cut, and nobody waits for it."""

import hashlib
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import psutil
import pytest

from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import Header, RawClient, RawResponse
from tests.support.handlers import Handler, answer, chunked, finish, head
from tests.support.lbg import LbgProcess
from tests.support.streamed import StreamedResponse
from tests.support.waiting import eventually
from tests.unit.filters.decoding import CODINGS, Decoder, decoded

MB = 1 << 20
TEXT = b"".join(b"%d: some text, not very interesting\n" % number for number in range(2000))
HTML = ("Content-Type", "text/html; charset=utf-8")
GROWTH = 30 * MB


@dataclass
class Site:
    """lbg in front of one backend, whose handler each test chooses."""

    lbg: LbgProcess
    backend: Backend

    def ask(self, accepted: str, *headers: Header, method: str = "GET", target: str = "/") -> RawResponse:
        """Send one request on a connection of its own."""
        with RawClient(self.lbg.address, 30.0) as client:
            return client.request(method, target, [("Accept-Encoding", accepted), *headers])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start both once for all tests."""
    with Backend() as backend:
        config = {
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [{"pool": "main", "filters": ["compress"]}],
        }
        with LbgProcess(config, tmp_path_factory.mktemp("compress"), workers=2) as process:
            yield Site(process, backend)


@pytest.fixture
def site(running: Site) -> Site:
    """Give both with nothing left of the last test."""
    running.backend.errors.clear()
    running.backend.requests.clear()
    running.backend.handler = answer(200, [HTML], TEXT)
    return running


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_comes_smaller_and_is_the_same(site: Site, coding: str, framing: str) -> None:
    if framing == "chunked":
        pieces = [TEXT[start : start + 1000] for start in range(0, len(TEXT), 1000)]
        site.backend.handler = chunked(pieces, headers=[HTML])
    response = site.ask(coding)
    assert (response.status, response.complete, response.framing) == (200, True, "chunked")
    assert response.values("content-encoding") == [coding]
    assert response.values("vary") == ["Accept-Encoding"]
    assert decoded(coding, response.body) == TEXT
    assert len(response.body) < len(TEXT) / 3


def test_a_connection_goes_on_after_an_encoded_body(site: Site) -> None:
    with RawClient(site.lbg.address) as client:
        for coding in ("gzip", "identity", "br", "zstd", "gzip"):
            body = client.request(headers=[("Accept-Encoding", coding)]).body
            assert (body if coding == "identity" else decoded(coding, body)) == TEXT


def test_who_does_not_want_it_gets_the_plain_body(site: Site) -> None:
    response = site.ask("gzip;q=0")
    assert (response.body, response.framing) == (TEXT, "length")
    assert response.values("vary") == ["Accept-Encoding"]


def test_a_client_of_http_1_0_gets_an_encoded_body_that_ends_with_the_connection(site: Site) -> None:
    with RawClient(site.lbg.address) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        response = client.read_response()
    assert (response.framing, decoded("gzip", response.body)) == ("eof", TEXT)


def test_head_has_the_fields_of_get_and_no_body(site: Site) -> None:
    with RawClient(site.lbg.address) as client:
        ours = [("Accept-Encoding", "gzip")]
        told, got = client.request("HEAD", headers=ours), client.request(headers=ours)
    without = {b"Date", b"Transfer-Encoding"}
    assert [field for field in told.headers if field[0] not in without] == [
        field for field in got.headers if field[0] not in without
    ]
    assert told.values("content-encoding") == ["gzip"]


def test_a_weak_tag_leads_to_304(site: Site) -> None:
    def revalidating(connection: BackendConnection) -> None:
        request = connection.read_request()
        tags = {tag.strip().removeprefix("W/") for tag in (request.get("If-None-Match") or "").split(",")}
        if '"v1"' in tags:  # RFC 9110 section 13.1.2: the comparison is weak
            connection.send(head(304, [("ETag", '"v1"')]))
        else:
            connection.send(head(200, [HTML, ("ETag", '"v1"'), ("Content-Length", str(len(TEXT)))]) + TEXT)

    site.backend.handler = revalidating
    (tag,) = site.ask("gzip").values("etag")
    assert tag == 'W/"v1"'
    response = site.ask("gzip", ("If-None-Match", tag))
    assert (response.status, response.body) == (304, b"")


def test_a_part_of_a_body_stays_as_it_is(site: Site) -> None:
    fields = [HTML, ("Content-Range", f"bytes 0-1999/{len(TEXT)}")]
    site.backend.handler = answer(206, fields, TEXT[:2000])
    assert site.ask("gzip", ("Range", "bytes=0-1999")).body == TEXT[:2000]


def test_what_a_backend_encoded_itself_stays_as_it_is(site: Site) -> None:
    site.backend.handler = answer(200, [HTML, ("Content-Encoding", "br")], b"x" * 5000)
    response = site.ask("gzip, br")
    assert (response.body, response.values("content-encoding")) == (b"x" * 5000, ["br"])
    assert site.backend.requests[0].values("accept-encoding") == ["gzip, br"]


@pytest.mark.parametrize("coding", CODINGS)
def test_each_piece_can_be_read_as_soon_as_it_comes(site: Site, coding: str) -> None:
    waiting: queue.Queue[bytes] = queue.Queue()

    def dribbling(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [HTML, ("Transfer-Encoding", "chunked")]))
        while piece := waiting.get(timeout=10.0):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")

    site.backend.handler = dribbling
    with RawClient(site.lbg.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % coding.encode())
        response, decoder = StreamedResponse(client), Decoder(coding)  # the head comes before any byte
        assert response.status == 200
        for number in range(10):
            piece = b"piece %d, " % number
            waiting.put(piece)
            got = b""
            while got != piece:
                got += decoder.feed(response.chunk())
        waiting.put(b"")
        while data := response.chunk():
            decoder.feed(data)
        assert decoder.ended


def test_events_are_never_encoded(site: Site) -> None:
    events = [b"data: %d\n\n" % number * 200 for number in range(5)]
    site.backend.handler = chunked(events, headers=[("Content-Type", "text/event-stream")])
    response = site.ask("gzip, br, zstd")
    assert (response.body, response.values("content-encoding")) == (b"".join(events), [])


def _cut(framing: str, end: str) -> Handler:
    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        if framing == "length":
            connection.send(head(200, [HTML, ("Content-Length", str(2 * len(TEXT)))]) + TEXT)
        else:
            connection.send(head(200, [HTML, ("Transfer-Encoding", "chunked")]))
            connection.send(b"%x\r\n%b\r\n" % (len(TEXT), TEXT))
        connection.pause(0.1)  # a reset overtakes what is unread
        finish(connection, end)  # type: ignore[arg-type]

    return handle


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_that_is_cut_does_not_look_whole(
    site: Site, coding: str, framing: str, end: str, version: str
) -> None:
    site.backend.handler = _cut(framing, end)
    with RawClient(site.lbg.address) as client:
        request = f"GET / HTTP/{version}\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"
        client.send(request.encode())
        response = client.read_response()
    assert not response.complete
    decoder = Decoder(coding)
    if version == "1.1":  # the reset that ends the other one takes unread bytes with it
        assert decoder.feed(response.body) == TEXT
    assert not decoder.ended


def _streaming(total: int, piece: bytes) -> Handler:
    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [HTML, ("Content-Length", str(total))]))
        for start in range(0, total, len(piece)):
            connection.send(piece[: total - start])

    return handle


def _words(size: int) -> bytes:
    random = Random(1)
    words = [bytes(random.choices(b"abcdefgh", k=random.randrange(2, 9))) for _ in range(500)]
    return b" ".join(random.choices(words, k=size // 4))[:size]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_large_body_arrives_whole_and_takes_no_memory(site: Site, coding: str) -> None:
    piece = _words(65536)
    site.backend.handler = _streaming(32 * MB, piece)
    workers = [psutil.Process(pid) for pid in site.lbg.worker_pids("proxy")]
    before = sum(worker.memory_full_info().uss for worker in workers)
    most, length = 0, 0
    digest, expected = hashlib.sha256(), hashlib.sha256(piece * (32 * MB // 65536)).hexdigest()
    with RawClient(site.lbg.address, 60.0) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % coding.encode())
        response, decoder = StreamedResponse(client), Decoder(coding)
        while data := response.chunk():
            plain = decoder.feed(data)
            digest.update(plain)
            if length // (8 * MB) != (length + len(plain)) // (8 * MB):
                most = max(most, sum(worker.memory_full_info().uss for worker in workers))
            length += len(plain)
    assert (length, digest.hexdigest(), decoder.ended) == (32 * MB, expected, True)
    assert most - before < GROWTH


def _large_or_small(connection: BackendConnection) -> None:
    """Serve /large with much text and the rest with five bytes."""
    request = connection.read_request()
    if request.target != b"/large":
        connection.send(head(200, [("Content-Length", "5")]) + b"small")
        return
    connection.send(head(200, [HTML, ("Content-Length", str(640 * 65536))]))
    piece = _words(65536)
    for _ in range(640):
        connection.send(piece)


def test_others_are_served_while_large_bodies_are_encoded(site: Site) -> None:
    site.backend.handler = _large_or_small
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            with RawClient(site.lbg.address, 60.0) as client:
                client.send(b"GET /large HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
                response = StreamedResponse(client)
                while not done.is_set() and response.chunk():
                    pass

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(site.backend.requests) >= 3)
        times = []
        with RawClient(site.lbg.address, 30.0) as client:
            for _ in range(30):
                begun = time.monotonic()
                assert client.request("GET", "/small").body == b"small"
                times.append(time.monotonic() - begun)
    finally:
        done.set()
        for thread in threads:
            thread.join(30.0)
    assert statistics.median(times) < 0.5, times
