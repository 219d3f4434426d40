"""`lbg events`: what happens to endpoints, a line each, as it happens."""

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
    from lbg.cli.admin_client import AdminClient

_PATH = "/api/v1/events"
_PAUSE = 1.0  # seconds before it connects again


def events(
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a JSON document.")] = False,
    history: Annotated[
        int, typer.Option(metavar="N", min=0, help="Begin with the last N that happened.")
    ] = 0,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Show endpoints going up and down, until Ctrl+C.

    Connects again when the connection is lost, and misses nothing meanwhile.
    """
    from rich.console import Console

    from lbg.cli.admin_client import OTHER_SHAPE, AdminClient, AdminError
    from lbg.cli.admin_place import NoAdminPlace, find_admin
    from lbg.cli.event_line import event_line

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    try:
        client = AdminClient(find_admin(admin, token, os.environ, Path.cwd()))
        for event in follow(client, history):
            if as_json:
                print(json.dumps(event), flush=True)
                continue
            try:
                console.print(event_line(event, time.time()))
            except OTHER_SHAPE:
                raise client.misunderstood() from None
    except (AdminError, NoAdminPlace) as error:
        fail(f"lbg events: {error}")


def follow(client: "AdminClient", history: int) -> Iterator[dict[str, Any]]:
    """Yield the documents of events; tell on stderr, once each time, when the connection is lost.

    Raises AdminError when it cannot be made at first, or never again.
    """
    from lbg.cli.admin_client import AdminError
    from lbg.cli.server_sent import messages

    last_id, lost = "", False
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with client.stream(_PATH, headers, {} if last_id else {"history": history}) as pieces:
                lost = False
                for message in messages(pieces):
                    last_id = message.id or last_id
                    if message.data:
                        yield client.decoded(message.data)
        except AdminError as error:
            if error.lasting or not last_id:
                raise
        if not lost:
            typer.echo("lbg events: the connection is lost; trying again until Ctrl+C", err=True)
        lost = True
        time.sleep(_PAUSE)
