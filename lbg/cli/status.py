"""`lbg status`: what every endpoint does, as a table."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbg.cli.asking import Admin, Token
from lbg.cli.failure import fail

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lbg.cli.admin_client import AdminClient

_PATH = "/api/v1/status"
_EVERY = 1.0  # seconds
_WIDE = 1000  # columns of a file or a pipe: nothing is cut there


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew each second, until Ctrl+C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the document of the API; with --watch one line each.")
    ] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Show the endpoints and whether they are up.

    Ends with status 0 when it could ask, also when endpoints are down.
    """
    from rich.console import Console

    from lbg.cli.admin_client import AdminClient, AdminError
    from lbg.cli.admin_place import NoAdminPlace, find_admin

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    try:
        client = AdminClient(find_admin(admin, token, os.environ, Path.cwd()))
        if as_json:
            _print_json(client, watch=watch)
        elif watch:
            _watch(client, console)
        else:
            console.print(_table(client, console))
    except (AdminError, NoAdminPlace) as error:
        fail(f"lbg status: {error}")


def _table(client: "AdminClient", console: "Console") -> "RenderableType":
    from lbg.cli.admin_client import OTHER_SHAPE
    from lbg.cli.status_table import status_table

    document = client.document(_PATH)
    try:
        return status_table(document, console.width)
    except OTHER_SHAPE:
        raise client.misunderstood() from None


def _watch(client: "AdminClient", console: "Console") -> None:
    """Show the table each second; once there was one, a failure is shown in its place."""
    from rich.live import Live

    tables = _each_second(client, console)
    first = next(tables)
    if not console.is_terminal:
        console.print(first)
        for table in tables:
            console.print("", table)
        return
    with Live(first, console=console, auto_refresh=False) as live:
        for table in tables:
            live.update(table, refresh=True)


def _each_second(client: "AdminClient", console: "Console") -> "Iterator[RenderableType]":
    from lbg.cli.admin_client import AdminError

    yield _table(client, console)
    while True:
        time.sleep(_EVERY)
        try:
            yield _table(client, console)
        except AdminError as error:
            if error.lasting:
                raise
            yield str(error)


def _print_json(client: "AdminClient", *, watch: bool) -> None:
    document: Any = client.document(_PATH)
    if not watch:
        print(json.dumps(document, indent=2))
        return
    while True:
        print(json.dumps(document), flush=True)
        time.sleep(_EVERY)
        document = client.document(_PATH)
