"""Whatever a client and a backend say, a filter neither fails, nor hangs, nor answers in bad form."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from lbg.config.routes import RouteConfig
from lbg.errors import ClientGone, LbgError, Sent, UpstreamError
from lbg.net.stream import Stream
from tests.unit.proxy.proxies import Proxy
from tests.unit.proxy.seen import Environ, by_another_server, by_our_server
from tests.unit.upstream.inputs import Arriving
from tests.unit.upstream.pools import a_fleet
from tests.unit.upstream.scripted_endpoint import Answer, read_head

ALL = "{uri} {host} {query:q} {cookie:c} {header:X-A} {path} {match:1} {client_ip} {scheme}"
FILTERS: dict[str, dict[str, Any]] = {
    "access": {
        "allow": ["9.0.0.0/8", "::/0"],
        "deny": ["9.9.9.8"],
        "default": "deny",
        "deny_paths": ["/admin"],
        "deny_path_regex": r"\.php$",
        "deny_methods": ["DELETE"],
    },
    "basic_auth": {"users": {"a": generate_password_hash("b", "pbkdf2:sha256:1")}, "user_header": "X-User"},
    "body_limit": {"limit": 3},
    "compress": {"min_size": 1},
    "concurrency": {"limit": 1, "key": "header:X-A"},
    "cors": {"origins": ["https://a.example", "https://*.a.example"], "headers": ["*"], "credentials": True},
    "forward_auth": {"pool": "api", "path": f"/{ALL.replace(' ', '')}", "response_headers": ["X-A", "ETag"]},
    "headers": {
        "request": {"set": {"X-A": ALL, "Host": "{query:q}.a"}, "add": {"X-B": ALL}, "remove": ["Cookie"]},
        "response": {"set": {"X-A": f"{ALL} {{status}}"}, "add": {"Location": ALL}, "remove": ["Vary"]},
    },
    "mirror": {"pool": "api", "max_body": 3, "max_pending": 2},
    "query": {"set": {"q": ALL}, "add": {"\xe9&": ALL}, "remove": ["a"]},
    "rate_limit": {"rate": "1/s", "burst": 2, "key": "cookie:c", "ban_after": 2, "headers": "legacy"},
    "request_id": {"header": "X-A", "accept": True},
}

USUAL = [
    ("Accept-Encoding", "gzip"),
    ("Accept-Encoding", "gzip;q=2, br;q=1.0000,*;q="),
    ("Access-Control-Request-Headers", "x, y"),
    ("Access-Control-Request-Method", "PUT"),
    ("Authorization", "Basic YTpi"),
    ("Authorization", "basic  YTpi="),
    ("Cache-Control", "no-transform"),
    ("Connection", "close, X-A, host"),
    ("Connection", "upgrade"),
    ("Cookie", "c=1; c=2"),
    ("Expect", "100-continue"),
    ("Host", "a,b"),
    ("If-None-Match", '"x"'),
    ("Max-Forwards", "0"),
    ("Origin", "https://x.a.example"),
    ("Range", "bytes=0-,-1"),
    ("TE", "trailers"),
    ("Trailer", "X-T"),
    ("Upgrade", "h2c, websocket"),
    ("Via", "1.1 lbg"),
    ("X-A", "me"),
    ("X_A", "me"),
    ("X-Forwarded-For", "10.0.0.1, x, ::1%eth0"),
    ("X-Forwarded-Proto", "https,http"),
    ("X-Lbg-Mirror", "1"),
    ("X-Request-Id", "mine"),
    ("X-User", "root"),
    ("!#$%&'*+.^`|~", ""),
]
PIECES = [*"/?&=;%\\", "admin", "..", "%2f", "%0d%0a", "%ff", "?q=", "a", "%", "%00"]

# All that a server may let in (RFC 9110 section 5.5).
text = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=12)
values = st.one_of(text, st.sampled_from(["-1", "9" * 40, "\t", "\xb2", *(value for _, value in USUAL)]))
names = st.sampled_from([name for name, _ in USUAL])
fields = st.lists(
    st.one_of(st.sampled_from(USUAL), st.sampled_from(USUAL), st.tuples(names, values)), max_size=5
).map(lambda pairs: [(name.encode(), value.encode("latin-1")) for name, value in pairs])
targets = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: "/" + "".join(pieces)),
    st.sampled_from(["*", "/", "/?q=b", "/?q=b/c", "/?q=%00", "/?q=%7f", "http://b/?q", "ftp:x", "/#", "x"]),
).map(str.encode)
methods = st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "POST", "OPTIONS", "DELETE", "TRACE", "X"])
lengths = st.sampled_from(["0", "6", "-1", "5, 5", "\xb2", "9" * 40, ""])
bodies = st.sampled_from([b"", b"abc", b"abcdef"])


class Leaving(BytesIO):
    """The body of a client that leaves in the middle of it."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Give one byte, then fail."""
        if self.tell():
            raise ConnectionResetError("left")
        return super().read(1)


class Ours(Arriving):
    """A body as our server gives it."""

    def wait_for_bytes(self, seconds: float) -> None:
        """Return at once: what comes is there."""


class LeavingOurs(Ours):
    """The body of a client that leaves, as our server gives it."""

    def read_some(self) -> bytes:
        """Give what came, then fail."""
        if not self._pieces:
            raise ClientGone("left")
        return super().read_some()


@st.composite
def requests(draw: st.DrawFn) -> Environ | None:
    """Draw a request as our server or another one hands it over; None where ours refuses it."""
    method, target, sent, body = draw(methods), draw(targets), draw(fields), draw(bodies)
    if not any(name == b"Host" for name, _ in sent):
        sent = [(b"Host", b"a"), *sent]
    leaves = draw(st.booleans())
    if draw(st.booleans()):
        environ = by_another_server(target, *sent, method=method)
        framing = draw(st.one_of(lengths, st.sampled_from(["chunked", str(len(body))])))
        environ["HTTP_TRANSFER_ENCODING" if framing == "chunked" else "CONTENT_LENGTH"] = framing
        return environ | {"wsgi.input": Leaving(body) if leaves else BytesIO(body)}
    length = (b"Content-Length", b"%d" % len(body))
    coding = draw(st.sampled_from([length, (b"Transfer-Encoding", b"chunked")]))
    ours = by_our_server(target, *sent, coding, method=method)
    if ours is None:
        return None
    pieces = [body[:1], body[1:]]
    source = LeavingOurs(*pieces[:1]) if leaves else Ours(*filter(None, pieces))
    return ours | {"wsgi.input": source, "lbg.client": None}


PAGE = b'Content-Type: text/html\r\nETag: "x"\r\n'
ANSWERS = [
    b"HTTP/1.1 200 OK\r\n%bContent-Length: 5\r\n\r\nhello" % PAGE,
    b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n" % PAGE,
    b"HTTP/1.1 200 OK\r\n%b\r\nto the end" % PAGE,
    b"HTTP/1.1 200 OK\r\n%bContent-Encoding: br\r\nVary: \xe9, X\r\nX-A: \xe9\r\n\r\nto the end" % PAGE,
    b"HTTP/1.1 200 OK\r\n%bContent-Length: 9\r\n\r\nhalf" % PAGE,
    b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n5\r\nhel" % PAGE,
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
    b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 999 \r\nContent-Type: \xff;;\r\nCache-Control: ,no-transform\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-RateLimit-Remaining: x\r\nRateLimit: \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"nonsense",
    b"",
]


def saying(answer: bytes, received: list[bytes]) -> Answer:
    """Return a behaviour: note a request, give one answer and leave."""

    def serve(stream: Stream) -> None:
        with suppress(OSError):
            head = read_head(stream)
            if head:
                received.append(head)
                stream.send(answer)
                stream.flush()
        stream.close()

    return serve


@contextmanager
def no_failures() -> Iterator[None]:
    """Let what fails in a greenlet fail the test."""
    hub: Any = gevent.get_hub()
    failures: list[tuple[Any, ...]] = []
    hub.handle_error = lambda _, *failure: failures.append(failure)
    try:
        yield
    finally:
        del hub.handle_error
    assert failures == []


@contextmanager
def front_of(use: str, answers: list[bytes]) -> Iterator[Proxy]:
    """Lend a proxy with one filter or all, whose endpoint gives these answers in turn and then refuses."""
    refused = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
    sections = [{"use": each, **FILTERS[each]} for each in (FILTERS if use == "all" else [use])]
    route = RouteConfig.model_validate({"path_regex": "/(.*)|[*]", "pool": "api", "filters": sections})
    received: list[bytes] = []
    with a_fleet() as fleet, no_failures():
        behaviours = [saying(answer, received) for answer in answers]
        yield Proxy([fleet.endpoint(*behaviours, *[refused] * 20)], [route], received)


TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
VALUE = r"[\t -~\x80-\xff]*"


class Heard:
    """`start_response`, and what it was told."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, list[tuple[str, str]]]] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], None]:
        """Take the head of a response."""
        self.heads.append((status, headers))
        return lambda _: None


def tell(front: Proxy, environ: Environ, pieces: int) -> None:
    """Ask, read so many pieces of the answer, leave, and find nothing wrong with what was heard."""
    heard = Heard()
    try:
        result = front.handler.handle(environ, heard)
    except ClientGone:
        assert "lbg.client" in environ
        return
    body, whole = b"", False
    try:
        for number, piece in enumerate(result):
            assert len(heard.heads) == 1
            body += piece
            if number == pieces:
                break
        else:
            whole = True
    except (LbgError, OSError):
        assert environ["lbg.exchange"].reason is None
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    ((status, headers),) = heard.heads
    assert re.fullmatch(r"[1-9][0-9]{2} [\t -~\x80-\xff]*", status)
    for name, value in headers:
        assert re.fullmatch(TOKEN, name)
        assert re.fullmatch(VALUE, value)
    length = [value for name, value in headers if name.lower() == "content-length"]
    assert len(length) <= 1
    if whole and environ["lbg.exchange"].reason is not None:
        assert dict(headers)["Proxy-Status"].startswith("lbg; error=")
        assert length == ([] if ("Content-Encoding", "gzip") in headers else [str(len(body))])


def assert_well_formed(head: bytes) -> None:
    """Find nothing wrong with a request that an endpoint got."""
    line, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    assert re.fullmatch(rf"{TOKEN} [!-~]+ HTTP/1\.1", line)
    for each in lines:
        assert re.fullmatch(f"{TOKEN}: {VALUE}", each)
    (host,) = (each for each in lines if each.lower().startswith("host:"))
    assert re.fullmatch(r"Host: [\w.%:\[\]!$&'()*+;=~-]+", host, re.ASCII)


answering = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6)


@pytest.mark.parametrize("use", [*FILTERS, "all"])
@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(answering, st.lists(requests(), min_size=1, max_size=4), st.sampled_from([0, 0, 1, 9]))
def test_a_filter_takes_any_request_and_any_answer(
    use: str, answers: list[bytes], requests: list[Environ | None], pieces: int
) -> None:
    with front_of(use, answers) as front:
        for environ in requests:
            if environ is not None:
                tell(front, environ, pieces)
        gevent.idle()
        assert front.in_flight() == 0
        for head in front.received:
            assert_well_formed(head)
