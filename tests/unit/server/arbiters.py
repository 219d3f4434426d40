"""gunicorn's arbiter, as far as the master's hooks look at it."""

from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from gunicorn.config import Config

from lbg.server.master import Master


def arbiter(*binds: str, workers: dict[int, Any] | None = None, **more: Any) -> SimpleNamespace:
    """Return a gunicorn arbiter, as far as the hooks look at it."""
    cfg = Config()
    cfg.set("bind", list(binds))
    cfg.env_orig = {}
    values = {
        "cfg": cfg,
        "WORKERS": workers or {},
        "LISTENERS": [],
        "num_workers": 3,
        "reexec_pid": 0,
        "master_pid": 0,
        "SIG_QUEUE": SimpleQueue(),
        "START_CTX": {"args": ["gunicorn"]},
    }
    return SimpleNamespace(**values | more)


def opened(master: Master) -> Master:
    """Return `master` with its state directory open, as it is when gunicorn has started."""
    master.open_state()
    return master
