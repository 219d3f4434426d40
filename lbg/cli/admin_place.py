"""Where the admin listener answers: as the command line says, else as the configuration does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lbg.config.load import DEFAULT_FILE, ConfigError, load
from lbg.config.problems import shown
from lbg.net.address import parse_bind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lbg.config.schema import AdminConfig
    from lbg.net.address import Bind

_TOKEN: Final = "LBG_ADMIN__TOKEN"  # noqa: S105 - the name of a variable
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

    Raises NoAdminPlace.
    """
    if admin is not None:
        # The token of a file is for its own listener, not for any that is named.
        place, known = _place_of(admin), environ.get(_TOKEN, "")
    else:
        config = _configured(environ, cwd)
        place, known = _visited(config.bind), config.token
    token = known if token is None else token
    if token and not (token.isascii() and token.isprintable()):
        raise NoAdminPlace("the admin token: expected printable ASCII characters")
    return replace(place, token=token)


def _configured(environ: Mapping[str, str], cwd: Path) -> AdminConfig:
    sources = [environ.get("LBG_CONFIG"), environ.get("LBG_ENDPOINTS"), (cwd / DEFAULT_FILE).exists()]
    if not any(sources):  # lbg may have been started elsewhere: the defaults are worth a try
        environ = {**environ, "LBG_CONFIG": "", "LBG_ENDPOINTS": "http://127.0.0.1"}
    try:
        return load(environ, cwd).config.admin
    except ConfigError as error:
        first = str(error).splitlines()[0]
        raise NoAdminPlace(f"{first}; or name the admin listener with --admin") from error


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
