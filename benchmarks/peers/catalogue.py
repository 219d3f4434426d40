"""How each proxy is started: one worker, kept-alive connections to the backend, no access log."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.backends import fill_template
from benchmarks.program import free_port, which

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BASE = os.environ.get("LBG_BENCH_BASE", "")
"""Another tree of lbg, as `git worktree` makes it: `lbg-base` tells what a change costs."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy runs and what it stands before; `streaming` asks for no buffering of bodies."""

    directory: Path
    port: int
    backend: int
    streaming: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line and what it adds to the environment."""

    command: list[str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """One proxy of the comparison; `program` is what must be installed, None for Python ones.

    `tuned` peers have a setting changed that only matters to streamed bodies, and run only there; a `variant`
    is lbg with one thing more or less, of the kind that is the question there.
    """

    name: str
    launch: Callable[[Site], Launch]
    program: str | None = None
    tuned: bool = False
    variant: str = ""
    exists: bool = True

    def is_installed(self) -> bool:
        return self.exists and (self.program is None or which(self.program) is not None)


def _lbg(site: Site, root: Path = ROOT) -> Launch:
    # Run in the site's own directory, where no lbg.toml of a developer can be picked up.
    return Launch(
        [sys.executable, "-m", "gunicorn", "-c", str(root / "gunicorn.conf.py"), "lbg.wsgi"],
        {
            "PYTHONPATH": str(root),
            "LBG_ENDPOINTS": f"http://127.0.0.1:{site.backend}",
            "LBG_SERVER__BIND": f"127.0.0.1:{site.port}",
            "LBG_ADMIN__BIND": f"127.0.0.1:{free_port()}",
            "LBG_SERVER__WORKERS": "1",
            "LBG_LOG__ACCESS": "false",
            "LBG_STATE_DIR": str(site.directory / "state"),
        },
    )


def _lbg_base(site: Site) -> Launch:
    return _lbg(site, Path(BASE).resolve())


def _lbg_with(name: str, settings: str) -> Peer:
    """Return lbg with one filter on the only route, whose settings are TOML."""

    def launch(site: Site) -> Launch:
        config = site.directory / "filter.toml"
        config.write_text(
            f'[pools.main]\nendpoints = ["http://127.0.0.1:{site.backend}"]\n'
            f'[[routes]]\npool = "main"\nfilters = [{{ use = "{name}"{settings} }}]\n'
        )
        plain = _lbg(site)
        environ = {key: value for key, value in plain.environ.items() if key != "LBG_ENDPOINTS"}
        return Launch(plain.command, environ | {"LBG_CONFIG": str(config)})

    return Peer(f"lbg+{name}", launch, variant="filters")


def _lbg_untold(site: Site) -> Launch:
    plain = _lbg(site)
    return Launch([*plain.command[:-1], "benchmarks.peers.untold:application"], plain.environ)


def _lbg_with_access_log(site: Site) -> Launch:
    plain = _lbg(site)
    log = {"LBG_LOG__ACCESS": "true", "LBG_LOG__ACCESS_FILE": str(site.directory / "access.log")}
    return Launch(plain.command, {**plain.environ, **log})


def _nginx(site: Site, buffers: str = "") -> Launch:
    buffering = "off" if site.streaming else "on"
    config = _configure("nginx.conf", site, buffering=buffering, buffers=buffers)
    return Launch([_path("nginx"), "-e", "stderr", "-c", str(config)])


def _nginx_16k(site: Site) -> Launch:
    # Without buffering nginx relays through one buffer of this size: its default is 4k.
    return _nginx(site, "proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k;")


def _haproxy(site: Site, splicing: str = "") -> Launch:
    config = _configure("haproxy.cfg", site, splicing=splicing)
    return Launch([_path("haproxy"), "-db", "-f", str(config)])


def _haproxy_splice(site: Site) -> Launch:
    # Zero-copy, which HAProxy has off by default: lbg relays large bodies the same way.
    return _haproxy(site, "option splice-request\n    option splice-response")


def _caddy(site: Site) -> Launch:
    config = _configure("Caddyfile", site)
    home = str(site.directory)
    return Launch(
        [_path("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"],
        {"GOMAXPROCS": "1", "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home},
    )


def _requests_proxy(site: Site) -> Launch:
    options = "--worker-class gevent --workers 1 --worker-connections 4096 --keep-alive 75"
    address = f"127.0.0.1:{site.port}"
    command = f"-m gunicorn --no-control-socket {options} --bind {address}".split()
    return Launch(
        [sys.executable, *command, "benchmarks.peers.requests_proxy:application"],
        {"PYTHONPATH": str(ROOT), "BACKEND": f"http://127.0.0.1:{site.backend}"},
    )


def _configure(template: str, site: Site, **values: object) -> Path:
    return fill_template(HERE / template, site.directory, port=site.port, backend=site.backend, **values)


def _path(program: str) -> str:
    return which(program) or program


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("lbg", _lbg),
        Peer("lbg-base", _lbg_base, exists=bool(BASE)),
        Peer("nginx", _nginx, "nginx"),
        Peer("nginx-16k", _nginx_16k, "nginx", tuned=True),
        Peer("haproxy", _haproxy, "haproxy"),
        Peer("haproxy-splice", _haproxy_splice, "haproxy", tuned=True),
        Peer("caddy", _caddy, "caddy"),
        Peer("requests-proxy", _requests_proxy),
        _lbg_with("access", ', deny = ["10.0.0.0/8", "192.0.2.7"], deny_paths = ["/admin", "/.git"]'),
        _lbg_with("rate_limit", ', rate = "1000000/s"'),
        _lbg_with("concurrency", ", limit = 1000"),
        _lbg_with(
            "headers",
            ', request = { set = { X-Client = "{client_ip}" } }, response = { remove = ["Server"] }',
        ),
        _lbg_with("query", ', add = { via = "lbg" }'),
        _lbg_with("cors", ', origins = "https://example.com"'),
        _lbg_with("request_id", ""),
        _lbg_with("body_limit", ", limit = 1000000"),
        _lbg_with("compress", ""),
        Peer("lbg-untold", _lbg_untold, variant="telemetry"),
        Peer("lbg+access_log", _lbg_with_access_log, variant="telemetry"),
        _lbg_with("mirror", ', pool = "main", share = 0.000001'),
    )
}
