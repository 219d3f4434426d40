"""The gunicorn settings of lbg, computed anew at each reload."""

from __future__ import annotations

import os
from typing import Any, Final

from lbg.config.fields import MAX_WORKERS
from lbg.server.logs import log_config, write_behind
from lbg.server.master import MASTER

_MARGIN: Final = 2  # seconds the arbiter waits after the workers' own grace period before it kills


def settings() -> dict[str, Any]:
    """Load the configuration and return what gunicorn needs to know of it.

    Exits with status 2 and one line per mistake when there is no good configuration yet.
    """
    MASTER.load()
    config = MASTER.config
    return {
        "bind": [address.text for address in MASTER.binds],
        "workers": (config.server.workers or min(os.cpu_count() or 1, MAX_WORKERS)) + 1,
        "worker_class": "lbg.server.worker.ProxyWorker",
        "worker_connections": config.server.max_connections,
        "graceful_timeout": int(config.server.shutdown_grace) + _MARGIN,
        "proc_name": "lbg",
        "control_socket_disable": True,
        "logconfig_dict": log_config(config.log),
        "nworkers_changed": MASTER.nworkers_changed,
        "on_starting": MASTER.on_starting,
        "when_ready": MASTER.when_ready,
        "pre_fork": MASTER.pre_fork,
        "post_fork": MASTER.post_fork,
        "post_worker_init": start_application,
        "child_exit": MASTER.child_exit,
        "on_reload": MASTER.on_reload,
        "pre_exec": MASTER.pre_exec,
        "on_exit": MASTER.on_exit,
    }


def start_application(worker: Any) -> None:
    """Let the application begin what goes on beside requests, whatever class its worker has.

    Until here a line is written before anything else happens: what ends a start must be told.
    """
    write_behind()
    start = getattr(worker.wsgi, "start", None)
    if start is not None:
        start()
