"""In place of gevent's hub and watchers where neither may be asked.

libev ends the whole process when it is asked to wait for a descriptor that is closed, so a test that
provoked it would end all others with it.
"""

import pytest

from lbg.net.stream import Stream


class WithoutLoop:
    """Fails the test that waits or watches."""

    def wait(self, *_: object) -> None:
        """Fail."""
        pytest.fail("the loop was asked to wait")

    def start(self, *_: object) -> None:
        """Fail."""
        pytest.fail("the loop was asked to watch")

    def stop(self) -> None:
        """Do nothing."""


def forbid_loop(stream: Stream) -> None:
    """Fail the test when `stream` waits or watches from now on."""
    stream._hub = WithoutLoop()
    stream.reader = WithoutLoop()
