"""Conversations of a client with a connection of our server, over a socket pair."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

from lbg.net.stream import Stream
from lbg.server.environ import base_environ
from lbg.server.http1 import Http1Connection
from tests.unit.net.stream_pair import read_all, stream_pair
from tests.unit.server.services import TickedService

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Conversation:
    """A client's side of a connection, and the service behind it."""

    def __init__(self, client: Stream, ours: Stream, service: TickedService) -> None:
        self.client = client
        self.ours = ours
        self.service = service
        environ = base_environ("http", ("127.0.0.1", "8080"), multiprocess=True)
        environ |= {"REMOTE_ADDR": "9.9.9.9", "REMOTE_PORT": "4711", "lbg.listener": "public"}
        self.serving: Any = gevent.spawn(lambda: self._serve(ours, environ))
        self.connection: Http1Connection | None = None

    def _serve(self, ours: Stream, environ: dict[str, Any]) -> None:
        self.connection = Http1Connection(self.service, ours, environ)
        self.connection.serve()

    def say(self, *pieces: bytes) -> "Conversation":
        """Send pieces, each in a turn of its own."""
        for piece in pieces:
            self.client.send(piece)
            gevent.idle()
        return self

    def rest(self) -> bytes:
        """End the client's side and return all that it still gets, once the connection is over."""
        self.client.end_writing()
        data = read_all(self.client)
        self.serving.get()
        return data

    def answer(self) -> tuple[bytes, bytes]:
        """Return head and body of the next answer, which must have a length."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.client.recv(1)
            assert byte, f"ended after {head!r}"
            head += byte
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = b""
        while len(body) < length:
            body += self.client.recv(length - len(body))
        return head, body


@contextmanager
def conversation(application: Application, **settings: Any) -> Iterator[Conversation]:
    """Lend a conversation with `application`."""
    with stream_pair() as (client, ours):
        talk = Conversation(client, ours, TickedService(application, **settings))
        gevent.idle()
        yield talk
        client.close()
        talk.serving.kill()


def ask(application: Application, *pieces: bytes, **settings: Any) -> bytes:
    """Return all that the client gets when it sends `pieces` and then no more."""
    with conversation(application, **settings) as talk:
        return talk.say(*pieces).rest()


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the target and the body."""
    body = environ["RAW_URI"].encode("latin-1") + b" " + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def bodies(answers: bytes) -> list[bytes]:
    """Return the bodies of answers with a length, one after the other."""
    found = []
    while answers:
        head, _, answers = answers.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(answers[:length])
        answers = answers[length:]
    return found
