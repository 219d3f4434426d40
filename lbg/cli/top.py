"""`lbg top`: rates, latencies and states of all endpoints, live on the whole screen."""

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lbg.cli.admin_client import AdminClient
    from lbg.cli.top_frame import Answers

_WIDE = 1000  # columns of a file or a pipe: nothing is cut there
_GLANCE = 0.25  # seconds in which a screen of another size is noticed
_HISTORY = 60.0  # seconds of samples that are asked for


def top(
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.2, help="How often to ask.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print it once and end, as is done where there is no terminal.")
    ] = False,
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Watch rates, errors and latencies live, until Ctrl+C.

    Where the screen has no room for all endpoints, it shows the worst.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
        once = True
    if not once:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves the terminal whole as well
    try:
        ask("top", lambda client: _show(client, console, interval, once=once), admin, token)
    except KeyboardInterrupt:
        return


def _show(client: "AdminClient", console: "Console", interval: float, *, once: bool) -> None:
    from lbg.cli.top_frame import frame

    answers = _answers(client, None)
    if once:
        console.print(frame(answers, console.width, None))
        return
    _watch(client, console, interval, answers)


def _watch(client: "AdminClient", console: "Console", interval: float, answers: "Answers") -> None:
    """Show the answers of now until Ctrl+C; while there are none, the last ones, and since when."""
    from rich.live import Live

    from lbg.cli.admin_client import AdminError
    from lbg.cli.top_frame import frame, silence

    trouble = ""

    def screen() -> "RenderableType":
        return frame(answers, *console.size, trouble)

    with Live(screen(), console=console, screen=True, auto_refresh=False) as live:
        while True:
            _wait(interval, console, lambda: live.update(screen(), refresh=True))
            try:
                answers, trouble = _answers(client, answers), ""
            except AdminError as error:
                if error.lasting:
                    raise
                trouble = silence(answers.now, time.time())
            live.update(screen(), refresh=True)


def _answers(client: "AdminClient", before: "Answers | None") -> "Answers":
    """Ask for all that a frame shows. Raises AdminError."""
    from lbg.cli.top_frame import EVENTS, Answers

    since = "" if before is None else f"?since={before.stats['now'] - _HISTORY:.3f}"
    return Answers(
        client.document("/api/v1/status"),
        client.document(f"/api/v1/stats{since}"),
        client.document(f"/api/v1/events?history={EVENTS}"),
        time.time(),
    )


def _wait(seconds: float, console: "Console", resized: Callable[[], None]) -> None:
    ends, size = time.monotonic() + seconds, console.size
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, _GLANCE))
        if console.size != size:
            size = console.size
            resized()
