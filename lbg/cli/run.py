"""`lbg run`: turn flags into environment variables, check the configuration and become gunicorn."""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lbg.cli.failure import fail

# By path, not as python:lbg.server.gunicorn_conf: gunicorn executes a file anew at each reload.
_SETTINGS = Path(__file__).parent.parent / "server" / "gunicorn_conf.py"
_GUNICORN = ("-m", "gunicorn", "-c", str(_SETTINGS), "lbg.wsgi")
_FLAGS = {
    "LBG_ENDPOINTS": "--endpoint",
    "LBG_SERVER__BIND": "--bind",
    "LBG_ADMIN__BIND": "--admin",
    "LBG_SERVER__WORKERS": "--workers",
}


def run(
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="An endpoint; repeat it for more.")
    ] = None,
    bind: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A public address; repeat it for more.")
    ] = None,
    admin: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address of the admin listener.")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="The configuration file.")] = None,
    workers: Annotated[str | None, typer.Option(metavar="N", help="Proxy workers; 0 is one per CPU.")] = None,
) -> None:
    """Run the load balancer.

    A flag wins over the environment, which wins over the file.
    """
    if endpoint and config is not None:
        fail("lbg run: --endpoint and --config exclude each other")
    if config == "":
        fail("lbg run: expected a file name after --config")
    flags: dict[str, str] = {}
    if endpoint:
        # An empty LBG_CONFIG keeps a file in the environment or the directory from winning over the flag.
        flags |= {"LBG_CONFIG": "", "LBG_ENDPOINTS": ",".join(endpoint)}
    if config is not None:
        flags["LBG_CONFIG"] = config
    if bind:
        flags["LBG_SERVER__BIND"] = json.dumps(bind)
    if admin is not None:
        flags["LBG_ADMIN__BIND"] = admin
    if workers is not None:
        flags["LBG_SERVER__WORKERS"] = workers
    environ = {**os.environ, **flags}
    _check(environ, flags)
    _become_gunicorn(environ)


def _check(environ: Mapping[str, str], flags: Mapping[str, str]) -> None:
    """End with status 2 unless the configuration can be used; a problem in a flag is named by the flag."""
    from lbg.config.load import ConfigError, load

    names = {variable: flag for variable, flag in _FLAGS.items() if variable in flags}
    try:
        load(environ, Path.cwd())
    except ConfigError as error:
        problems = [
            dataclasses.replace(problem, where=names.get(problem.where, problem.where))
            for problem in error.problems
        ]
        fail("\n".join(map(str, problems)))


def _become_gunicorn(environ: Mapping[str, str]) -> None:
    try:
        os.execve(sys.executable, [sys.executable, *_GUNICORN], environ)  # noqa: S606
    except OSError as error:
        fail(f"lbg run: {sys.executable}: {error.strerror}")
