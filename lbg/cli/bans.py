"""`lbg bans` and `lbg unban`: who may send no requests for a while, and how that ends early."""

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lbg.cli.admin_client import AdminClient

_PATH = "/api/v1/bans"
_WIDE = 1000  # columns of a file or a pipe: nothing is cut there

Limit = Annotated[str | None, typer.Option("--limit", metavar="NAME", help="Only those by one limit.")]


def bans(
    limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document of the API.")] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Show who is banned, the latest first."""
    from rich.console import Console

    def show(client: "AdminClient") -> None:
        document = client.document(_PATH + _by(limit))
        if as_json:
            print(json.dumps(document, indent=2))
            return
        console = Console(highlight=False, markup=False, emoji=False)
        if not console.is_terminal:
            console.width = _WIDE
        total, latest = document["total"], document["bans"]
        left_out = f"These are the latest {len(latest):,d} of {total:,d}." if total > len(latest) else ""
        console.print(_table(latest) if total else "Nobody is banned.")
        if left_out:
            console.print(left_out)

    ask("bans", show, admin, token)


def unban(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As in `lbg bans`, or a client's address.")],
    limit: Limit = None,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Let a key that is banned send requests again."""
    from lbg.cli.admin_client import plain

    def lift(client: "AdminClient") -> None:
        for ban in client.delete(f"{_PATH}/{quote(key, safe='')}{_by(limit)}"):
            typer.echo(plain(f"{ban['key']} is not banned any more by the limit {ban['limit']}"))

    ask("unban", lift, admin, token)


def _by(limit: str | None) -> str:
    return "" if limit is None else f"?limit={quote(limit, safe='')}"


def _table(document: list[dict[str, Any]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from lbg.cli.admin_client import plain
    from lbg.health.transitions import span

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("KEY", "LIMIT", "FOR ANOTHER"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    table.add_column("TIMES", justify="right", no_wrap=True)
    table.add_column("REASON", overflow="fold")
    for ban in document:
        texts = (ban["key"], ban["limit"], span(ban["seconds_left"]), f"{ban['times']:d}", ban["reason"])
        table.add_row(*(Text(plain(text)) for text in texts))
    return table
