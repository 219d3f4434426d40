"""`basic_auth`: names and passwords (RFC 7617), checked against hashes."""

from __future__ import annotations

import base64
import logging
import os
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import gevent
from gevent.lock import Semaphore
from werkzeug.security import check_password_hash

from lbg.config.passwords import parse_users
from lbg.errors import LocalReply
from lbg.proxy.fields import remove_field, set_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import BasicAuthConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

log = logging.getLogger("lbg.filters")

_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]")
_REMEMBERED: Final = 4096  # credentials that were right
_AT_ONCE: Final = 2  # checks; each takes about 50 ms of a core and 32 MB
_WAITING: Final = 64
_PATIENCE: Final = 5.0  # seconds that a request waits for its check
_LATER: Final = (("Retry-After", "1"),)


class BasicAuth:
    """Lets in who has a name and its password; REMOTE_USER is the name from then on.

    Credentials that were right are remembered, so that only the first request with them waits for the check.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: BasicAuthConfig,
        tools: Tools,
    ) -> None:
        """Read the users. Raises ValueError with a sentence."""
        self._app = app
        self._reply = tools.reply
        self._users = users_of(config)
        # A name that there is not must take as long as one that there is.
        self._any = next(iter(self._users.values()))
        self._keep = config.keep_authorization
        self._user_header = config.user_header
        self._challenge = (("WWW-Authenticate", f'Basic realm="{config.realm}", charset="UTF-8"'),)
        self._known: dict[bytes, str] = {}
        self._secret = os.urandom(32)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        said: str = environ.get("HTTP_AUTHORIZATION", "")
        if not said:
            return self._refuse("This needs a name and a password.", environ, start_response)
        raw = said.encode("latin-1", "replace")
        # What lies in memory is of no use to who reads it.
        digest = blake2b(raw, digest_size=32, key=self._secret).digest()
        name = self._known.get(digest)
        if name is None:
            try:
                name = self._first(raw, digest)
            except LocalReply as busy:
                return self._reply(busy, environ, start_response)
            if name is None:
                return self._refuse("The name or the password is wrong.", environ, start_response)
        environ["REMOTE_USER"] = name
        environ["AUTH_TYPE"] = "Basic"
        if not self._keep:
            remove_field(environ, "Authorization")
        if self._user_header is not None:
            set_field(environ, self._user_header, name)
        return self._app(environ, start_response)

    def _first(self, raw: bytes, digest: bytes) -> str | None:
        """Return whose credentials these are, None for nobody's, and remember them."""
        pair = credentials(raw)
        if pair is None:
            return None
        name, password = pair
        right = _CHECKS.matches(self._users.get(name, self._any), password)
        if not right or name not in self._users:
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        shown = self._known[digest] = name.decode("latin-1")
        return shown

    def _refuse(self, detail: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        cause = LocalReply("unauthorized", detail, headers=self._challenge)
        return self._reply(cause, environ, start_response)


class Checks:
    """Compares passwords in threads, a few at once, so that guessing does not stop the worker."""

    def __init__(self) -> None:
        self._free = Semaphore(_AT_ONCE)
        self._waiting = 0

    def matches(self, stored: str, password: str) -> bool:
        """Return whether `password` is the one of a hash. Raises LocalReply when there is no time for it."""
        if self._waiting >= _WAITING:
            raise _too_many()
        self._waiting += 1
        try:
            if not self._free.acquire(timeout=_PATIENCE):
                raise _too_many()
        finally:
            self._waiting -= 1
        try:
            result = gevent.get_hub().threadpool.spawn(_matches, stored, password)
        except BaseException:
            self._free.release()
            raise
        # Not when we stop waiting: a client that leaves does not end the thread.
        result.rawlink(lambda _: self._free.release())
        return bool(result.get())


def _too_many() -> LocalReply:
    return LocalReply("rate_limited", "Too many passwords are being checked.", headers=_LATER)


_CHECKS: Final = Checks()
"""The worker's own, for all routes."""


def _matches(stored: str, password: str) -> bool:
    try:
        return check_password_hash(stored, password)
    except ValueError as error:
        log.error("the hash of a user cannot be checked: %s", error)  # noqa: TRY400
        return False


def credentials(raw: bytes) -> tuple[bytes, str] | None:
    """Return name and password of an Authorization value, None when it is not Basic or malformed."""
    scheme, _, encoded = raw.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(b" "), validate=True)
    except ValueError:
        return None
    name, colon, password = decoded.partition(b":")
    # RFC 7617 section 2 forbids controls, and HMAC takes "secret" and "secret\0" for the same key.
    if not colon or not name or _CONTROLS.search(decoded):
        return None
    try:
        return name, password.decode("utf-8")
    except UnicodeDecodeError:
        return name, password.decode("latin-1")  # as browsers did before RFC 7617


def users_of(config: BasicAuthConfig) -> dict[bytes, str]:
    """Return the hash of each user's password; those in the configuration come before those in the file.

    Raises ValueError with a sentence.
    """
    users: dict[str, str] = {}
    if config.file:
        try:
            with open(config.file, encoding="utf-8") as file:
                users = parse_users(file.read())
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ValueError(f"{config.file} cannot be read: {why}") from None
    users |= config.users
    if not users:
        raise ValueError("there are no users")
    return {name.encode("utf-8"): stored for name, stored in users.items()}
