"""A backend in a process of its own, which can be killed, frozen, and told how to answer."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import address as addresses
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PROBE = b"\r\nUser-Agent: lbg-health/"


@dataclass(frozen=True)
class Behaviour:
    """How requests and health probes are answered: with which status, and after how many seconds."""

    status: int = 200
    delay: float = 0.0
    probe_status: int = 200
    probe_delay: float = 0.0


class BackendProcess:
    """Answers every request with `name` as its body. Each start is on the same address.

    It ends with the `with` block, and by itself when the process that started it has died.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._reserved = addresses.bound_socket(("127.0.0.1", 0))
        self.address = addresses.local_address(self._reserved)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Show where it is and whether it runs."""
        return f"<BackendProcess {self.name} {self.url} pid={self._process and self._process.pid}>"

    @property
    def url(self) -> str:
        """The address as a pool's `endpoints` list writes it."""
        return addresses.url(self.address)

    def start(self) -> None:
        """Run it, and wait until it listens; it answers at once and with 200."""
        port = self.address[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.backend_process", self.name, str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        eventually(self._listens, timeout=15.0, what=f"{self!r} to listen")

    def behave(self, behaviour: Behaviour) -> None:
        """Let it answer in another way from now on; what is being answered is not changed."""
        stdin = self._running().stdin
        assert stdin
        stdin.write(json.dumps(asdict(behaviour)).encode() + b"\n")
        stdin.flush()

    def freeze(self) -> None:
        """Stop it as a process that hangs: the system goes on accepting its connections."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, frozen or not; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin
            process.stdin.close()

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and give up the address."""
        self.kill()
        self._reserved.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError(f"{self!r} does not run")
        return self._process

    def _listens(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"{self!r} ended at its start")
        try:
            addresses.connect(self.address, 1.0).close()
        except ConnectionRefusedError:
            return False
        return True


class _Server:
    """What runs in the process: a line of JSON on stdin changes `behaviour`, its end ends the server."""

    def __init__(self, name: str) -> None:
        self._body = name.encode()
        self._behaviour = Behaviour()

    async def run(self, listener: socket.socket) -> None:
        stdin = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        server = await asyncio.start_server(self._serve, sock=listener, backlog=1024)
        while line := await stdin.readline():
            self._behaviour = Behaviour(**json.loads(line))
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                await self._answer(writer, probe=PROBE in head)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, *, probe: bool) -> None:
        now = self._behaviour
        status, delay = (now.probe_status, now.probe_delay) if probe else (now.status, now.delay)
        await asyncio.sleep(delay)
        length = len(self._body)
        writer.write(b"HTTP/1.1 %d Told\r\nContent-Length: %d\r\n\r\n%b" % (status, length, self._body))
        await writer.drain()


def main() -> None:
    """Serve as `NAME` on `PORT` of the loopback interface until stdin ends."""
    name, port = sys.argv[1:]
    asyncio.run(_Server(name).run(addresses.bound_socket(("127.0.0.1", int(port)))))


if __name__ == "__main__":
    main()
