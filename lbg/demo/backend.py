"""One backend of the demo: `python -m lbg.demo.backend NAME`, with a listening socket for stdin."""

import json
import math
import signal
import socket
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs

from lbg.demo.request_body import BodyError, read_body

_MAX_BODY = 1 << 20
_EVENT_PAUSE = 1.0
_SLOW = 2.0
_SLOWEST = 30.0


def seconds_wanted(query: str) -> float:
    """Return the delay that `?seconds=N` asks for, within bounds. Raises ValueError when it is no number."""
    seconds = float(parse_qs(query).get("seconds", [str(_SLOW)])[-1])
    if math.isnan(seconds):
        raise ValueError("seconds is not a number")
    return min(max(seconds, 0.0), _SLOWEST)


class BackendServer(ThreadingHTTPServer):
    """Serves a socket that listens already."""

    def __init__(self, name: str, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.name = name
        self.socket.close()
        self.socket = listener

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that leaves is no error
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Answers the four paths of the demo."""

    protocol_version = "HTTP/1.1"
    server_version = "lbg-demo"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    server: BackendServer

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            body = read_body(self.headers, self.rfile, _MAX_BODY)
        except BodyError as error:
            self.close_connection = True
            self._text(error.status, error.status.phrase)
            return
        match path:
            case "/":
                self._text(HTTPStatus.OK, f"Hello from {self.server.name}.")
            case "/slow":
                self._slow(query)
            case "/events":
                self._events()
            case "/echo":
                self._echo(body)
            case _:
                self._text(HTTPStatus.NOT_FOUND, "There is only /, /slow, /events and /echo.")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _slow(self, query: str) -> None:
        try:
            seconds = seconds_wanted(query)
        except ValueError:
            self._text(HTTPStatus.BAD_REQUEST, "seconds must be a number.")
            return
        time.sleep(seconds)
        self._text(HTTPStatus.OK, f"Hello from {self.server.name} after {seconds:g} s.")

    def _echo(self, body: bytes) -> None:
        document = {
            "backend": self.server.name,
            "method": self.command,
            "target": self.path,
            "headers": {name: ", ".join(self.headers.get_all(name, ())) for name in self.headers},
            "body": body.decode(errors="backslashreplace"),
        }
        self._reply(HTTPStatus.OK, "application/json", json.dumps(document, indent=2).encode() + b"\n")

    def _events(self) -> None:
        chunked = self.request_version == "HTTP/1.1"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()
        if self.command == "HEAD":
            return
        for number in count(1):
            event = f"id: {number}\ndata: event {number} from {self.server.name}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
            self.wfile.flush()
            time.sleep(_EVENT_PAUSE)

    def _text(self, status: HTTPStatus, text: str) -> None:
        self._reply(status, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Say nothing: the screen belongs to lbg."""


def main() -> None:
    """Serve until killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # `kill -INT` ends it without a traceback
    BackendServer(sys.argv[1], socket.socket(fileno=sys.stdin.fileno())).serve_forever()


if __name__ == "__main__":
    main()
