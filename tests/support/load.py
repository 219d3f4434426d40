"""Many clients at once, and what became of each of their requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from tests.support.address import Address
from tests.support.client import NoResponseError, RawClient, RawResponse
from tests.support.message import MalformedMessageError
from tests.support.waiting import eventually


class Load:
    """`concurrency` clients in threads send GET requests until `total` are answered or the block ends.

    `bodies` counts the good answers by their body, `failures` says what else came. A kept connection that
    closes unannounced between two requests is no failure: as browsers do, the client asks once more on a
    new one and counts it in `stale` (RFC 9112 section 9.3.1). With `keep_alive=False` each request has a
    connection of its own and nothing is asked twice. With a `rate` that many begin in a second, as long as
    there is a client that has nothing to wait for. `cut` counts the failures that were an answer cut in
    its middle, `slowest` is the longest time in seconds that an answer took.
    """

    def __init__(
        self,
        address: Address,
        *,
        concurrency: int,
        total: int | None = None,
        target: str = "/",
        keep_alive: bool = True,
        rate: float = 0.0,
        timeout: float = 10.0,
    ) -> None:
        self.address = address
        self.concurrency = concurrency
        self.total = total
        self.target = target
        self.keep_alive = keep_alive
        self.rate = rate
        self.timeout = timeout
        self.cut = 0
        self.slowest = 0.0
        self.bodies: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self.stale = 0
        self._begun = 0
        self._started = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __repr__(self) -> str:
        """Show how far it is."""
        return (
            f"<Load {self.done} done, {len(self.failures)} failed, {self.stale} stale: {self.failures[:5]}>"
        )

    @property
    def done(self) -> int:
        """How many requests are over, well or not."""
        return self.bodies.total() + len(self.failures)

    def wait_for(self, count: int, timeout: float = 15.0) -> None:
        """Wait until `count` more requests are over."""
        goal = self.done + count
        eventually(lambda: self.done >= goal, timeout, f"{self!r} to do {count} more")

    def finish(self, timeout: float = 15.0) -> None:
        """Wait until the clients have ended: `total` requests are over."""
        eventually(lambda: not any(one.is_alive() for one in self._threads), timeout, f"{self!r} to end")

    def stop(self) -> None:
        """Begin no more requests, and wait for those under way."""
        self._stopping.set()
        self.finish()

    def __enter__(self) -> Self:
        """Start the clients."""
        self._started = time.monotonic()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.concurrency)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clients."""
        self.stop()

    def _more(self) -> bool:
        with self._lock:
            self._begun += 1
            number = self._begun
        if self.rate:
            self._stopping.wait(max(0.0, self._started + number / self.rate - time.monotonic()))
        return not self._stopping.is_set() and (self.total is None or number <= self.total)

    def _run(self) -> None:
        client: RawClient | None = None
        while self._more():
            begun = time.monotonic()
            client = self._one_request(client)
            self.slowest = max(self.slowest, time.monotonic() - begun)
        if client is not None:
            client.close()

    def _one_request(self, kept: RawClient | None) -> RawClient | None:
        client = kept
        try:
            if client is not None:
                try:
                    return self._note(client, client.request("GET", self.target))
                except (BrokenPipeError, ConnectionResetError):
                    self.stale += 1
                except NoResponseError as error:
                    if error.partial:
                        raise
                    self.stale += 1
                client.close()
            client = RawClient(self.address, self.timeout)
            return self._note(client, client.request("GET", self.target))
        except (OSError, NoResponseError, MalformedMessageError) as error:
            self._fail(repr(error))
        if client is not None:
            client.close()
        return None

    def _note(self, client: RawClient, response: RawResponse) -> RawClient | None:
        if response.status == 200 and response.complete:
            with self._lock:
                self.bodies[response.body] += 1
        else:
            self.cut += not response.complete
            self._fail(f"{response.status} {response.body!r} {response.defect}")
        if self.keep_alive and response.get("connection") != "close":
            return client
        client.close()
        return None

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
