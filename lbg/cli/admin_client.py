"""What the commands ask the admin listener, over HTTP."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import requests

from lbg.cli.unix_adapter import UnixAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lbg.cli.admin_place import AdminPlace

_CONNECT: Final = 5.0
_ANSWER: Final = 10.0
_SILENCE: Final = 45.0  # seconds without a byte of a stream that has a heartbeat each 15 s
_JSON: Final = {"Accept": "application/json"}
_GOOD: Final = (requests.codes.ok, requests.codes.created)
_SHOWN: Final = 300  # characters of a problem that we were told
_AS_COMMANDS: Final = {
    'set the state "drain"': "use `lbg drain`",
    "GET /api/v1/bans lists": "`lbg bans` lists",
}
"""What the sentences of the API name that has a command, too."""

OTHER_SHAPE: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What reading a document fails with that is not the one expected."""


class AdminError(Exception):
    """The admin listener gave no answer that can be used, in one line.

    `lasting` is whether asking again can not help.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(plain(message))
        self.lasting = lasting


class AdminClient:
    """Asks the admin listener at `place`, with a connection for each question."""

    def __init__(self, place: AdminPlace) -> None:
        self._place = place
        self._session = requests.Session()
        # A proxy or a .netrc of the user is not meant for this, and .netrc would replace the token.
        self._session.trust_env = False
        self._session.headers["Connection"] = "close"
        if place.token:
            self._session.headers["Authorization"] = f"Bearer {place.token}"
        if place.socket:
            self._session.mount("http://", UnixAdapter(place.socket))

    def __repr__(self) -> str:
        return f"<AdminClient {self._place}>"

    def document(self, path: str) -> Any:
        """Return the JSON document at `path`. Raises AdminError."""
        with self._asked("GET", path, _JSON) as response:
            return self.decoded(response.text)

    def send(
        self,
        path: str,
        document: Mapping[str, object],
        *,
        timeout: float = _ANSWER,
        also: tuple[int, ...] = (),
    ) -> Any:
        """Post a JSON document to `path` and return the one that comes back.

        `timeout` is in seconds, `also` are statuses of problems that are returned as well. Raises AdminError.
        """
        with self._asked("POST", path, _JSON, timeout, also, json=document) as response:
            return self.decoded(response.text)

    def delete(self, path: str) -> Any:
        """Delete what is at `path` and return the document that comes back. Raises AdminError."""
        with self._asked("DELETE", path, _JSON) as response:
            return self.decoded(response.text)

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, int]
    ) -> Iterator[Iterator[bytes]]:
        """Give the pieces of a stream of server-sent events as they come.

        Raises AdminError, when the connection is lost as well.
        """
        accept = {"Accept": "text/event-stream", **headers}
        with self._asked("GET", path, accept, _SILENCE, params=params, stream=True) as response:
            if response.headers.get("Content-Type", "").partition(";")[0] != "text/event-stream":
                raise self.misunderstood()
            # None takes what is there, but only of a chunked body; of another it would take all.
            chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
            yield response.iter_content(None if chunked else 1)

    def decoded(self, text: str) -> Any:
        """Return the JSON document in `text`. Raises AdminError."""
        try:
            return json.loads(text)
        except ValueError:
            raise self.misunderstood() from None

    def misunderstood(self) -> AdminError:
        """Return the error for an answer that lbg of this version does not give."""
        return AdminError(
            f"{self._place} answers, but not as the admin listener of this version of lbg", lasting=True
        )

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        timeout: float = _ANSWER,
        also: tuple[int, ...] = (),
        **more: Any,
    ) -> Iterator[requests.Response]:
        try:
            with self._session.request(
                method,
                self._place.url + path,
                headers=headers,
                timeout=(_CONNECT, timeout),
                allow_redirects=False,
                **more,
            ) as response:
                if response.status_code not in (*_GOOD, *also):
                    self._refuse(response)
                yield response
        except requests.Timeout as error:
            hint = "the control worker may hang; requests go on, and gunicorn replaces it"
            raise AdminError(f"{self._place} does not answer in time: {hint}") from error
        except requests.RequestException as error:
            raise AdminError(f"nothing answers at {self._place}; is lbg running?") from error

    def _refuse(self, response: requests.Response) -> NoReturn:
        if response.status_code == requests.codes.unauthorized:
            wrong = "the token is wrong" if self._place.token else "a token is needed"
            raise AdminError(f"{self._place}: {wrong}; set LBG_ADMIN__TOKEN or --token", lasting=True)
        detail = _detail(response)
        lasting = response.status_code < requests.codes.server_error
        if detail and lasting:
            raise AdminError(detail, lasting=True)
        detail = detail or "not what the admin listener of lbg says"
        raise AdminError(f"{self._place} answers {response.status_code}, {detail}", lasting=lasting)


def _detail(response: requests.Response) -> str:
    """Return the sentence of a problem document, RFC 9457, in the words of the commands; "" without one."""
    if response.headers.get("Content-Type", "").partition(";")[0] != "application/problem+json":
        return ""
    try:
        detail = str(response.json()["detail"])[:_SHOWN]
    except OTHER_SHAPE:
        return ""
    for words, command in _AS_COMMANDS.items():
        detail = detail.replace(words, command)
    return detail


def plain(text: str) -> str:
    """Return `text` without the characters that could move a cursor, hide text or forge a line."""
    return "".join(character if character.isprintable() else "?" for character in text)
