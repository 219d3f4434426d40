"""The answers lbg makes itself."""

import json
import re
from html.parser import HTMLParser

import pytest

from lbg.errors import REASONS, LocalReply
from lbg.http.replies import Reply, accepted, make_reply, status_line

# RFC 8941: an item that is a token, with parameters whose values are a token or a string.
PROXY_STATUS = re.compile(r'lbg; error=[a-z_]+; details="[a-z_]+"')
FORMS = {"text": "text/plain", "page": "text/html", "problem": "application/json"}


def reply(
    accept: str = "", detail: str = "Nobody home.", reason: str = "no_endpoints", request_id: str = "id1"
) -> Reply:
    return make_reply(LocalReply(reason, detail), accept, request_id)


def header(answer: Reply, name: str) -> str:
    values = [value for key, value in answer.headers if key == name]
    assert len(values) == 1
    return values[0]


@pytest.mark.parametrize("accept", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("reason", REASONS)
def test_every_reply_names_reason_and_length_and_is_not_cached(reason: str, accept: str) -> None:
    answer = reply(accept, reason=reason)
    assert answer.status.startswith(f"{REASONS[reason].status} ")
    assert header(answer, "Content-Length") == str(len(answer.body))
    assert header(answer, "Cache-Control") == "no-store"
    assert header(answer, "X-Request-Id") == "id1"
    assert PROXY_STATUS.fullmatch(header(answer, "Proxy-Status"))
    assert reason.encode() in answer.body
    assert b"Nobody home." in answer.body
    assert b"id1" in answer.body


def test_a_line_is_the_default() -> None:
    answer = reply()
    assert header(answer, "Content-Type") == "text/plain; charset=utf-8"
    assert answer.body == (b"503 Service Unavailable\nNobody home.\nreason: no_endpoints\nrequest id: id1\n")


def test_a_problem_document_is_rfc_9457() -> None:
    answer = reply("application/json", detail='say "no"\n')
    assert header(answer, "Content-Type") == "application/problem+json"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": 'say "no"\n',
        "reason": "no_endpoints",
        "request_id": "id1",
    }


class Tags(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_escapes_what_it_shows() -> None:
    hostile = "<script>alert(1)</script>&\"'"
    answer = make_reply(LocalReply("no_route", hostile), "text/html", "<img>")
    page = Tags(answer.body.decode())
    assert header(answer, "Content-Type") == "text/html; charset=utf-8"
    assert not {"script", "img"} & set(page.tags)
    assert hostile in page.text
    assert "<img>" in page.text


def test_without_a_request_id_none_is_shown() -> None:
    answer = reply(request_id="")
    assert "X-Request-Id" not in dict(answer.headers)
    assert b"request id" not in answer.body


@pytest.mark.parametrize("environ", [{}, {"HTTP_ACCEPT": None}, {"HTTP_ACCEPT": 5}])
def test_a_request_that_does_not_tell_what_it_accepts_is_no_fault(environ: dict[str, object]) -> None:
    assert accepted(environ) == ""
    assert accepted({"HTTP_ACCEPT": "text/html"}) == "text/html"


def test_fields_of_the_cause_are_sent() -> None:
    cause = LocalReply("bad_request", "No.", status=405, headers=(("Allow", "GET"),))
    answer = make_reply(cause, "", "")
    assert (answer.status, header(answer, "Allow")) == ("405 Method Not Allowed", "GET")


def test_text_beyond_ascii_is_utf_8_and_counted_in_bytes() -> None:
    answer = reply(detail="Zürich")
    assert "Zürich".encode() in answer.body
    assert header(answer, "Content-Length") == str(len(answer.body))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (502, "502 Bad Gateway"),
        (508, "508 Loop Detected"),
        (499, "499 Client Closed Request"),
        (799, "799 Unknown"),
    ],
)
def test_a_status_line_has_a_phrase(status: int, line: str) -> None:
    assert status_line(status) == line
