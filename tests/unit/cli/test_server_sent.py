from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lbg.cli.server_sent import Message, messages

STREAM = (
    b"retry: 2000\nid: 7\n\n"
    b": heartbeat\n\n"
    b'id: 8\nevent: up\ndata: {"a": "\xc3\xa9"}\n\n'
    b"data:one\r\ndata: two\r\n\r\n"
    b"event: nothing\n\n"
    b"id: 9\ndata: half"
)
MESSAGES = [Message("7", ""), Message("8", '{"a": "\xe9"}'), Message("", "one\ntwo")]


def test_messages_are_blocks_and_half_a_one_is_none():
    assert list(messages([STREAM])) == MESSAGES


@given(st.lists(st.integers(0, len(STREAM))))
def test_it_does_not_matter_how_the_stream_is_cut(cuts):
    borders = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[begin:end] for begin, end in pairwise(borders)]
    assert list(messages(pieces)) == MESSAGES


def test_a_message_is_there_as_soon_as_its_last_byte():
    def pieces():
        yield b"data: now\n\n"
        raise AssertionError("asked for more")

    assert next(messages(pieces())) == Message("", "now")
