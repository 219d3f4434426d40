"""The `lbg` command."""

import sys
from typing import Annotated

import typer

from lbg import __version__
from lbg.cli.bans import bans, unban
from lbg.cli.check import check
from lbg.cli.demo import demo
from lbg.cli.endpoint_state import drain, maint, ready, weight
from lbg.cli.endpoints import add, remove
from lbg.cli.events import events
from lbg.cli.explain import explain
from lbg.cli.failure import USAGE_ERROR
from lbg.cli.reload import reload
from lbg.cli.route import route
from lbg.cli.run import run
from lbg.cli.status import status
from lbg.cli.top import top

app = typer.Typer(
    name="lbg",
    help="A production HTTP load balancer for Python teams.",
    add_completion=False,
    rich_markup_mode=None,
)
app.command()(check)
app.command()(demo)
app.command()(run)
app.command()(status)
app.command()(top)
app.command()(events)
app.command()(route)
app.command()(explain)
app.command()(drain)
app.command()(ready)
app.command()(maint)
app.command()(weight)
app.command()(add)
app.command()(remove)
app.command()(reload)
app.command()(bans)
app.command()(unban)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lbg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line and exit: status 0, or 2 after a mistake, told in one line on stderr."""
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="lbg", standalone_mode=False)
    except typer.TyperException as error:
        typer.echo(f"lbg: {error.format_message()}", err=True)
        sys.exit(USAGE_ERROR)
    sys.exit(code)


if __name__ == "__main__":
    main()
