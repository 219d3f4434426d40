"""Request bodies as our server's `wsgi.input` gives them."""

from io import BytesIO

from gevent.queue import Queue

from lbg.http.headers import Fields


class Arriving(BytesIO):
    """Gives its pieces one by one, and all at once when they `came` already."""

    def __init__(self, *pieces: bytes, came: bool = False, trailers: Fields | None = None) -> None:
        super().__init__()
        self._pieces = list(pieces)
        self._came = came
        self.trailers = trailers or []
        self.relayed: list[float] = []

    def ready(self) -> bytes | None:
        """Return everything when it came."""
        return self._take() if self._came else None

    def read_some(self) -> bytes:
        """Return the next piece."""
        return self._pieces.pop(0) if self._pieces else b""

    def relay_to(self, sink: object, idle: float) -> int:
        """Pretend to move the rest."""
        self.relayed.append(idle)
        return len(self._take())

    def _take(self) -> bytes:
        rest, self._pieces = b"".join(self._pieces), []
        return rest


class Waiting(BytesIO):
    """Waits until the test puts the next piece, or what is raised instead, into `queue`."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[bytes | Exception] = Queue()
        self.waits: list[float] = []

    def read_some(self) -> bytes:
        """Return the next piece."""
        item: bytes | Exception = self.queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def wait_for_bytes(self, seconds: float) -> None:
        """Note the wait."""
        self.waits.append(seconds)
