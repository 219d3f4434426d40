"""Requests are the same in whatever pieces their bytes come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import RequestError
from tests.unit.server.requests import ALL, Fed, Sample, content
from tests.unit.upstream.responses import bytewise, pieces_at

PIPELINES = st.lists(st.sampled_from(ALL), min_size=1, max_size=4)
CUTS = st.lists(st.integers(0, 800), max_size=8)


def raw(samples: list[Sample]) -> bytes:
    return b"".join(sample.raw for sample in samples)


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.target.decode())
def test_a_request_cut_into_two_pieces_anywhere_is_the_same(sample: Sample) -> None:
    for at in range(len(sample.raw) + 1):
        assert Fed().feed(sample.raw[:at], sample.raw[at:]).samples() == content(sample), at


@settings(deadline=None, max_examples=200)
@given(PIPELINES, CUTS)
def test_a_pipeline_gives_the_same_requests_in_any_pieces(samples: list[Sample], cuts: list[int]) -> None:
    assert Fed().feed(*pieces_at(raw(samples), cuts)).samples() == content(*samples)


@settings(deadline=None, max_examples=25)
@given(PIPELINES)
def test_a_pipeline_byte_by_byte_gives_the_same_requests(samples: list[Sample]) -> None:
    assert Fed().feed(*bytewise(raw(samples))).samples() == content(*samples)


@settings(deadline=None, max_examples=100)
@given(
    PIPELINES,
    CUTS,
    st.sampled_from([b"GET / HTTP/1.1\nHost: a\n\n", b"BREW / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00"]),
)
def test_requests_before_a_fault_are_all_given(samples: list[Sample], cuts: list[int], fault: bytes) -> None:
    fed = Fed()
    with pytest.raises(RequestError):
        fed.feed(*pieces_at(raw(samples) + fault, cuts))
    assert fed.samples() == content(*samples)
