"""The WSGI environ of a request (PEP 3333), and the checks of its target and Host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from lbg.errors import RequestError
from lbg.http.target import is_authority, split_absolute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbg.http.headers import EnvironKeys
    from lbg.server.parser import Request

Environ = dict[str, Any]

_PROTOCOLS: Final = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1"}


class FileWrapper:
    """`wsgi.file_wrapper`: gives a file in blocks."""

    def __init__(self, file: Any, block: int = 65536) -> None:
        self._file = file
        self._block = block
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(self._block), b"")


def base_environ(scheme: str, server: tuple[str, str], *, multiprocess: bool) -> Environ:
    """Return what all requests of one listener share; `server` is its name and port."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_SOFTWARE": "lbg",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }


def fill_environ(environ: Environ, request: Request, keys: EnvironKeys) -> None:
    """Add what `request` says to a copy of the base environ.

    Raises RequestError for a target or a Host that no server may accept (RFC 9112 section 3.2).
    """
    if not request.target.startswith(b"/"):
        _other_form(request)
    target = request.target.decode("latin-1")
    path, _, query = target.partition("?")
    environ["REQUEST_METHOD"] = request.method
    environ["SERVER_PROTOCOL"] = _PROTOCOLS[request.version]
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = query
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    environ["lbg.raw_target"] = request.target
    environ["lbg.headers"] = request.fields
    if "#" in target:
        raise RequestError("bad_request", "The request target has a fragment.")
    for name, value in request.fields:
        key = keys[name]
        if key is None:
            continue
        if key in environ:
            _repeat(environ, key, value)
        else:
            environ[key] = value.decode("latin-1")
    host = environ.get("HTTP_HOST")
    if host is None:
        if request.version == "1.1":
            raise RequestError("bad_request", "The request has no Host.")
    elif not is_authority(host):
        raise RequestError("bad_request", "The Host of the request is malformed.")
    if "CONTENT_LENGTH" in environ:
        request.length = int(environ["CONTENT_LENGTH"])
    elif "HTTP_TRANSFER_ENCODING" in environ:
        _check_coding(request, environ["HTTP_TRANSFER_ENCODING"])


def _repeat(environ: Environ, key: str, value: bytes) -> None:
    if key == "HTTP_HOST":
        raise RequestError("bad_request", "The request has more than one Host.")
    separator = "; " if key == "HTTP_COOKIE" else ","
    environ[key] = f"{environ[key]}{separator}{value.decode('latin-1')}"


def _check_coding(request: Request, coding: str) -> None:
    # llhttp has made sure that the last coding is chunked; others we could not take off again.
    if coding.lower() != "chunked":
        raise RequestError("bad_request", "Only the chunked transfer coding is understood.", status=501)
    if request.version == "1.0":
        # RFC 9112 section 6.1: faulty framing, whatever the client takes it for.
        raise RequestError("bad_request", "HTTP/1.0 has no Transfer-Encoding.")
    request.chunked = True


def _other_form(request: Request) -> None:
    """Turn an absolute-form target into origin-form, its authority into Host (RFC 9112 section 3.2.2)."""
    if request.method == "CONNECT" or (request.target == b"*" and request.method == "OPTIONS"):
        return
    parts = split_absolute(request.target)
    if parts is None:
        raise RequestError("bad_request", "The request target is malformed.")
    authority, request.target = parts
    others = [field for field in request.fields if field[0].lower() != b"host"]
    if len(request.fields) - len(others) > 1:
        raise RequestError("bad_request", "The request has more than one Host.")
    if len(request.fields) == len(others) and request.version == "1.1":
        raise RequestError("bad_request", "The request has no Host.")
    request.fields = [(b"Host", authority), *others]
