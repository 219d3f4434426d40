"""Which listener is which, and whether an address can be bound before anything is started."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbg.net.address import Bind

_LISTENING: Final = "0A"  # state column of /proc/net/tcp, TCP_LISTEN in include/net/tcp_states.h
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


def names(sockets: Sequence[Any], public: Sequence[Bind], admin: Bind) -> list[str]:
    """Return "public" or "admin" for each of the listening `sockets`.

    Inherited sockets (systemd, USR2) are told apart by their address. Ports that the kernel chose
    are told apart by their order, which gunicorn keeps.
    """
    by_address = ["admin" if _matches(sock, admin) else "public" for sock in sockets]
    if "admin" in by_address or len(sockets) != len(public) + 1:
        return by_address
    return ["public"] * len(public) + ["admin"]


def _matches(sock: Any, bind: Bind) -> bool:
    name = sock.getsockname()
    if isinstance(name, tuple):
        return bind.family == "tcp" and bind.port == name[1] and _same_host(bind.host, str(name[0]))
    return bind.family == "unix" and bind.path == name


def _same_host(host: str, actual: str) -> bool:
    try:
        return actual in {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return host == actual


def complaint(bind: Bind) -> str | None:
    """Return one sentence that says why `bind` cannot be listened on, None when it can."""
    try:
        _try(bind)
    except OSError as error:
        return f"cannot listen on {bind.text}: {_explain(bind, error)}"
    return None


def _try(bind: Bind) -> None:
    if bind.family == "unix":
        _try_unix(Path(bind.path))
        return
    family, kind, _, _, address = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1)  # SO_REUSEADDR lets two binds pass; only one of them can listen


def _try_unix(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, f"no permission to write to {path.parent}")
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "the path exists and is not a socket; remove it or choose another")
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except ConnectionRefusedError:
            return  # left behind by a process that is gone: gunicorn replaces it
    raise OSError(errno.EADDRINUSE, "in use")


def _explain(bind: Bind, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(bind.port) if bind.family == "tcp" else None
        by = f" by {holder}" if holder else ""
        return f"already in use{by}; stop that process or choose another address"
    if error.errno == errno.EACCES and bind.family == "tcp":
        return (
            f"ports below {_first_unprivileged()} need root or the capability CAP_NET_BIND_SERVICE; "
            "choose a higher port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address"
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved ({error.strerror})"
    return str(error.strerror)


def _first_unprivileged() -> str:
    try:
        return Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip()
    except OSError:
        return "1024"


def _holder(port: int) -> str | None:
    """Return `name (pid N)` of the process that listens on `port`, None where /proc does not tell."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    for process in _processes():
        if _holds(process, inodes):
            return f"{_command(process)} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> Iterable[str]:
    for table in ("tcp", "tcp6"):
        try:
            rows = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _processes() -> list[Path]:
    try:
        found = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        return []
    # The lowest pid first: a master before the workers that inherited its socket.
    return sorted(found, key=lambda path: int(path.name))


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # gone meanwhile, or another user's
        return False
    links = map(_target, descriptors)
    return any((match := _SOCKET.fullmatch(link)) and match[1] in inodes for link in links)


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # closed meanwhile
        return ""


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip() or "a process"
    except OSError:
        return "a process"
