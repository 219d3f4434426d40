"""`lbg demo`: three backends and lbg in front of them, in one command."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lbg.cli.failure import fail
from lbg.net.address import Bind, parse_bind

if TYPE_CHECKING:
    from lbg.config.schema import Config

_BACKENDS = 3
_STATE = "LBG_STATE_DIR"
_DEFAULTS = {
    "LBG_SERVER__BIND": "127.0.0.1:8080",
    "LBG_SERVER__WORKERS": "2",
    "LBG_SERVER__SHUTDOWN_GRACE": "3",  # Ctrl+C shall not wait half a minute for a reader of /events
    "LBG_ADMIN__BIND": "127.0.0.1:9090",
    "LBG_LOG__ACCESS": "false",  # the screen is for what happens to backends
}


def _address(text: str) -> Bind:
    try:
        return parse_bind(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def demo(
    bind: Annotated[
        list[Bind] | None,
        typer.Option(parser=_address, metavar="ADDRESS", help="A public address; repeat it for more."),
    ] = None,
    admin: Annotated[
        Bind | None,
        typer.Option(parser=_address, metavar="ADDRESS", help="The address of the admin listener."),
    ] = None,
    restart_after: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long a backend that was killed stays away.")
    ] = 10.0,
) -> None:
    """Run three backends and lbg in front of them, to try it.

    A flag wins over the environment; no file is read.
    """
    from lbg.demo.launcher import free_launchers
    from lbg.demo.session import Session
    from lbg.demo.supervisor import Backend

    environ = {**_DEFAULTS, **os.environ, **_flags(bind or [], admin)}
    config = _load(environ)
    listeners = (*config.server.bind, config.admin.bind)
    ports = {address.port for address in listeners if address.family == "tcp"}
    if 0 in ports:
        fail("lbg demo: port 0 leaves nothing to try; choose a port")
    try:
        launchers = free_launchers(_BACKENDS, ports)
    except OSError as error:
        fail(f"lbg demo: {error.strerror}")
    backends = [
        Backend(str(number), launcher.url, launcher, restart_after)
        for number, launcher in enumerate(launchers, 1)
    ]
    # A real lbg on this machine keeps its health and counters, and the demo begins with none.
    with tempfile.TemporaryDirectory(prefix="lbg-demo-", ignore_cleanup_errors=True) as state:
        raise typer.Exit(Session(backends, config).run({_STATE: state, **environ}))


def _flags(bind: Sequence[Bind], admin: Bind | None) -> dict[str, str]:
    flags = {}
    if bind:
        flags["LBG_SERVER__BIND"] = json.dumps([address.text for address in bind])
    if admin is not None:
        flags["LBG_ADMIN__BIND"] = admin.text
    return flags


def _load(environ: Mapping[str, str]) -> "Config":
    """Return what lbg will run with, but for the endpoints: their ports depend on its listeners."""
    from lbg.config.load import ConfigError, load

    try:
        return load({**environ, "LBG_CONFIG": "", "LBG_ENDPOINTS": "http://127.0.0.1"}, Path.cwd()).config
    except ConfigError as error:
        fail(str(error))
