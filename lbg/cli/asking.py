"""How a command asks the admin listener: its options for that, and how it ends without an answer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lbg.cli.failure import fail

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        help="Such as 127.0.0.1:9090; without it, the configured admin listener.",
    ),
]
Token = Annotated[str | None, typer.Option("--token", metavar="TOKEN", help="The admin token.")]

T = TypeVar("T")


def ask(command: str, question: Callable[["AdminClient"], T], admin: str | None, token: str | None) -> T:
    """Return what `question` makes of the admin listener's answers.

    Ends the command in one line when there is no answer, or one that `question` cannot read.
    """
    from lbg.cli.admin_client import OTHER_SHAPE, AdminClient, AdminError
    from lbg.cli.admin_place import NoAdminPlace, find_admin

    try:
        client = AdminClient(find_admin(admin, token, os.environ, Path.cwd()))
        try:
            return question(client)
        except OTHER_SHAPE:
            raise client.misunderstood() from None
    except (AdminError, NoAdminPlace) as error:
        fail(f"lbg {command}: {error}")
