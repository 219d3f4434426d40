"""`lbg explain`: why a request failed, or took so long."""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

_PATH = "/api/v1/traces"
_LISTED = 20


def explain(
    request_id: Annotated[
        str,
        typer.Argument(
            metavar="[REQUEST_ID]",
            help="From X-Request-Id, an error page or the access log; without it, the latest that "
            "failed, then those that were refused.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the document of the API.")] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Say why a request failed or took long, and what to do about it."""
    typer.echo(ask("explain", partial(_told, request_id, as_json), admin, token))


def _told(request_id: str, as_json: bool, client: "AdminClient") -> str:
    from lbg.cli.explain_text import explain_list, explain_text

    document = client.document(f"{_PATH}/{quote(request_id, safe='')}") if request_id else _latest(client)
    if as_json:
        return json.dumps(document, indent=2)
    return explain_text(document) if request_id else explain_list(document["traces"])


def _latest(client: "AdminClient") -> dict[str, Any]:
    """Return those that failed, then those that were refused: anybody can bring about many of these."""
    failed = client.document(f"{_PATH}?kind=failed&limit={_LISTED}")["traces"]
    left = _LISTED - len(failed)
    refused = client.document(f"{_PATH}?kind=refused&limit={left}")["traces"] if left > 0 else []
    return {"traces": [*failed, *refused]}
