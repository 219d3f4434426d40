"""`lbg check`: say whether a configuration can be used."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lbg.cli.failure import fail

if TYPE_CHECKING:
    from lbg.config.load import Loaded


def check(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The file to check; without it, what lbg would load."),
    ] = None,
) -> None:
    """Check the configuration, and the Python that it names.

    That is loaded and called. Prints one line when all can be used, else one line for each problem.
    """
    from lbg.config.load import ConfigError, load
    from lbg.config.references import check_references
    from lbg.hooks.verify import verify
    from lbg.telemetry.otlp import obstacle

    if file == "":
        fail("lbg check: expected a file name")
    environ = dict(os.environ) if file is None else {**os.environ, "LBG_CONFIG": file}
    try:
        loaded = load(environ, Path.cwd())
        check_references(loaded, verify, Path.cwd())
    except ConfigError as error:
        fail(str(error))
    except OSError as error:
        fail(f"lbg check: no process can be started: {(error.strerror or str(error)).lower()}")
    why = obstacle(loaded.config.tracing)
    if why:
        typer.echo(f"warning: {loaded.source}: {why}", err=True)
    typer.echo(_summary(loaded))


def _summary(loaded: "Loaded") -> str:
    config = loaded.config
    endpoints = sum(len(pool.endpoints) for pool in config.pools.values())
    counts = (("pool", len(config.pools)), ("endpoint", endpoints), ("route", len(config.routes)))
    return f"{loaded.source}: ok, " + ", ".join(_counted(noun, number) for noun, number in counts)


def _counted(noun: str, number: int) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
