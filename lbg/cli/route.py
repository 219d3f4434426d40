"""`lbg route`: what would become of a request, and why."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lbg.cli.failure import fail

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
    admin: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The admin listener; without it, the configured one."),
    ] = None,
    token: Annotated[str | None, typer.Option(metavar="TOKEN", help="The admin token.")] = None,
) -> None:
    """Say which route a request takes, and why: filters, target, pool and the order of its endpoints.

    Sends no request. Ends with status 0 when there is an answer, also when lbg would refuse the request.
    """
    from lbg.proxy.inquiry import BadInquiry, Inquiry

    if config is not None and admin is not None:
        fail("lbg route: --config asks no admin listener, expected it or --admin")
    asked = {"method": method, "url": url, "client": client}
    headers = header or []
    try:
        Inquiry.of(method, url, headers, client)
        document = _ask(asked, headers, admin, token) if config is None else _read(config, asked, headers)
    except BadInquiry as error:
        fail(f"lbg route: {error}")
    if as_json:
        print(json.dumps(document, indent=2))
        return
    _print(document)


def _ask(asked: dict[str, str], headers: list[str], admin: str | None, token: str | None) -> Any:
    from urllib.parse import urlencode

    from lbg.cli.admin_client import AdminClient, AdminError
    from lbg.cli.admin_place import NoAdminPlace, find_admin

    query = urlencode([*asked.items(), *(("header", one) for one in headers)])
    try:
        return AdminClient(find_admin(admin, token, os.environ, Path.cwd())).document(f"{_PATH}?{query}")
    except (AdminError, NoAdminPlace) as error:
        fail(f"lbg route: {error}")


def _read(file: str, asked: dict[str, str], headers: list[str]) -> Any:
    from lbg.app import explainer_of
    from lbg.config.load import ConfigError, load

    if not file:
        fail("lbg route: expected a file name")
    try:
        loaded = load({**os.environ, "LBG_CONFIG": file}, Path.cwd())
    except ConfigError as error:
        fail(str(error))
    return explainer_of(loaded).explain(asked["method"], asked["url"], headers, asked["client"])


def _print(document: Any) -> None:
    from lbg.cli.admin_client import OTHER_SHAPE
    from lbg.cli.route_text import route_text

    try:
        text = route_text(document)
    except OTHER_SHAPE:
        fail("lbg route: the answer is not one of this version of lbg")
    typer.echo(text)
