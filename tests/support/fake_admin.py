"""An admin listener that says what a test wants, with the real dashboard on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from lbg.control.dashboard import add_dashboard

Document = dict[str, Any]


def endpoint(pool: str, number: int, **changes: Any) -> Document:
    """Return an endpoint that is up, but for these changes."""
    name = f"10.0.{number // 250}.{number % 250 + 1}:8000"
    return {
        "pool": pool,
        "name": name,
        "url": f"http://{name}",
        "weight": 1,
        "configured_weight": 1,
        "effective_weight": 1,
        "backup": False,
        "max_requests": 0,
        "admin": "ready",
        "state": "up",
        "reason": "status 200",
        "since": None,
        "for_seconds": 300.0,
        "usable": True,
        "ejected_until": None,
        "ejections": 0,
        "last_check": {"passed": True, "text": "status 200", "age_seconds": 1.0, "took_ms": 1.2},
        "in_flight": 2,
        **changes,
    }


def pool(*endpoints: Document, **changes: Any) -> Document:
    """Return a pool of these endpoints."""
    usable = sum(endpoint["usable"] for endpoint in endpoints)
    return {
        "usable": usable,
        "waiting": 0,
        "balance": "power_of_two",
        "endpoints": list(endpoints),
        **changes,
    }


def numbers(moments: int, **changes: Any) -> Document:
    """Return what stats tell of one endpoint, a pool or the whole."""
    history = {"requests_per_second": [10.0] * moments, "errors_per_second": [0.0] * moments}
    return {
        "requests_per_second": 10.0,
        "error_rate": 0.0,
        "p50_ms": 2.0,
        "p95_ms": 8.5,
        "p99_ms": 20.0,
        "in_flight": 2,
        "history": {**history, "p95_ms": [8.5] * moments},
        **changes,
    }


class _Quiet(WSGIRequestHandler):
    """Logs no requests, and speaks HTTP/1.1 so that streams are chunked."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class FakeAdmin:
    """Serves `pools`, `traces`, `bans`, `events` and `config`; all may be exchanged at any time.

    What is changed by a request is kept in `changes` as (method, path, body).
    """

    def __init__(self, pools: dict[str, Document], port: int = 0) -> None:
        self.pools = pools
        self.traces: list[Document] = []
        self.bans: list[Document] = []
        self.events: list[str] = []
        self.config: Document = {}
        self.amendments: dict[str, Any] = {"added": [], "removed": []}
        self.config_error: dict[str, Any] | None = None
        self.changes: list[tuple[str, str, Any]] = []
        self._stopping = threading.Event()
        self._server = make_server("127.0.0.1", port, self._app(), threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and refuse connections from then on."""
        self.stop()

    def stop(self) -> None:
        """Go away; a second call does nothing."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _app(self) -> Flask:
        app = Flask(__name__, static_folder=None)
        app.json.sort_keys = False  # type: ignore[attr-defined]
        add_dashboard(app)
        app.add_url_rule("/api/v1/status", view_func=self._status)
        app.add_url_rule("/api/v1/stats", view_func=self._stats)
        app.add_url_rule("/api/v1/events", view_func=self._follow)
        app.add_url_rule("/api/v1/traces", view_func=lambda: jsonify(traces=self.traces), endpoint="traces")
        app.add_url_rule("/api/v1/traces/<trace_id>", view_func=self._trace)
        app.add_url_rule("/api/v1/bans", view_func=self._bans)
        app.add_url_rule("/api/v1/config", view_func=self._config)
        app.add_url_rule("/api/v1/<path:path>", view_func=self._change, methods=["POST", "DELETE"])
        return app

    def _status(self) -> Response:
        return jsonify(
            version="0",
            config={
                "source": "lbg.toml",
                "generation": 1,
                "digest": "d",
                **self.amendments,
                "error": self.config_error,
            },
            master=1,
            workers=[{"slot": 0, "pid": 1, "role": "proxy", "generation": 1}],
            control={"pid": 1, "heartbeat_age_seconds": 0.1},
            pools=self.pools,
        )

    def _stats(self) -> Response:
        now = time.time()
        since = request.args.get("since", 0.0, float)
        times = [moment for moment in (now - 2.0 * back for back in range(60, -1, -1)) if moment > since]
        shown = numbers(len(times))
        endpoints = {
            f"{name}/{endpoint['name']}": shown
            for name, document in self.pools.items()
            for endpoint in document["endpoints"]
        }
        return jsonify(
            now=now,
            interval=2.0,
            window=10.0,
            times=times,
            total=shown,
            pools=dict.fromkeys(self.pools, shown),
            endpoints=endpoints,
        )

    def _follow(self) -> Response:
        def stream() -> Iterator[str]:
            yield "retry: 2000\nid: 0\n\n"
            for event in self.events:
                yield f"data: {event}\n\n"
            self._stopping.wait()

        return Response(stream(), content_type="text/event-stream")

    def _trace(self, trace_id: str) -> Response:
        return jsonify(next(trace for trace in self.traces if trace["id"] == trace_id))

    def _bans(self) -> Response:
        return jsonify(total=len(self.bans), bans=self.bans)

    def _config(self) -> Response:
        return jsonify(source="lbg.toml", generation=1, digest="d", config=self.config)

    def _change(self, path: str) -> Response:
        self.changes.append((request.method, path, request.get_json(silent=True)))
        return jsonify({})
