import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg import __version__
from lbg.config.pools import HealthConfig
from lbg.health.http_probe import MAX_BODY, HttpCheck
from lbg.health.probe import probe_of
from lbg.health.tcp_probe import CheckFailed, OutOfTime
from tests.unit.health.probes import ScriptedWire, pool_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"


def check(wire, url="http://127.0.0.1:8000", **health):
    pool = pool_of(url, **health)
    return HttpCheck(pool.endpoints[0], pool)(wire)


def text_of(*pieces, **health):
    """What a check says to an endpoint that sends these pieces and then closes."""
    try:
        return check(ScriptedWire(*pieces), **health)
    except CheckFailed as failure:
        return str(failure)


def head_sent(url="http://127.0.0.1:8000", **health):
    wire = ScriptedWire(OK)
    check(wire, url, **health)
    line, _, rest = wire.sent.decode("latin-1").partition("\r\n")
    assert rest.endswith("\r\n\r\n")
    return line, dict(field.split(": ", 1) for field in rest.removesuffix("\r\n\r\n").split("\r\n"))


def test_the_request_is_that_of_the_configuration_on_a_connection_that_closes():
    line, fields = head_sent(path="/ready?deep=1", method="post", headers={"X-Key": "k"})
    assert line == "POST /ready?deep=1 HTTP/1.1"
    assert fields == {
        "Host": "127.0.0.1:8000",
        "User-Agent": f"lbg-health/{__version__}",
        "Accept-Encoding": "identity",
        "X-Key": "k",
        "Connection": "close",
        "Content-Length": "0",
    }


@pytest.mark.parametrize(
    ("url", "health", "host"),
    [
        ("http://app", {}, "app"),
        ("http://[::1]:81", {"port": 82}, "[::1]:81"),
        ("unix:/run/a.sock", {}, "localhost"),
        ("http://app:81", {"host": "b.example"}, "b.example"),
        ("http://app:81", {"host": "[::1]"}, "[::1]"),
    ],
)
def test_host_is_what_a_request_would_carry_or_the_configured_one(url, health, host):
    assert head_sent(url, **health)[1]["Host"] == host


def test_a_configured_field_replaces_ours():
    assert head_sent(headers={"user-agent": "curl"})[1]["user-agent"] == "curl"
    assert "User-Agent" not in head_sent(headers={"user-agent": "curl"})[1]


# Whatever the schema accepts can be sent: nothing of it may raise when the probe is made.
targets = st.text([chr(code) for code in range(0x21, 0x7F) if chr(code) != "#"], max_size=12)
values = st.text([chr(code) for code in range(0x20, 0x7F)] + ["\t"], max_size=8)
names = st.text("!$&'*+.^_`|~09AZaz-", min_size=1, max_size=6)


@given(targets, st.dictionaries(names, values, max_size=3), st.sampled_from(["get", "HEAD"]))
def test_every_check_that_the_configuration_allows_can_be_made(target, headers, method):
    headers = {f"X-{name}": value for name, value in headers.items()}
    unique = {name.lower(): name for name in headers}
    kept = {name: headers[name] for name in unique.values()}
    pool = pool_of(path="/" + target, headers=kept, method=method)
    wire = ScriptedWire(OK)
    HttpCheck(pool.endpoints[0], pool)(wire)
    lines = wire.sent.split(b"\r\n")
    assert lines[0].startswith(method.upper().encode() + b" /")
    assert len(lines) == 1 + 4 + len(kept) + 2


def test_the_type_decides_the_probe():
    assert probe_of(pool_of().endpoints[0], pool_of(type="none")) is None
    for kind in ("http", "tcp"):
        assert probe_of(pool_of().endpoints[0], pool_of(type=kind)) is not None


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (OK, "status 200"),
        (b"HTTP/1.0 200 OK\r\n\r\nready", "status 200"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "status 304"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\nX: y\r\n\r\n",
            "status 200",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nready", "status 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n", "status 200"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, "status 200"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "status 503, expected 200-399"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "status 101, expected 200-399"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_whole_answer_is_judged_by_its_status_however_it_is_cut_into_pieces(answer, text, size):
    assert text_of(*(answer[at : at + size] for at in range(0, len(answer), size))) == text


@pytest.mark.parametrize(
    ("expected", "status", "passes"),
    [
        ("200-399", 399, True),
        ("200-399", 400, False),
        ("200,204", 204, True),
        ("200,204", 203, False),
        ("404", 404, True),
        ("404", 200, False),
    ],
)
def test_the_expected_statuses_are_what_the_key_lists(expected, status, passes):
    text = text_of(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status, expect_status=expected)
    assert text == (f"status {status}" if passes else f"status {status}, expected {expected}")


CUT = "connection closed in the middle of the answer"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "connection closed without an answer"),
        (b"HTTP/1.1 2", CUT),
        (HEAD, CUT),
        (HEAD + b"Content-Le", CUT),
        (HEAD + b"Content-Length: 0\r\n", CUT),
        (b"HTTP/1.1 100 Continue\r\n\r\n", CUT),
        (HEAD + b"Content-Length: 6\r\n\r\nready", CUT),
        (HEAD + b"Content-Length: 6\r\n\r\n", CUT),
        (CHUNKED + b"5\r\nre", CUT),
        (CHUNKED + b"5\r\nready\r\n", CUT),
        (CHUNKED + b"5\r\nready\r\n0\r\n", CUT),
        (b"\x16\x03\x01\r\n", "invalid answer: no HTTP status line"),
        (b"SSH-2.0-x\r\n", "invalid answer: no HTTP status line"),
        (b"HTTP/1.1 OK\r\n\r\n", "invalid answer: no HTTP status line"),
        (b"HTTP/1.1 099 X\r\n\r\n", "invalid answer: no HTTP status line"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "invalid answer: unknown HTTP version"),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "invalid answer: bare line feed"),
        (HEAD + b"A: b\r\n c\r\n\r\n", "invalid answer: folded header field"),
        (HEAD + b"A b\r\n\r\n", "invalid answer: malformed header field"),
        (HEAD + b"A : b\r\n\r\n", "invalid answer: malformed header field"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nready", "invalid answer: bad Content-Length"),
        (HEAD + b"Content-Length: -5\r\n\r\nready", "invalid answer: bad Content-Length"),
        (HEAD + b"Content-Length: 5_0\r\n\r\nready", "invalid answer: bad Content-Length"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\nx", "invalid answer: unknown Transfer-Encoding"),
        (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", "invalid answer: unknown Transfer-Encoding"),
        (
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "invalid answer: Content-Length and Transfer-Encoding together",
        ),
        (CHUNKED + b"zz\r\nready\r\n", "invalid answer: bad chunk"),
        (CHUNKED + b"-5\r\nready\r\n", "invalid answer: bad chunk"),
        (b"A" * 70_000, "invalid answer: head too large"),
        (HEAD + b"A: b\r\n" * 101 + b"\r\n", "invalid answer: head too large"),
        (HEAD + (b"A: " + b"b" * 60_000 + b"\r\n") * 5, "invalid answer: head too large"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "invalid answer: head too large"),
    ],
)
def test_an_answer_that_clients_could_not_get_fails_the_check(answer, text):
    assert text_of(answer) == text


def tls_error(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] x")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((ConnectionResetError(104, "x"),), "connection reset without an answer"),
        ((HEAD, ConnectionResetError(104, "x")), "connection reset in the middle of the answer"),
        ((OSError(113, "No route to host"),), "connection failed: no route to host"),
        ((HEAD, OutOfTime("timeout")), "timeout"),
        ((HEAD + b"\r\n", OutOfTime("timeout")), "timeout"),
        ((CHUNKED, OutOfTime("timeout")), "timeout"),
        ((tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"),), "TLS: tlsv13 alert certificate required"),
    ],
)
def test_what_the_connection_does_is_said_in_words(pieces, text):
    assert text_of(*pieces) == text


def test_an_answer_that_came_before_the_request_could_be_written_counts():
    wire = ScriptedWire(OK)

    def refuse(data):
        raise BrokenPipeError

    wire.sendall = refuse
    assert check(wire) == "status 200"


@pytest.mark.parametrize(
    ("pattern", "body", "text"),
    [
        ("ready", b"not ready yet", "status 200"),
        ("^ready$", b"not ready", 'body without "^ready$"'),
        ("r\u00e9ady", "r\u00e9ady".encode(), "status 200"),
        ("r\u00e9ady", "r\u00e9ady".encode("latin-1"), 'body without "r\\u00e9ady"'),
        ("ready", b"\xff\x00\x1b[31m", 'body without "ready"'),
        ("a\nb", b"", 'body without "a\\nb"'),
    ],
)
def test_the_pattern_is_searched_in_the_bytes_of_the_body(pattern, body, text):
    assert text_of(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), expect_body=pattern) == text


def test_a_body_is_not_decoded():
    gzipped = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nready"
    assert text_of(gzipped, expect_body="^ready$") == "status 200"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9999999\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n"]
)
def test_no_more_of_a_body_is_read_than_is_searched(framing):
    wire = ScriptedWire(HEAD + framing + b"x" * MAX_BODY + b"ready" * 200_000)
    with pytest.raises(CheckFailed, match="body without"):
        check(wire, expect_body="ready")
    assert wire.taken < 3 * MAX_BODY


def test_the_answer_to_head_ends_with_its_head():
    wire = ScriptedWire(HEAD + b"Content-Length: 100\r\n\r\n", AssertionError("read on"))
    assert check(wire, method="HEAD") == "status 200"


def test_the_body_of_an_unexpected_status_is_not_awaited():
    wire = ScriptedWire(b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n", AssertionError("read on"))
    with pytest.raises(CheckFailed, match="status 500"):
        check(wire)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([HEAD, CHUNKED, OK, b"\r\n", b"0\r\n"]), max_size=6))
def test_whatever_an_endpoint_sends_is_judged_in_printable_words(pieces):
    text = text_of(*pieces)
    assert text.isascii()
    assert text.isprintable()


def test_checks_of_the_default_configuration_expect_any_body():
    assert HealthConfig().expect_body == ""
    assert text_of(HEAD + b"Content-Length: 0\r\n\r\n") == "status 200"
