"""Looking at a socket without reading from it."""

import select
import socket


def readable(sock: socket.socket) -> bool:
    """Whether bytes, an end, or a connection to accept wait on the socket.

    It polls with an object of its own: another thread may be blocked in a poll of the same socket.
    """
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
