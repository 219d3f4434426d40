"""What the commands say of the configuration, besides its name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lbg.cli.admin_client import plain
from lbg.config.problems import listed
from lbg.state.condition import local_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMED: Final = 4  # endpoints; of more only the number is told


def amended(source: str, amendments: Mapping[str, Any]) -> str:
    """Return what is in force: the source, without and with what was removed and added at run time."""
    parts = [
        source,
        _changed("without", amendments["removed"], "lbg remove"),
        _changed("with", amendments["added"], "lbg add"),
    ]
    return plain(", ".join(filter(None, parts)))


def not_taken_up(config: Mapping[str, Any], now: float) -> str:
    """Return why the configuration as it is written is not in force, "" when it is. `now` is UNIX time."""
    error = config["error"]
    if error is None:
        return ""
    since = local_time(datetime.fromisoformat(error["since"]).timestamp(), now)
    mistakes = error["mistakes"]
    what = mistakes[0] if len(mistakes) == 1 else f"{len(mistakes)} mistakes, see `lbg reload`"
    return plain(f"{config['source']} was not taken up since {since}: {what}")


def _changed(word: str, names: Sequence[str], command: str) -> str:
    if not names:
        return ""
    what = listed(names) if len(names) <= _NAMED else f"{len(names)} endpoints"
    return f"{word} {what} ({command})"
