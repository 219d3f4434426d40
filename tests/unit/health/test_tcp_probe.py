import errno
import os
import socket
from time import monotonic

import pytest

from lbg.health import tcp_probe
from lbg.health.tcp_probe import CheckFailed, Dialer, Line, OutOfTime, in_words, left, tcp_check
from lbg.net.address import parse_endpoint_url


class FakeSocket:
    """A socket that fails to connect, or to do anything else, with `error`."""

    def __init__(self, error=None):
        self.error = error
        self.timeouts = []
        self.connected_to = None
        self.closed = False

    def settimeout(self, seconds):
        self.timeouts.append(seconds)

    def connect(self, sockaddr):
        self._fail()
        self.connected_to = sockaddr

    def sendall(self, data):
        self._fail()

    def recv_into(self, buffer):
        self._fail()
        return 0

    def close(self):
        self.closed = True

    def _fail(self):
        if self.error is not None:
            raise self.error


def failure(url, monkeypatch, error):
    """What is said when the socket for `url` fails to connect."""
    sock = FakeSocket(error)
    monkeypatch.setattr(socket, "socket", lambda *_: sock)
    with pytest.raises(CheckFailed) as caught:
        Dialer(parse_endpoint_url(url)).connect(monotonic() + 5.0)
    assert sock.closed
    return caught.value


def system_error(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "text", "late"),
    [
        (system_error(errno.ECONNREFUSED), "connect refused", False),
        (system_error(errno.EHOSTUNREACH), "connect failed: no route to host", False),
        (system_error(errno.ENETUNREACH), "connect failed: network is unreachable", False),
        (system_error(errno.EADDRNOTAVAIL), "connect failed: cannot assign requested address", False),
        (system_error(errno.ETIMEDOUT), "connect timeout by the system", False),
        (TimeoutError("timed out"), "connect timeout", True),
    ],
)
def test_a_connection_that_fails_is_said_in_words_and_closed(monkeypatch, error, text, late):
    caught = failure("http://127.0.0.1:80", monkeypatch, error)
    assert (str(caught), isinstance(caught, OutOfTime)) == (text, late)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOENT, "connect failed: no such file or directory"),
        (errno.EACCES, "connect failed: permission denied"),
        (errno.EAGAIN, "connect refused: the backlog is full"),
    ],
)
def test_a_unix_socket_that_fails_is_said_in_words(monkeypatch, number, text):
    assert str(failure("unix:/s", monkeypatch, system_error(number))) == text


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_the_end_of_the_file_descriptors_is_said_to_be_that(monkeypatch, number):
    def none_left(*_):
        raise system_error(number)

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(CheckFailed, match=r"^no file descriptors left$"):
        Dialer(parse_endpoint_url("http://127.0.0.1")).connect(monotonic() + 5.0)


def test_a_unix_socket_is_never_waited_for(monkeypatch):
    sock = FakeSocket()
    monkeypatch.setattr(socket, "socket", lambda *_: sock)
    Dialer(parse_endpoint_url("unix:/s")).connect(monotonic() + 5.0)
    assert (sock.timeouts, sock.connected_to) == ([0.0], "/s")


@pytest.mark.parametrize("url", ["http://127.0.0.1:81", "http://[::1]:81", "unix:/s"])
def test_an_address_needs_no_look_up(monkeypatch, url):
    monkeypatch.setattr(socket, "socket", lambda *_: FakeSocket())
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    Dialer(parse_endpoint_url(url)).connect(monotonic() + 5.0)


def found(*hosts):
    return lambda _, port, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]


def test_the_addresses_of_a_name_are_tried_until_one_answers(monkeypatch):
    sockets = [FakeSocket(system_error(errno.ECONNREFUSED)), FakeSocket(), FakeSocket()]
    waiting = iter(sockets)
    monkeypatch.setattr(socket, "getaddrinfo", found("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    monkeypatch.setattr(socket, "socket", lambda *_: next(waiting))
    Dialer(parse_endpoint_url("http://app:81")).connect(monotonic() + 5.0)
    assert [sock.connected_to for sock in sockets] == [None, ("10.0.0.2", 81), None]
    assert [sock.closed for sock in sockets] == [True, False, False]


def test_when_no_address_answers_the_last_failure_is_told(monkeypatch):
    sockets = iter([FakeSocket(system_error(errno.EHOSTUNREACH)), FakeSocket(ConnectionRefusedError())])
    monkeypatch.setattr(socket, "getaddrinfo", found("10.0.0.1", "10.0.0.2"))
    monkeypatch.setattr(socket, "socket", lambda *_: next(sockets))
    with pytest.raises(CheckFailed, match=r"^connect refused$"):
        Dialer(parse_endpoint_url("http://app")).connect(monotonic() + 5.0)


def test_no_further_address_is_tried_when_the_time_is_over(monkeypatch):
    sockets = iter([FakeSocket(TimeoutError())])
    monkeypatch.setattr(socket, "getaddrinfo", found("10.0.0.1", "10.0.0.2"))
    monkeypatch.setattr(socket, "socket", lambda *_: next(sockets))
    with pytest.raises(OutOfTime, match=r"^connect timeout$"):
        Dialer(parse_endpoint_url("http://app")).connect(monotonic() + 5.0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name not found: app"),
        (socket.gaierror(socket.EAI_NODATA, "No address"), "name not found: app"),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "name look-up failed: temporary failure in name resolution",
        ),
        (system_error(errno.EMFILE), "name look-up failed: no file descriptors left"),
    ],
)
def test_a_name_that_cannot_be_looked_up_is_said_in_words(monkeypatch, error, text):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(CheckFailed) as caught:
        Dialer(parse_endpoint_url("http://app")).connect(monotonic() + 5.0)
    assert str(caught.value) == text


def test_a_name_without_addresses_is_told(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", found())
    with pytest.raises(CheckFailed, match=r"^name without an address: app$"):
        Dialer(parse_endpoint_url("http://app")).connect(monotonic() + 5.0)


def looked_up_again(monkeypatch, outage):
    """Return the addresses that are dialled when a name was found once, and at the next look-up is not."""
    sockets = [FakeSocket(), FakeSocket()]
    waiting = iter(sockets)
    monkeypatch.setattr(socket, "socket", lambda *_: next(waiting))
    dialer = Dialer(parse_endpoint_url("http://app:81"))
    for look_up in (found("10.0.0.1"), outage):
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        dialer.connect(monotonic() + 5.0)
    return [sock.connected_to for sock in sockets]


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "x"), socket.gaierror(socket.EAI_FAIL, "x"), OSError()]
)
def test_while_the_resolver_is_out_the_addresses_found_before_are_used(monkeypatch, error):
    assert looked_up_again(monkeypatch, failing(error)) == [("10.0.0.1", 81)] * 2


def test_a_name_found_anew_replaces_its_addresses(monkeypatch):
    assert looked_up_again(monkeypatch, found("10.0.0.9")) == [("10.0.0.1", 81), ("10.0.0.9", 81)]


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_is_gone_has_no_addresses_any_more(monkeypatch, code):
    with pytest.raises(CheckFailed, match=r"^name not found: app$"):
        looked_up_again(monkeypatch, failing(socket.gaierror(code, "x")))


def test_nothing_is_begun_when_the_time_is_over():
    with pytest.raises(OutOfTime, match=r"^connect timeout$"):
        Dialer(parse_endpoint_url("http://127.0.0.1")).connect(monotonic())
    with pytest.raises(OutOfTime, match=r"^name look-up timeout$"):
        Dialer(parse_endpoint_url("http://app")).connect(monotonic())


def test_each_wait_on_a_line_has_what_is_left_of_the_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr(tcp_probe, "monotonic", lambda: now)
    sock = FakeSocket()
    line = Line(sock, 102.0)
    line.sendall(b"x")
    now = 101.5
    line.recv_into(memoryview(bytearray(1)))
    assert sock.timeouts == [2.0, 0.5]
    now = 102.0
    with pytest.raises(OutOfTime):
        line.recv_into(memoryview(bytearray(1)))
    with pytest.raises(OutOfTime):
        line.sendall(b"x")


@pytest.mark.parametrize("call", [lambda line: line.sendall(b"x"), lambda line: line.recv_into(bytearray(1))])
def test_a_timeout_of_the_socket_ends_the_check_and_one_of_the_system_is_an_error(call):
    with pytest.raises(OutOfTime, match=r"^timeout$"):
        call(Line(FakeSocket(TimeoutError("timed out")), monotonic() + 5.0))
    with pytest.raises(TimeoutError):
        call(Line(FakeSocket(system_error(errno.ETIMEDOUT)), monotonic() + 5.0))


def test_what_is_left_of_a_time():
    assert 4.0 < left(monotonic() + 5.0, "x") <= 5.0
    with pytest.raises(OutOfTime, match=r"^x$"):
        left(monotonic() - 1.0, "x")


def test_an_error_without_words_is_unknown():
    assert in_words(OSError()) == "unknown reason"


def test_a_tcp_check_is_content_with_a_connection():
    assert tcp_check(Line(FakeSocket(), 0.0)) == "connected"
