"""`lbg route`: what would become of a request, and why."""

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from lbg.cli.asking import Admin, Token, ask
from lbg.cli.failure import fail

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

_PATH = "/api/v1/route"


def route(  # noqa: PLR0913, PLR0917 - the options of a command
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Such as GET.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A URL, or a path with the Host in -H.")],
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header field; may be repeated."),
    ] = None,
    client: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The client's address, for keys and maintenance.")
    ] = "",
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Answer from this file; without it, ask the running lbg."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document of the API.")] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Say which route a request would take, and why.

    Tells filters, target, pool and the order of its endpoints, and sends no request. Ends with status 0
    when there is an answer, also when lbg would refuse the request.
    """
    from lbg.proxy.inquiry import BadInquiry, Inquiry

    if config is not None and admin is not None:
        fail("lbg route: --config asks no admin listener, expected it or --admin")
    asked = {"method": method, "url": url, "client": client}
    headers = header or []
    try:
        Inquiry.of(method, url, headers, client)
        if config is None:
            typer.echo(ask("route", partial(_asked, asked, headers, as_json), admin, token))
        else:
            typer.echo(_text(_read(config, asked, headers), as_json))
    except BadInquiry as error:
        fail(f"lbg route: {error}")


def _asked(asked: dict[str, str], headers: list[str], as_json: bool, client: "AdminClient") -> str:
    query = urlencode([*asked.items(), *(("header", one) for one in headers)])
    return _text(client.document(f"{_PATH}?{query}"), as_json)


def _read(file: str, asked: dict[str, str], headers: list[str]) -> Any:
    from lbg.app.application import explainer_of
    from lbg.config.load import ConfigError, load

    if not file:
        fail("lbg route: expected a file name")
    try:
        loaded = load({**os.environ, "LBG_CONFIG": file}, Path.cwd())
    except ConfigError as error:
        fail(str(error))
    return explainer_of(loaded).explain(asked["method"], asked["url"], headers, asked["client"])


def _text(document: Any, as_json: bool) -> str:
    from lbg.cli.route_text import route_text

    return json.dumps(document, indent=2) if as_json else route_text(document)
