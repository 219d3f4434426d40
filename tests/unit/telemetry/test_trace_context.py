"""Which trace a request belongs to; the cases follow the conformance tests of W3C Trace Context."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from lbg.telemetry.trace_context import Parent, TraceContext, TraceContexts, parent_of, state_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"

HEX = st.text("0123456789abcdef")
KEYS = st.from_regex(r"[a-z][a-z0-9_\-*/]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-+\--<>-~]{1,20}", fullmatch=True)


def ids(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


@given(ids(32), ids(16), st.integers(0, 255))
def test_what_a_valid_parent_says_is_read(trace_id: str, span_id: str, flags: int) -> None:
    assert parent_of(f"00-{trace_id}-{span_id}-{flags:02x}") == Parent(trace_id, span_id, flags % 2 == 1)


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-fA-F-]{50,60}", fullmatch=True))
def test_what_is_read_has_ids_of_their_length_that_are_not_zero(value: str) -> None:
    parent = parent_of(value)
    assert parent is None or (
        re.fullmatch("[0-9a-f]{32}", parent.trace_id)
        and re.fullmatch("[0-9a-f]{16}", parent.span_id)
        and int(parent.trace_id, 16)
        and int(parent.span_id, 16)
    )


@given(st.integers(0, len(PARENT) - 1), st.characters(max_codepoint=255))
def test_a_valid_parent_with_another_character_is_another_or_none(at: int, character: str) -> None:
    value = PARENT[:at] + character + PARENT[at + 1 :]
    parent = parent_of(value)
    assert parent is None or value[2::] == f"-{parent.trace_id}-{parent.span_id}-{value[-2:]}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}",
        f"{PARENT}-",
        f"{PARENT}-what-the-future-will-be-like",
        f"{PARENT}.",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"{PARENT},{PARENT}",
        f"{PARENT}\n",
    ],
)
def test_a_malformed_parent_is_none(value: str) -> None:
    assert parent_of(value) is None


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
def test_a_later_version_may_say_more(more: str) -> None:
    assert parent_of(f"cc-{TRACE}-{SPAN}-01{more}") == Parent(TRACE, SPAN, sampled=True)


@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=32))
def test_a_valid_state_passes_as_it_came(members: list[tuple[str, str]]) -> None:
    value = ",".join(f"{key}={value}" for key, value in members)
    assert state_of(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "foo=1",
        "foo=1 \t , \t bar=2",
        "foo=1,,bar=2",
        "foo=1,foo=1",
        "0fw@dd=1",
        "z" * 256 + "=1",
        f"{'t' * 241}@{'v' * 14}=1",
        "foo=" + "v" * 256,
        "foo= x y",
        ",".join(f"k{number}=1" for number in range(32)),
    ],
)
def test_a_state_within_the_limits_is_valid(value: str) -> None:
    assert state_of(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "foo",
        "foo=",
        "FOO=1",
        "foo =1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "0foo=1",
        "z" * 257 + "=1",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        "foo=" + "v" * 257,
        "foo=a=b",
        "foo=é",
        "foo=1\r\nEvil: yes",
        ",".join(f"k{number}=1" for number in range(33)),
        "," * 60_000,
    ],
)
def test_a_state_that_is_not_valid_is_dropped(value: str) -> None:
    assert state_of(value) == ""


def begin(ratio: float = 1.0, **fields: str) -> TraceContext:
    return TraceContexts(ratio).begin({f"HTTP_{name.upper()}": value for name, value in fields.items()})


def test_a_valid_parent_is_continued_with_its_state() -> None:
    context = begin(traceparent=PARENT, tracestate="a=b")
    assert (context.trace_id, context.parent_id, context.state) == (TRACE, SPAN, "a=b")
    assert context.lines(0) == (
        f"traceparent: 00-{TRACE}-{context.attempt_id(0):016x}-01\r\ntracestate: a=b\r\n".encode()
    )


def test_a_later_version_is_continued_in_ours() -> None:
    assert begin(traceparent=f"cc-{TRACE}-{SPAN}-01-more").lines(0).startswith(b"traceparent: 00-0af765")


def test_a_state_that_is_not_valid_does_not_end_the_trace() -> None:
    context = begin(traceparent=PARENT, tracestate="A")
    assert (context.trace_id, context.state) == (TRACE, "")
    assert b"tracestate" not in context.lines(0)


@pytest.mark.parametrize("parent", [{}, {"traceparent": "nonsense"}, {"traceparent": f"{PARENT},{PARENT}"}])
def test_without_a_valid_parent_a_trace_begins_without_state(parent: dict[str, str]) -> None:
    context = begin(**parent, tracestate="a=b")
    assert context.trace_id != TRACE
    assert (context.parent_id, context.state) == ("", "")
    assert parent_of(context.lines(0).decode()[13:-2]) is not None


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_parent_decides_whether_its_trace_is_recorded(flags: str, sampled: bool, ratio: float) -> None:
    context = begin(ratio, traceparent=f"00-{TRACE}-{SPAN}-{flags}")
    assert context.sampled is sampled
    assert context.lines(0).endswith(b"-01\r\n" if sampled else b"-00\r\n")


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 1.0])
def test_new_traces_are_recorded_as_the_sdk_would_by_their_id(ratio: float) -> None:
    sampler = TraceIdRatioBased(ratio)
    for _ in range(500):
        context = begin(ratio)
        decision = sampler.should_sample(None, int(context.trace_id, 16), "").decision
        assert context.sampled is (decision is Decision.RECORD_AND_SAMPLE)


def test_the_word_of_who_is_not_trusted_begins_a_new_trace() -> None:
    contexts = TraceContexts(0.0, lambda environ: environ["REMOTE_ADDR"] == "10.0.0.1")
    fields = {"HTTP_TRACEPARENT": PARENT, "HTTP_TRACESTATE": "a=b"}
    assert contexts.begin({"REMOTE_ADDR": "10.0.0.1", **fields}).trace_id == TRACE
    stranger = contexts.begin({"REMOTE_ADDR": "192.0.2.1", **fields})
    assert stranger.trace_id != TRACE
    assert (stranger.state, stranger.sampled) == ("", False)


def test_request_and_attempts_have_spans_of_their_own() -> None:
    context = begin(traceparent=PARENT)
    spans = [context.span_id, *(context.attempt_id(number) for number in range(5))]
    assert len(set(spans)) == 6
    assert all(0 < span < 2**64 for span in spans)
    assert f"{context.span_id:016x}".encode() in context.own_lines()
    assert begin(traceparent=PARENT).span_id != context.span_id


def test_the_repr_names_the_trace() -> None:
    assert repr(begin(traceparent=PARENT)) == f"<TraceContext {TRACE} sampled>"
