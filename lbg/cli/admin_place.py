"""Where the admin listener answers: as the command line says, else as the environment or the file does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lbg.config.load import DEFAULT_FILE
from lbg.config.problems import shown
from lbg.config.schema import AdminConfig
from lbg.net.address import parse_bind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lbg.net.address import Bind

_BIND: Final = "LBG_ADMIN__BIND"
_TOKEN: Final = "LBG_ADMIN__TOKEN"  # noqa: S105 - the name of a variable
_SECTION: Final = re.compile(r"^\[admin\][^\n]*\n.*?(?=^\s*\[|\Z)", re.MULTILINE | re.DOTALL)
_ADDRESS: Final = "expected host:port, unix:/path or a URL"


class NoAdminPlace(Exception):
    """It cannot be told where the admin listener is."""


@dataclass(frozen=True, slots=True)
class AdminPlace:
    """The URL before the path, the path of a unix socket to reach it by, or "", and the token to show."""

    url: str
    socket: str = ""
    token: str = ""

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else self.url


def find_admin(admin: str | None, token: str | None, environ: Mapping[str, str], cwd: Path) -> AdminPlace:
    """Return where to ask. What is given wins over the environment, which wins over the file.

    Of the file only `[admin]` counts. Raises NoAdminPlace.
    """
    if admin is not None:
        # The token of a file is for its own listener, not for any that is named.
        place, known = _place_of(admin), environ.get(_TOKEN, "")
    else:
        table = _table(environ, cwd)
        place, known = _configured(table, environ), environ.get(_TOKEN, _text(table.get("token")))
    token = known if token is None else token
    if token and not (token.isascii() and token.isprintable()):
        raise NoAdminPlace("the admin token: expected printable ASCII characters")
    return replace(place, token=token)


def _configured(table: Mapping[str, Any], environ: Mapping[str, str]) -> AdminPlace:
    if _BIND not in environ and "bind" not in table:
        return _visited(AdminConfig().bind)  # lbg may have been started elsewhere: worth a try
    name, text = (_BIND, environ[_BIND]) if _BIND in environ else ("admin.bind", _text(table["bind"]))
    try:
        return _visited(parse_bind(text))
    except ValueError as error:
        raise NoAdminPlace(f"{name}: {error}; or name the admin listener with --admin") from error


def _table(environ: Mapping[str, str], cwd: Path) -> Mapping[str, Any]:
    """Return `[admin]` of the file, nothing when it cannot be read.

    Whoever has to mend a file must be able to ask lbg, so mistakes in other sections are none here.
    """
    name = environ.get("LBG_CONFIG", DEFAULT_FILE)
    try:
        text = (cwd / name).read_bytes().decode("utf-8-sig") if name else ""
    except (OSError, ValueError):
        return {}
    section = _SECTION.search(text)
    for part in (text, section[0] if section else ""):
        try:
            table = tomllib.loads(part).get("admin")
        except (ValueError, RecursionError):
            continue
        return table if isinstance(table, dict) else {}
    return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _place_of(text: str) -> AdminPlace:
    if "@" in text:
        raise NoAdminPlace("--admin: an address cannot carry a user name or password; see --token")
    if "://" not in text:
        try:
            return _visited(parse_bind(text))
        except ValueError as error:
            raise NoAdminPlace(f"--admin: {error}") from error
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment:
        raise NoAdminPlace(f"--admin: {_ADDRESS}, got {shown(text)}")
    return AdminPlace(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")


def _visited(bind: Bind) -> AdminPlace:
    if bind.family == "unix":
        return AdminPlace("http://localhost", bind.path)
    if not bind.port:
        raise NoAdminPlace("port 0 does not tell which port lbg took; name the admin listener with --admin")
    return AdminPlace(f"http://{bind.authority_from_here}")
