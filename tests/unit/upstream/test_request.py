"""The request head as it goes to one endpoint or another."""

from io import BytesIO

from lbg.upstream.body import RequestBody
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint


def request(host: bytes | None) -> UpstreamRequest:
    return UpstreamRequest("GET", b"GET /a HTTP/1.1\r\n", host, b"A: 1\r\n\r\n")


def test_the_clients_host_goes_to_every_endpoint() -> None:
    head = request(b"Host: shop.example\r\n").head(ScriptedEndpoint())
    assert head == b"GET /a HTTP/1.1\r\nHost: shop.example\r\nA: 1\r\n\r\n"


def test_without_one_the_endpoint_is_named() -> None:
    assert (
        request(None).head(ScriptedEndpoint()) == b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nA: 1\r\n\r\n"
    )


def test_a_request_without_a_body_can_be_sent_again() -> None:
    assert request(None).replayable


def test_a_request_is_as_replayable_as_its_body() -> None:
    with_body = request(None)
    with_body.body = RequestBody(BytesIO(b"12345"), 5, buffer=4)
    assert with_body.replayable
    with_body.body.read_some()
    assert not with_body.replayable


def test_the_repr_is_the_request_line() -> None:
    assert repr(request(None)) == "<UpstreamRequest GET /a HTTP/1.1>"
