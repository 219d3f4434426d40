"""A backend that reads a request body of any size and answers with the number of bytes it got.

The bytes are dropped inside the kernel (`MSG_TRUNC`), so the sink costs far less than any proxy before it.
"""

import re
import socket
import sys
import threading

CHUNK = 1 << 20
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


def answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def discard(client: socket.socket, count: int, scratch: bytearray) -> bool:
    """Drop `count` bytes of the stream; False when the client left before."""
    while count > 0:
        dropped = client.recv_into(scratch, min(count, CHUNK), socket.MSG_TRUNC)
        if dropped == 0:
            return False
        count -= dropped
    return True


def serve(client: socket.socket) -> None:
    """Answer the requests of one connection until it closes."""
    scratch = bytearray(CHUNK)
    received = b""
    with client:
        while True:
            while b"\r\n\r\n" not in received:
                more = client.recv(65536)
                if not more:
                    return
                received += more
            head, _, received = received.partition(b"\r\n\r\n")
            if CHUNKED.search(head):
                client.sendall(answer(b"411 Length Required", b"the length was lost on the way\n"))
                return
            declared = CONTENT_LENGTH.search(head)
            length = int(declared[1]) if declared else 0
            if re.search(rb"\r\nexpect:[ \t]*100-continue", head, re.IGNORECASE):
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if not discard(client, length - len(received), scratch):
                return
            received = received[length:]
            client.sendall(answer(b"200 OK", b"%d\n" % length))


def listen(port: int) -> None:
    """Serve on the loopback for ever, one thread a connection."""
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    listen(int(sys.argv[1]))
