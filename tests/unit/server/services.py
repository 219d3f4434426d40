"""A service whose timer ticks when a test says so."""

from collections.abc import Callable
from typing import Any

import pytest

from lbg.config.schema import ServerConfig
from lbg.server import service as module
from lbg.server.service import Service


class Ticks:
    """In place of the worker's timer."""

    def __init__(self) -> None:
        self.calls: list[Callable[[float], None]] = []

    def on_tick(self, call: Callable[[float], None]) -> None:
        """Keep `call` for `tick`."""
        self.calls.append(call)

    def tick(self) -> None:
        """Do what the timer does."""
        for call in self.calls:
            call(0.0)


class TickedService(Service):
    """A service with its ticks at hand."""

    def __init__(self, application: Any, **settings: Any) -> None:
        self.ticks = Ticks()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "DEADLINES", self.ticks)
            super().__init__(application, ServerConfig(**settings))
        self.date = "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
