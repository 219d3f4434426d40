"""What the tests of checks share: a pool, and a wire that says what it is told to."""

from collections import deque

from lbg.config.pools import PoolConfig


def pool_of(url="http://127.0.0.1:8000", tls=None, **health):
    """Return the configuration of a pool with one endpoint."""
    return PoolConfig.model_validate({"endpoints": [url], "health": health, "tls": tls or {}})


class ScriptedWire:
    """Gives the `pieces` one by one and then the end; a piece that is an exception is raised."""

    def __init__(self, *pieces):
        self.sent = b""
        self.taken = 0
        self._pieces = deque(pieces)

    def sendall(self, data):
        self.sent += data

    def recv_into(self, buffer):
        piece = self._pieces.popleft() if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        taken = piece[: len(buffer)]
        if len(piece) > len(taken):
            self._pieces.appendleft(piece[len(taken) :])
        buffer[: len(taken)] = taken
        self.taken += len(taken)
        return len(taken)
