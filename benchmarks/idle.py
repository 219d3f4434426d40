"""A thousand clients that have each made one request and now keep their connection."""

import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.client import Client, WrongAnswerError, check

COUNT = 1000


@contextmanager
def idle_connections(port: int, path: str, body_size: int, count: int = COUNT) -> Iterator[None]:
    """Hold the connections open during the block; raise `WrongAnswerError` if the proxy closed some."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(port, buffer_size=4096)) for _ in range(count)]
        for client in clients:
            check(client.get(path), body_size)
        yield
        closed = _readable(clients)
        if closed:
            raise WrongAnswerError(f"{closed} of {count} idle connections were closed by the proxy")


def _readable(clients: list[Client]) -> int:
    """How many have something to read, which after a whole answer can only be their end."""
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    return len(poll.poll(0))
