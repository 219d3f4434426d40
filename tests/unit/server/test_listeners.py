"""Which listener is which, and what stands in the way of listening."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbg.net.address import Bind, parse_bind
from lbg.server import listeners
from lbg.server.listeners import complaint, names


class Listening:
    """A listening socket, as far as its name goes."""

    def __init__(self, name: object) -> None:
        self._name = name

    def getsockname(self) -> object:
        """Return the name."""
        return self._name


def named(sockets: list[object], public: list[str], admin: str) -> list[str]:
    return names(
        [Listening(name) for name in sockets], [parse_bind(text) for text in public], parse_bind(admin)
    )


@pytest.mark.parametrize(
    ("sockets", "public", "admin", "expected"),
    [
        ([("0.0.0.0", 8080), ("127.0.0.1", 9090)], ["0.0.0.0:8080"], "127.0.0.1:9090", ["public", "admin"]),
        ([("127.0.0.1", 9090), ("0.0.0.0", 8080)], ["0.0.0.0:8080"], "127.0.0.1:9090", ["admin", "public"]),
        ([("10.0.0.1", 9090), ("127.0.0.1", 9090)], ["10.0.0.1:9090"], "127.0.0.1:9090", ["public", "admin"]),
        ([("::1", 9090, 0, 0), ("::", 80, 0, 0)], ["[::]:80"], "[::1]:9090", ["admin", "public"]),
        (["/run/a.sock", "/run/b.sock"], ["unix:/run/b.sock"], "unix:/run/a.sock", ["admin", "public"]),
        (["/run/a.sock", ("127.0.0.1", 9090)], ["unix:/run/a.sock"], "localhost:9090", ["public", "admin"]),
        ([("0.0.0.0", 40001), ("127.0.0.1", 40002)], ["0.0.0.0:0"], "127.0.0.1:0", ["public", "admin"]),
        (
            [("0.0.0.0", 40001), ("0.0.0.0", 40002), ("127.0.0.1", 40003)],
            ["0.0.0.0:0", "0.0.0.0:0"],
            "127.0.0.1:0",
            ["public", "public", "admin"],
        ),
        ([("0.0.0.0", 8080)], ["0.0.0.0:8080"], "127.0.0.1:9090", ["public"]),
    ],
)
def test_listeners_are_told_apart_by_address_or_else_by_order(
    sockets: list[object], public: list[str], admin: str, expected: list[str]
) -> None:
    assert named(sockets, public, admin) == expected


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Give a socket that listens on a port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_free_port_is_nothing_to_complain_of() -> None:
    assert complaint(Bind("tcp", "127.0.0.1", 0, "")) is None


def test_a_port_in_use_names_the_process_that_holds_it(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    command = Path("/proc/self/comm").read_text().strip()
    assert complaint(Bind("tcp", "127.0.0.1", port, "")) == (
        f"cannot listen on 127.0.0.1:{port}: already in use by {command} (pid {os.getpid()}); "
        "stop that process or choose another address"
    )


def test_a_port_in_use_is_said_where_the_process_cannot_be_found(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_processes", list)
    port = taken.getsockname()[1]
    assert complaint(Bind("tcp", "127.0.0.1", port, "")) == (
        f"cannot listen on 127.0.0.1:{port}: already in use; stop that process or choose another address"
    )


def test_asking_leaves_the_port_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bind = Bind("tcp", "127.0.0.1", port, "")
    assert [complaint(bind), complaint(bind)] == [None, None]


def failing_with(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every bind fail with `code`."""

    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket, "socket", Refusing)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EACCES, "need root or the capability CAP_NET_BIND_SERVICE; choose a higher port"),
        (errno.EADDRNOTAVAIL, "no interface of this machine has that address"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
    ],
)
def test_other_obstacles_are_said_in_words(code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_with(code, monkeypatch)
    found = complaint(Bind("tcp", "127.0.0.1", 80, ""))
    assert found is not None
    assert found.startswith("cannot listen on 127.0.0.1:80: ")
    assert found.endswith(said)


def test_a_host_that_cannot_be_resolved_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert complaint(Bind("tcp", "no.such.host", 80, "")) == (
        "cannot listen on no.such.host:80: the host name cannot be resolved (Name or service not known)"
    )


def unix(path: Path) -> str | None:
    return complaint(Bind("unix", "", 0, str(path)))


def test_a_new_socket_path_is_nothing_to_complain_of(tmp_path: Path) -> None:
    assert unix(tmp_path / "a.sock") is None


def test_a_socket_path_without_its_directory_is_said(tmp_path: Path) -> None:
    found = unix(tmp_path / "none" / "a.sock")
    assert found is not None
    assert found.endswith(f"there is no directory {tmp_path / 'none'}")


def test_a_file_in_the_place_of_a_socket_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.sock").touch()
    found = unix(tmp_path / "a.sock")
    assert found is not None
    assert "exists and is not a socket" in found


def test_a_socket_somebody_listens_on_is_said_and_one_left_behind_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        found = unix(path)
        assert found is not None
        assert "already in use" in found
    assert unix(path) is None
    assert path.exists()
