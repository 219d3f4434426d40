"""Connecting to an address, with the system's answers made up."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.event import Event

from lbg.errors import Sent, UpstreamError
from lbg.net.address import parse_endpoint_url
from lbg.net.stream import Stream
from lbg.upstream import dialer as module
from lbg.upstream.dialer import Dialer


def dialer(url: str) -> Dialer:
    return Dialer(parse_endpoint_url(url))


class Dialled:
    """A socket whose connect ends as the test says: `codes` by address, later ones after a wait."""

    codes: dict[object, int] = {}
    later: dict[object, int] = {}
    dialled: list[object] = []
    made: list["Dialled"] = []

    def __init__(self, family: int, kind: int) -> None:
        self._pair = socket.socketpair()
        self._code = 0
        self.family = family
        self.options: list[tuple[int, ...]] = []
        self.made.append(self)

    def connect_ex(self, address: object) -> int:
        """Return the code for `address`."""
        self.dialled.append(address)
        self._code = self.later.get(address, 0)
        return self.codes.get(address, 0)

    def getsockopt(self, *_: int) -> int:
        """Return how a connect under way ended."""
        return self._code

    def setsockopt(self, *option: int) -> None:
        """Note the option."""
        self.options.append(option)

    def setblocking(self, flag: bool) -> None:
        """Pass it on."""
        self._pair[0].setblocking(flag)

    def fileno(self) -> int:
        """Return the descriptor of one end."""
        return self._pair[0].fileno()

    def close(self) -> None:
        """Close both ends."""
        for end in self._pair:
            end.close()


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Dialled]]:
    for name, empty in (("codes", {}), ("later", {}), ("dialled", []), ("made", [])):
        monkeypatch.setattr(Dialled, name, empty)
    monkeypatch.setattr(module, "Socket", Dialled)
    yield Dialled
    for sock in Dialled.made:
        sock.close()


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give the dict of names that resolve; a value that is an error is raised."""
    names: dict[str, Any] = {}

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        found = names[host]
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(gevent_socket, "getaddrinfo", getaddrinfo)
    return names


def connect(dialer: Dialer) -> Stream:
    stream = dialer.connect(5.0)
    stream.close()
    return stream


def failure(dialer: Dialer) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        dialer.connect(5.0)
    assert caught.value.sent is Sent.NOTHING
    return caught.value


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("http://[::1]:8000", ("::1", 8000)),
        ("unix:/run/app.sock", "/run/app.sock"),
    ],
)
def test_an_address_needs_no_look_up(dialled: type[Dialled], url: str, address: object) -> None:
    connect(dialer(url))
    assert dialled.dialled == [address]


def test_tcp_sends_small_pieces_at_once(dialled: type[Dialled]) -> None:
    connect(dialer("http://127.0.0.1:1"))
    connect(dialer("unix:/run/app.sock"))
    assert [sock.options for sock in dialled.made] == [[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)], []]


def test_a_name_is_looked_up_and_its_addresses_tried_in_order(
    dialled: type[Dialled], resolving: dict[str, Any]
) -> None:
    resolving["a"] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    dialled.codes = {("10.0.0.1", 80): errno.ECONNREFUSED}
    connect(dialer("http://a"))
    assert dialled.dialled == [("10.0.0.1", 80), ("10.0.0.2", 80)]


def test_when_no_address_answers_the_last_failure_counts(
    dialled: type[Dialled], resolving: dict[str, Any]
) -> None:
    resolving["a"] = ["10.0.0.1", "10.0.0.2"]
    dialled.codes = {("10.0.0.1", 80): errno.ECONNREFUSED, ("10.0.0.2", 80): errno.ENETUNREACH}
    assert str(failure(dialer("http://a"))) == "connect_refused: connect failed: network is unreachable"


def test_a_name_that_does_not_resolve_is_a_dns_failure(resolving: dict[str, Any]) -> None:
    resolving["a"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert str(failure(dialer("http://a"))) == "dns_failure: a: Name or service not known"


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_when_a_look_up_fails_the_addresses_found_before_are_used(
    dialled: type[Dialled], resolving: dict[str, Any], error: OSError
) -> None:
    endpoint = dialer("http://a")
    resolving["a"] = ["10.0.0.1"]
    connect(endpoint)
    resolving["a"] = error
    connect(endpoint)
    assert dialled.dialled == [("10.0.0.1", 80)] * 2


def test_a_name_found_anew_replaces_its_addresses(dialled: type[Dialled], resolving: dict[str, Any]) -> None:
    endpoint = dialer("http://a")
    for address in ("10.0.0.1", "10.0.0.2"):
        resolving["a"] = [address]
        connect(endpoint)
    assert dialled.dialled == [("10.0.0.1", 80), ("10.0.0.2", 80)]


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_a_connect(
    dialled: type[Dialled], resolving: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = dialer("http://a"), dialer("http://a")
    resolving["a"] = ["10.0.0.1"]
    connect(known)
    monkeypatch.setattr(gevent_socket, "getaddrinfo", lambda *_, **__: Event().wait())
    with pytest.raises(UpstreamError) as caught:
        unknown.connect(0.001)
    assert str(caught.value) == "dns_failure: a: not resolved within 0.001 s"
    known.connect(0.001).close()
    assert dialled.dialled == [("10.0.0.1", 80)] * 2


def test_a_name_without_addresses_is_a_dns_failure(resolving: dict[str, Any]) -> None:
    resolving["a"] = []
    assert failure(dialer("http://a")).reason.code == "dns_failure"


@pytest.mark.parametrize(
    ("code", "reason", "detail"),
    [
        (errno.ECONNREFUSED, "connect_refused", "connect refused"),
        (errno.ENOENT, "connect_refused", "connect failed: no such file or directory"),
        (errno.EHOSTUNREACH, "connect_refused", "connect failed: no route to host"),
        (errno.ETIMEDOUT, "connect_timeout", "connect timeout by the system"),
    ],
)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_connect_that_fails_says_how(
    dialled: type[Dialled], code: int, reason: str, detail: str, when: str
) -> None:
    address = ("127.0.0.1", 1)
    dialled.codes = {address: code if when == "at once" else errno.EINPROGRESS}
    dialled.later = {address: code}
    failed = failure(dialer("http://127.0.0.1:1"))
    assert (failed.reason.code, failed.detail) == (reason, detail)
    assert dialled.made[0].fileno() == -1


OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EPERM)
THEIRS = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EACCES, errno.ETIMEDOUT)


@pytest.mark.parametrize(
    ("code", "blameless"), [*[(code, True) for code in OURS], *[(code, False) for code in THEIRS]]
)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_what_fails_by_this_machine_is_without_blame(
    dialled: type[Dialled], code: int, blameless: bool, when: str
) -> None:
    address = ("127.0.0.1", 1)
    dialled.codes = {address: code if when == "at once" else errno.EINPROGRESS}
    dialled.later = {address: code}
    assert failure(dialer("http://127.0.0.1:1")).blameless is blameless


def test_a_connect_under_way_is_awaited(dialled: type[Dialled], monkeypatch: pytest.MonkeyPatch) -> None:
    dialled.codes = {("127.0.0.1", 1): errno.EINPROGRESS}
    awaited: list[Stream] = []

    def at_once(stream: Stream) -> None:
        awaited.append(stream)

    monkeypatch.setattr(Stream, "wait_writable", at_once)
    assert [connect(dialer("http://127.0.0.1:1"))] == awaited


def test_a_connect_that_takes_too_long_is_a_timeout(
    dialled: type[Dialled], monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled.codes = {("127.0.0.1", 1): errno.EINPROGRESS}
    streams: list[Stream] = []

    def never(stream: Stream) -> None:
        streams.append(stream)
        gevent.spawn_later(0, _overdue, stream)
        stream.wait_readable()

    monkeypatch.setattr(Stream, "wait_writable", never)
    failed = failure(dialer("http://127.0.0.1:1"))
    assert (failed.reason.code, failed.detail) == ("connect_timeout", "connect timeout after 5.0 s")
    assert streams[0].closed


def _overdue(stream: Stream) -> None:
    stream.deadline = 0.0
    stream.expire()


def test_no_descriptors_left_is_a_failure_without_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "Socket", exhausted)
    failed = failure(dialer("http://127.0.0.1:1"))
    assert (failed.reason.code, failed.detail) == ("connect_refused", "connect failed: Too many open files")
    assert failed.blameless
