from email.message import Message
from io import BytesIO

import pytest

from lbg.demo.request_body import BodyError, read_body

REST = b"GET / HTTP/1.1\r\n"


def read(fields, data, limit=10):
    headers = Message()
    for name, value in fields.items():
        headers[name] = value
    stream = BytesIO(data)
    return read_body(headers, stream, limit), stream.read()


def test_without_framing_there_is_no_body():
    assert read({}, REST) == (b"", REST)


def test_a_counted_body_ends_where_its_length_says():
    assert read({"content-length": "5"}, b"hello" + REST) == (b"hello", REST)


@pytest.mark.parametrize(
    "data",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\n\r\n",
        b"05\r\nhello\r\n0\r\nDigest: x\r\n\r\n",
    ],
)
def test_a_chunked_body_is_joined_and_its_trailers_are_dropped(data):
    assert read({"Transfer-Encoding": "chunked"}, data + REST) == (b"hello", REST)


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"Content-Length": "11"}, b"x" * 11),
        ({"Transfer-Encoding": "chunked"}, b"6\r\n......\r\n5\r\n.....\r\n0\r\n\r\n"),
    ],
)
def test_a_body_beyond_the_limit_is_refused(fields, data):
    with pytest.raises(BodyError) as caught:
        read(fields, data)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"Content-Length": "five"}, b"hello"),
        ({"Content-Length": "-5"}, b"hello"),
        ({"Content-Length": "5"}, b"hell"),
        ({"Transfer-Encoding": "chunked"}, b"5\r\nhell"),
        ({"Transfer-Encoding": "chunked"}, b"5\r\nhello0\r\n\r\n"),
        ({"Transfer-Encoding": "chunked"}, b"x\r\nhello\r\n0\r\n\r\n"),
        ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n"),
        ({"Transfer-Encoding": "chunked"}, b"0" * 5000),
    ],
)
def test_a_broken_body_is_refused(fields, data):
    with pytest.raises(BodyError) as caught:
        read(fields, data)
    assert caught.value.status == 400
