"""`lbg reload`: has the configuration read again, and says what came of it."""

from typing import TYPE_CHECKING, Any

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

_UNCHANGED = "lbg reload: nothing was changed"
_TIMEOUT = 40.0  # seconds: user code that the configuration names is looked at as well


def reload(admin: Admin = None, token: Token = None) -> None:
    """Read the configuration again, and use it if it has no mistake.

    What did not change keeps its connections, its health and its counters. Ends with 1 when the
    configuration has mistakes, and tells each of them; then nothing has changed.
    """

    def reloaded(client: "AdminClient") -> tuple[bool, list[str]]:
        document = client.send("/api/v1/reload", {}, timeout=_TIMEOUT, also=(422,))
        if "errors" in document:
            return False, [*(str(mistake["text"]) for mistake in document["errors"]), _UNCHANGED]
        return True, _lines(document)

    done, lines = ask("reload", reloaded, admin, token)
    _print(lines, to_stderr=not done)
    if not done:
        raise typer.Exit(1)


def _lines(document: Any) -> list[str]:
    from lbg.cli.config_text import amended

    lines = [f"configuration {document['generation']:d} is in force: {document['summary']}"]
    amendments = document["amendments"]
    if amendments["added"] or amendments["removed"]:
        lines.append(f"it is {amended(document['source'], amendments)}")
    return lines


def _print(lines: list[str], *, to_stderr: bool) -> None:
    from lbg.cli.admin_client import plain

    for line in lines:
        typer.echo(plain(line), err=to_stderr)
