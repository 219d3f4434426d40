"""What the tests of health checks against real backends share."""

from contextlib import contextmanager

from lbg.config.pools import PoolConfig
from lbg.health.probe import probe_of
from tests.support.backend import Backend

SOON = 0.3
"""A timeout for what hangs, in seconds."""

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"


def probe(url, tls=None, **health):
    """Return the probe of an endpoint under these keys of its pool."""
    pool = PoolConfig.model_validate({"endpoints": [url], "health": health, "tls": tls or {}})
    return probe_of(pool.endpoints[0], pool)


def check(url, timeout=5.0, tls=None, **health):
    """Check an endpoint once."""
    return probe(url, tls, **health).check(timeout)


@contextmanager
def backend_that(handler, **options):
    """Run a backend whose handler answers the checks, too."""
    with Backend(handler, answer_probes=False, **options) as backend:
        yield backend
