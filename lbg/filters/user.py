"""`use = "package.module:factory"`: any WSGI middleware as a filter, contained."""

from __future__ import annotations

import itertools
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from lbg.errors import LocalReply
from lbg.hooks.environ import FRAMING, Unusable, apply, changed_fields, check_fields, has_body, reframe
from lbg.hooks.guard import HookFailed, stay_at
from lbg.hooks.input import HookInput, OwnInput
from lbg.hooks.visit import HookBody, Visit
from lbg.proxy.cgi import fields_of, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lbg.filters.tools import Environ, StartResponse
    from lbg.hooks.guard import Guard
    from lbg.http.headers import Fields

_TOLD: Final = "A filter of this route failed."
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*")
_TARGET: Final = re.compile(rb'/[!"$-~]*|\*')
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")  # what may stand in a query

_RAW_KEYS: Final = {"lbg.raw_target", "RAW_URI", "REQUEST_URI"}

_numbers = itertools.count(1)


class UserFilter:
    """A middleware around `app`, made by `factory(app, **options)`, whose failures are ours to answer.

    Before the head was sent the client gets `filter_error` through `reply`, after that it is cut off. What
    the factory raises is answered for each request.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        guard: Guard,
        factory: Callable[..., Any],
        options: Mapping[str, Any],
        reply: Callable[[LocalReply, Environ, StartResponse], Iterable[bytes]],
    ) -> None:
        self._app = app
        self._guard = guard
        self._reply = reply
        self._key = f"lbg.visit.{next(_numbers)}"
        self._middleware = self._make(factory, options)

    def __repr__(self) -> str:
        return f"<UserFilter {self._guard!r}>"

    def _make(self, factory: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any] | None:
        try:
            middleware = factory(self._inner, **options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever code of the user's may raise
            self._guard.blame(error)
            return None
        if not callable(middleware):
            self._guard.fail(f"returned {type(middleware).__name__}, expected a WSGI application")
            return None
        made: Callable[..., Any] = middleware
        return made

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        visit = environ[self._key] = _FilterVisit(self._guard, environ, start_response)
        before = visit.before = environ.copy()
        answer = partial(self._answer, before, start_response)
        try:
            if self._middleware is None:
                raise self._guard.fail("could not be made when this worker started")
            result: Any = visit.call(self._middleware, environ, visit.start)
            if visit.handled is not None:
                HookBody(visit, result, answer).close()
                result = visit.handled
            elif visit.passed_on(result):
                result = visit.unwrap(result)
            elif type(result) in {list, tuple}:
                for piece in result:
                    visit.check(piece)
                visit.check_end()
            else:
                return HookBody(visit, result, answer)
        except HookFailed as failure:
            visit.end()
            if visit.begun:
                raise
            return answer(failure)
        except BaseException:
            visit.end()
            raise
        visit.end()
        whole: Iterable[bytes] = result
        return whole

    def _inner(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Be the application that the middleware calls."""
        visit = environ.get(self._key) or stay_at(sys._getframe())
        if not isinstance(visit, _FilterVisit):
            return self._app(environ, start_response)
        if getattr(start_response, "__func__", None) is Visit.start:
            start_response = visit.start_inner
        else:
            start_response = partial(visit.start_changed, start_response)
        try:
            visit.carry_over(environ)
        except Unusable as fault:
            raise visit.broke(str(fault)) from None
        except LocalReply as cause:
            return self._reply(cause, visit.before, start_response)
        return visit.wrap(visit.outside(self._app, environ, start_response))

    def _answer(
        self, environ: Environ, start_response: StartResponse, failure: HookFailed
    ) -> Iterable[bytes]:
        """Answer in place of the middleware, which may have called start_response already."""
        info = type(failure), failure, failure.__traceback__
        record = environ.get("lbg.exchange")
        if record is not None:
            record.gave_up = str(failure)

        def restart(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            return start_response(status, headers, info)

        return self._reply(LocalReply("filter_error", _TOLD), environ, restart)


class _FilterVisit(Visit):
    """A visit that knows the request from before the middleware: `before` is a copy of its environ."""

    __slots__ = ("_carried", "_exchange", "_fields", "_source", "_target", "before")

    def __init__(self, guard: Guard, environ: Environ, start_response: StartResponse) -> None:
        super().__init__(guard, environ["REQUEST_METHOD"], start_response)
        self._exchange = environ.get("lbg.exchange")
        self._source = environ["wsgi.input"]
        if has_body(environ):
            environ["wsgi.input"] = OwnInput(self._source)
        fields: Fields | None = environ.get("lbg.headers")
        self._fields = None if fields is None else fields.copy()
        self._carried: Fields | None = None
        self._target: bytes | None = None
        self.before: Environ = {}

    @property
    def switched(self) -> bool:
        """Whether the connection speaks another protocol now, by what the proxy says of its exchange."""
        return getattr(self._exchange, "switched", False)

    def end(self) -> None:
        """Close what the middleware left open of ours."""
        super().end()
        self.before = {}  # it holds this visit, and only the garbage collector would find that

    def carry_over(self, environ: Environ) -> None:
        """Bring what the middleware changed in `environ` to the keys that the proxy reads.

        Raises Unusable for what cannot go upstream, LocalReply for a malformed Host.
        """
        before = self.before
        if environ == before and environ.get("lbg.headers") == self._fields:
            self._give_back(environ)
            return
        if "lbg.exchange" not in environ:  # built anew
            for key in before.keys() - environ.keys():
                if key.startswith("lbg."):
                    environ[key] = before[key]
        changes = changed_fields(before, environ)
        self._carry_body(changes, environ)
        self._carry_fields(changes, environ)
        self._carry_target(environ)
        method = environ["REQUEST_METHOD"]
        if method != before["REQUEST_METHOD"] and not _may_be_forwarded(method):
            raise Unusable(f"set REQUEST_METHOD to {method!r:.60}")

    def _give_back(self, environ: Environ) -> None:
        given = environ["wsgi.input"]
        if given is self._source:
            return
        if given.begun:
            raise Unusable("read of the request body, and put no input with all of it in place of wsgi.input")
        environ["wsgi.input"] = self._source

    def _carry_body(self, changes: dict[str, str | None], environ: Environ) -> None:
        source = environ["wsgi.input"]
        replaced = source is not self.before["wsgi.input"] and source is not self._source
        if replaced or not changes.keys().isdisjoint(FRAMING):
            length = reframe(changes, self.before, environ)
            own = self.before["wsgi.input"]
            if isinstance(own, OwnInput) and own.begun:
                # The client was told to go on when it was read: nobody has to ask once more.
                changes["HTTP_EXPECT"] = None
                environ.pop("HTTP_EXPECT", None)
            environ["wsgi.input"] = HookInput(source, self.guard, length)
            environ["lbg.body_replaced"] = True
        else:
            self._give_back(environ)

    def _carry_fields(self, changes: dict[str, str | None], environ: Environ) -> None:
        fields: Any = environ.get("lbg.headers")
        if fields is None or fields is self._carried:
            fields = self._fields
        if fields != self._fields:
            check_fields(fields)
        if changes:
            fields = apply(changes, fields_of(self.before) if fields is None else fields)
            self._carried = fields
        if fields is not None:
            environ["lbg.headers"] = fields

    def _carry_target(self, environ: Environ) -> None:
        before = self.before
        raw = environ.get("lbg.raw_target")
        if raw not in (None, self._target, before.get("lbg.raw_target")):
            if not (isinstance(raw, bytes) and _TARGET.fullmatch(raw)):
                raise Unusable(f"set lbg.raw_target to {raw!r:.60}")
            return
        if _target_keys(environ) == _target_keys(before):
            environ.pop("lbg.raw_target", None)
            environ.update((key, before[key]) for key in _RAW_KEYS & before.keys())
            return
        path, query = _path_of(environ), _text(environ, "QUERY_STRING")
        moved = path != _path_of(before)
        known = before.get("lbg.raw_target") or target_of(before)
        target = _quoted(path) if moved else known.partition(b"?")[0]
        if query:
            target += b"?" + quote(query, safe=_VISIBLE, encoding="latin-1").encode("ascii")
        environ["lbg.raw_target"] = self._target = target
        environ["RAW_URI"] = environ["REQUEST_URI"] = target.decode("ascii")


def _target_keys(environ: Environ) -> tuple[Any, ...]:
    get = environ.get
    return get("SCRIPT_NAME", ""), get("PATH_INFO", ""), get("QUERY_STRING", "")


def _path_of(environ: Environ) -> str:
    return _text(environ, "SCRIPT_NAME") + _text(environ, "PATH_INFO")


def _text(environ: Environ, key: str) -> str:
    value = environ.get(key, "")
    if not isinstance(value, str) or not (value.isascii() or max(value) <= "\xff"):
        raise Unusable(f"set {key} to {value!r:.60}, expected str of Latin-1 characters")
    return value


def _quoted(path: str) -> bytes:
    """Return `path`, decoded as in PATH_INFO, as a target has it. Raises Unusable."""
    if path and not path.startswith("/"):
        raise Unusable(f"set PATH_INFO so that the path is {path!r:.60}, which does not begin with a slash")
    return target_of({"PATH_INFO": path})


def _may_be_forwarded(method: object) -> bool:
    return isinstance(method, str) and bool(_METHOD.fullmatch(method)) and method not in {"CONNECT", "TRACE"}
