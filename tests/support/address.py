"""Addresses that tests listen on and connect to."""

import socket

Address = tuple[str, int] | str
"""A (host, port) pair, or the path of a unix socket."""


def family(address: Address) -> socket.AddressFamily:
    """Return the socket family that an address belongs to."""
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def authority(address: Address) -> str:
    """Return host:port as a URL or a Host field writes it."""
    if isinstance(address, str):
        return "localhost"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(address: Address) -> str:
    """Return the address as the `endpoints` list of a pool writes it."""
    return f"unix:{address}" if isinstance(address, str) else f"http://{authority(address)}"


def connect(address: Address, timeout: float) -> socket.socket:
    """Open a stream connection whose small sends leave at once."""
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        send_at_once(sock)
    except OSError:
        sock.close()
        raise
    return sock


def send_at_once(sock: socket.socket) -> None:
    """Switch Nagle's delay off where the socket has one."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def bound_socket(address: Address) -> socket.socket:
    """Bind without listening.

    Linux lets a second socket with SO_REUSEADDR bind and listen on the same port as long as this
    one does not listen, gives the port to nobody who asks for any port, and refuses connections
    meanwhile. So a held socket reserves a port for a process that is started, or started again, later.
    """
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def local_address(sock: socket.socket) -> Address:
    """Return where a bound socket is."""
    name = sock.getsockname()
    return name if isinstance(name, str) else (name[0], name[1])
