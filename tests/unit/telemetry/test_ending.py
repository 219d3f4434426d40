"""How requests end that do not get the whole answer of the application."""

from types import SimpleNamespace

import gevent
import pytest

from lbg.errors import ClientGone, LocalReply, Sent, StreamTimeout, UpstreamError
from lbg.hooks.guard import HookFailed
from lbg.telemetry.ending import ending


def test_what_the_server_answered_itself_counts() -> None:
    status, reason = ending({"lbg.fault": LocalReply("bad_request", "no", status=405)}, 0)
    assert (status, str(reason)) == (405, "bad_request")


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (UpstreamError("upstream_cut_body", "cut", sent=Sent.ANSWERED), 502, "upstream_cut_body"),
        (HookFailed("a filter raised"), 500, "filter_error"),
        (gevent.GreenletExit(), 503, "shutdown"),
        (ClientGone("left"), 499, "client_gone"),
        (StreamTimeout("slow"), 499, "client_gone"),
        (OSError("reset"), 499, "client_gone"),
        (ValueError("ours"), 500, "internal"),
    ],
)
def test_a_cut_has_its_cause_and_the_status_that_was_sent(
    cause: BaseException, status: int, code: str
) -> None:
    assert [str(one) for one in ending({"lbg.cut": cause}, 0)] == [str(status), code]
    assert [str(one) for one in ending({"lbg.cut": cause}, 200)] == ["200", code]


def test_a_tunnel_has_no_reason() -> None:
    assert ending({"lbg.client": SimpleNamespace(taken=True)}, 0) == (101, None)


def test_a_request_without_an_answer_is_our_fault() -> None:
    status, reason = ending({}, 0)
    assert (status, str(reason)) == (500, "internal")
