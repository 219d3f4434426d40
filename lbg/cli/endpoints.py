"""`lbg add` and `lbg remove`: the endpoints of a pool, while lbg runs."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

Pool = Annotated[str, typer.Argument(metavar="POOL", help="The name of the pool.")]
Url = Annotated[
    str, typer.Argument(metavar="URL", help="Such as http://10.0.0.7:8000 or unix:/run/app.sock.")
]


def add(
    pool: Pool,
    url: Url,
    weight: Annotated[int, typer.Option("--weight", metavar="N", help="From 1 to 1000.")] = 1,
    backup: Annotated[
        bool, typer.Option("--backup", help="Use it only while no other endpoint is usable.")
    ] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Add an endpoint to a pool, at once and in all workers.

    It stays over reloads of the configuration, until `lbg remove`.
    """
    data = {"url": url, "weight": weight, "backup": backup}

    def added(client: "AdminClient") -> str:
        return _line(client.send(_path(pool), data), "added")

    _print(ask("add", added, admin, token))


def remove(pool: Pool, url: Url, admin: Admin = None, token: Token = None) -> None:
    """Remove an endpoint from a pool, at once and in all workers.

    What is in flight goes on. It stays away over reloads of the configuration, until `lbg add`.
    """

    def removed(client: "AdminClient") -> str:
        return _line(client.delete(f"{_path(pool)}/{quote(url, safe='')}"), "removed")

    _print(ask("remove", removed, admin, token))


def _path(pool: str) -> str:
    return f"/api/v1/pools/{quote(pool, safe='')}/endpoints"


def _line(document: Any, how: str) -> str:
    names = ", ".join(document["endpoints"][how])
    return f"{names} is {how}; configuration {document['generation']:d} is in force"


def _print(line: str) -> None:
    from lbg.cli.admin_client import plain

    typer.echo(plain(line))
