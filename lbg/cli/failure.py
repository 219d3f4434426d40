"""How a command ends when it cannot do what it was asked."""

from typing import NoReturn

import typer

USAGE_ERROR = 2


def fail(message: str) -> NoReturn:
    """Print the message to stderr and end the command with status 2."""
    typer.echo(message, err=True)
    raise typer.Exit(USAGE_ERROR)
