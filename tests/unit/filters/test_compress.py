"""Which responses are encoded, for whom, and what their heads say then."""

import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from lbg.config.filters import CompressConfig
from lbg.errors import Sent, UpstreamError
from lbg.filters.compress import Compress
from lbg.filters.tools import Tools
from tests.unit.filters.around import environ_of
from tests.unit.filters.decoding import CODINGS, Decoder, decoded

TEXT = b"some text, " * 500
HTML = ("Content-Type", "text/html; charset=utf-8")
Field = tuple[str, str]


@dataclass
class Answered:
    """What a client gets."""

    status: str
    headers: list[Field]
    pieces: list[bytes]

    @property
    def body(self) -> bytes:
        """The body as sent."""
        return b"".join(self.pieces)

    @property
    def coding(self) -> str:
        """What Content-Encoding says."""
        return ", ".join(self.values("content-encoding"))

    def values(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self.headers if key.lower() == name]


class Site:
    """An application behind `compress`."""

    def __init__(
        self,
        *headers: Field,
        body: Iterable[bytes] | None = None,
        status: str = "200 OK",
        length: int | None = len(TEXT),
        **config: Any,
    ) -> None:
        self.body: Iterable[bytes] = [TEXT] if body is None else body
        self._status = status
        self._headers = list(headers or (HTML,))
        if length is not None:
            self._headers.append(("Content-Length", str(length)))
        self.filter = compress(self._app, **config)

    def _app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(self._status, list(self._headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.body

    def ask(self, accepted: str | None = "gzip", *fields: Field, method: str = "GET") -> Answered:
        """Return the answer to a request."""
        sent = fields if accepted is None else (("Accept-Encoding", accepted), *fields)
        return call(self.filter, environ_of("/", *sent, method=method))


def compress(app: Any, **config: Any) -> Compress:
    """Return the filter around `app`."""
    table = CompressConfig.model_validate({"use": "compress", **config})
    return Compress(app, table, cast("Tools", type("Named", (), {"name": "shop#0"})))


def call(app: Any, environ: dict[str, Any]) -> Answered:
    """Return what a server gets of `app`."""
    started: list[tuple[str, list[Field]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[Field], exc_info: Any = None) -> Any:
        started.append((status, headers))
        return written.append

    body = app(environ, start_response)
    pieces = list(body)
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return Answered(*started[-1], [*written, *pieces])


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_is_encoded_as_the_client_asks(coding: str) -> None:
    answered = Site().ask(coding)
    assert (answered.status, answered.coding) == ("200 OK", coding)
    assert decoded(coding, answered.body) == TEXT
    assert len(answered.body) < len(TEXT) / 10


def test_of_codings_the_client_likes_as_well_the_first_configured_is_taken() -> None:
    accepted = "gzip, deflate, br, zstd"
    assert Site().ask(accepted).coding == "zstd"
    assert Site(algorithms=["gzip", "br"]).ask(accepted).coding == "gzip"
    assert Site(algorithms=["gzip", "br"]).ask("zstd").coding == ""


@pytest.mark.parametrize(
    "accepted", [None, "", "identity", "deflate", "gzip;q=0", "*;q=0", "identity, gzip;q=0.9"]
)
def test_a_client_that_does_not_want_it_gets_the_plain_body(accepted: str | None) -> None:
    site = Site(HTML, ("ETag", '"a"'), ("Accept-Ranges", "bytes"))
    answered = site.ask(accepted)
    assert (answered.body, answered.coding) == (TEXT, "")
    assert answered.values("content-length") == [str(len(TEXT))]
    assert answered.values("etag") == ['"a"']
    assert answered.values("accept-ranges") == ["bytes"]


@pytest.mark.parametrize("accepted", [None, "gzip", "gzip;q=0"])
def test_caches_are_told_that_the_body_depends_on_the_client(accepted: str | None) -> None:
    assert Site().ask(accepted).values("vary") == ["Accept-Encoding"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["Origin"], ["Origin, Accept-Encoding"]),
        (["Origin", "Cookie"], ["Origin, Cookie, Accept-Encoding"]),
        (["*"], ["*"]),
        (["origin, ACCEPT-encoding"], ["origin, ACCEPT-encoding"]),
        (["Accept-Encoding", "Origin"], ["Accept-Encoding", "Origin"]),
        (["X-Accept-Encoding"], ["X-Accept-Encoding, Accept-Encoding"]),
    ],
)
def test_what_vary_says_already_stays(before: list[str], after: list[str]) -> None:
    site = Site(HTML, *[("Vary", value) for value in before])
    assert site.ask().values("vary") == after


def test_fields_that_are_true_only_of_the_plain_body_go() -> None:
    gone = ["Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "content-length"]
    answered = Site(HTML, *[(name, "1") for name in gone[:-1]], ("X-A", "1")).ask()
    assert [name for name, _ in answered.headers] == ["Content-Type", "X-A", "Vary", "Content-Encoding"]


@pytest.mark.parametrize(
    ("before", "after"), [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"'), ("nonsense", "nonsense"), ('""', 'W/""')]
)
def test_an_entity_tag_becomes_a_weak_one(before: str, after: str) -> None:
    assert Site(HTML, ("ETag", before)).ask().values("etag") == [after]


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "Text/HTML;charset=utf-8",
        "text/plain ; x=y",
        "application/json",
        "application/problem+json",
        "application/atom+xml",
        "image/svg+xml",
    ],
)
def test_the_usual_texts_are_encoded(kind: str) -> None:
    assert Site(("Content-Type", kind)).ask().coding == "gzip"


@pytest.mark.parametrize(
    "kind",
    [
        "image/png",
        "application/octet-stream",
        "application/jsonx",
        "xtext/html",
        "application/json+zip",
        "text",
        "",
        "nonsense",
        "text/a/b",
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "application/grpc",
        "application/grpc+json",
        "application/grpc-web+json",
    ],
)
def test_other_types_are_not(kind: str) -> None:
    answered = Site(("Content-Type", kind)).ask()
    assert (answered.coding, answered.body, answered.values("vary")) == ("", TEXT, [])


def test_the_types_can_be_chosen() -> None:
    types = ["application/*", "image/x.y"]
    assert Site(("Content-Type", "application/grpc"), types=types).ask().coding == ""
    assert Site(("Content-Type", "application/pdf"), types=types).ask().coding == "gzip"
    assert Site(("Content-Type", "image/x.y"), types=types).ask().coding == "gzip"
    assert Site(("Content-Type", "image/xxy"), types=types).ask().coding == ""
    assert Site(types=types).ask().coding == ""


def test_a_body_without_a_type_is_not_encoded() -> None:
    assert Site(("X-A", "1")).ask().coding == ""


@pytest.mark.parametrize(("length", "coding"), [(1023, ""), (1024, "gzip")])
def test_small_bodies_are_not_worth_it(length: int, coding: str) -> None:
    assert Site(body=[b"x" * length], length=length).ask().coding == coding


def test_an_empty_body_is_never_encoded() -> None:
    assert Site(body=[], length=0, min_size=0).ask().coding == ""


def test_a_body_of_unknown_length_is_encoded() -> None:
    answered = Site(body=[b"", TEXT, b"end"], length=None).ask()
    assert decoded("gzip", answered.body) == TEXT + b"end"


@pytest.mark.parametrize("length", ["x", "-1", "+5000", "5_000", "5000, 5000", "9" * 5000, ""])
def test_a_response_with_a_malformed_length_is_left_to_the_server(length: str) -> None:
    answered = Site(HTML, ("Content-Length", length), length=None).ask()
    assert (answered.coding, answered.values("content-length")) == ("", [length])


@pytest.mark.parametrize(
    "status", ["204 No Content", "205 Reset Content", "206 Partial Content", "304 Not Modified"]
)
def test_responses_without_a_body_or_with_a_part_of_one_stay(status: str) -> None:
    answered = Site(HTML, ("ETag", '"a"'), status=status).ask()
    assert (answered.coding, answered.values("etag"), answered.values("vary")) == ("", ['"a"'], [])


@pytest.mark.parametrize("status", ["201 Created", "404 Not Found", "500 Internal Server Error"])
def test_other_statuses_do_not_matter(status: str) -> None:
    assert Site(status=status).ask().coding == "gzip"


@pytest.mark.parametrize(
    "field",
    [
        ("Content-Encoding", "br"),
        ("content-encoding", "unknown"),
        ("Content-Encoding", "identity, gzip"),
        ("Content-Range", "bytes 0-1/2"),
        ("Cache-Control", "no-transform"),
        ("Cache-Control", "public, No-Transform, max-age=5"),
    ],
)
def test_what_is_encoded_partial_or_not_to_be_changed_stays(field: Field) -> None:
    answered = Site(HTML, field).ask()
    assert (answered.body, answered.values("content-length")) == (TEXT, [str(len(TEXT))])
    assert field in answered.headers
    assert answered.values("vary") == []


def test_no_transform_in_a_later_line_counts_too() -> None:
    fields = [("Cache-Control", "public"), ("cache-control", "no-transform")]
    assert Site(HTML, *fields).ask().coding == ""


def test_identity_is_no_encoding() -> None:
    assert Site(HTML, ("Content-Encoding", "Identity")).ask().values("content-encoding") == ["gzip"]


def test_a_client_may_forbid_changes() -> None:
    answered = Site().ask("gzip", ("Cache-Control", "no-cache, No-Transform"))
    assert (answered.body, answered.coding) == (TEXT, "")


def test_head_gets_the_fields_of_get() -> None:
    site = Site(HTML, ("ETag", '"a"'))
    answered = site.ask(method="HEAD")
    assert answered.headers == site.ask().headers
    assert answered.body == b""


def test_a_body_that_stays_as_it_is_is_not_wrapped() -> None:
    site = Site(("Content-Type", "image/png"))
    assert site.filter(environ_of("/", ("Accept-Encoding", "gzip")), lambda *_: None) is site.body


def _cut() -> Iterator[bytes]:
    yield TEXT
    raise UpstreamError("upstream_cut_body", "connection closed within the body", sent=Sent.ANSWERED)


@pytest.mark.parametrize("length", [None, 2 * len(TEXT)])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_is_cut_does_not_look_whole(coding: str, length: int | None) -> None:
    site = Site(body=_cut(), length=length)
    encoded = iter(site.filter(environ_of("/", ("Accept-Encoding", coding)), lambda *_: None))
    client = Decoder(coding)
    assert client.feed(next(encoded)) == TEXT
    with pytest.raises(UpstreamError):
        next(encoded)
    assert not client.ended


def test_an_application_may_start_its_answer_when_it_is_iterated() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [HTML])
        yield TEXT

    answered = call(compress(app), environ_of("/", ("Accept-Encoding", "gzip")))
    assert decoded("gzip", answered.body) == TEXT


def test_an_application_may_start_late_with_what_is_not_encoded() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "image/png")])
        yield TEXT

    answered = call(compress(app), environ_of("/", ("Accept-Encoding", "gzip")))
    assert (answered.coding, answered.body) == ("", TEXT)


def test_an_application_may_change_its_answer_for_an_error() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [HTML])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("Content-Type", "image/png")], sys.exc_info())
        return [TEXT]

    answered = call(compress(app), environ_of("/", ("Accept-Encoding", "gzip")))
    assert (answered.status, answered.coding, answered.body) == ("500 Oops", "", TEXT)


def test_what_an_application_writes_by_itself_is_encoded_too() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [HTML])
        write(TEXT)
        return [b"end"]

    answered = call(compress(app), environ_of("/", ("Accept-Encoding", "gzip")))
    assert decoded("gzip", answered.body) == TEXT + b"end"


def test_bodies_under_way_at_the_same_time_do_not_mix() -> None:
    site = Site(body=[b"a" * 2000, b"b" * 2000], length=None)
    environ = environ_of("/", ("Accept-Encoding", "zstd"))
    one, other = (site.filter(environ, lambda *_: None) for _ in range(2))
    encoded = list(zip(one, other, strict=True))
    for whole in zip(*encoded, strict=True):
        assert decoded("zstd", b"".join(whole)) == b"a" * 2000 + b"b" * 2000


def test_a_coding_without_its_library_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert Site(algorithms=["br", "gzip"]).ask("br, gzip").coding == "gzip"


def test_nothing_is_encoded_without_any_library_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    with caplog.at_level(logging.WARNING, "lbg.filters"):
        answered = Site(algorithms=["br"]).ask("br")
    assert (answered.coding, answered.body) == ("", TEXT)
    assert "shop#0: compress does nothing, the library is not installed for: br" in caplog.text


def test_a_very_long_accept_encoding_is_understood() -> None:
    assert Site().ask("gzip, " + "x, " * 1000).coding == "gzip"
