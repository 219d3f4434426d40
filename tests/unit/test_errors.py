"""The tree of errors: reason codes, their statuses, and what an error tells its catcher."""

import pytest

from lbg.errors import REASONS, ClientGone, LbgError, LocalReply, Reason, RequestError, Sent, UpstreamError

# Reason codes and statuses as the documentation promises them to log readers and dashboards.
PROMISED = {
    "no_route": 404,
    "bad_request": 400,
    "headers_too_large": 431,
    "uri_too_long": 414,
    "body_too_large": 413,
    "client_header_timeout": 408,
    "client_body_timeout": 408,
    "client_gone": 499,
    "no_endpoints": 503,
    "no_healthy": 503,
    "all_draining": 503,
    "dns_failure": 502,
    "connect_refused": 502,
    "connect_timeout": 504,
    "upstream_reset": 502,
    "upstream_reset_reused": 502,
    "response_timeout": 504,
    "bad_response": 502,
    "loop": 508,
    "shutdown": 503,
    "internal": 500,
}

# RFC 9209 section 2.3.
REGISTERED = {
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
}


@pytest.mark.parametrize(("code", "status"), PROMISED.items())
def test_a_reason_has_the_promised_status(code: str, status: int) -> None:
    assert (REASONS[code].code, REASONS[code].status, str(REASONS[code])) == (code, status, code)


@pytest.mark.parametrize("reason", REASONS.values(), ids=str)
def test_a_proxy_error_is_a_registered_type(reason: Reason) -> None:
    assert reason.proxy_error in REGISTERED


def test_a_local_reply_has_the_status_of_its_reason() -> None:
    assert LocalReply("no_route", "nowhere").status == 404


def test_a_local_reply_may_have_a_finer_status() -> None:
    reply = LocalReply("bad_request", "no", status=405, headers=(("Allow", "GET"),))
    assert (reply.status, reply.reason.code, reply.headers) == (405, "bad_request", (("Allow", "GET"),))


def test_an_unknown_reason_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        LocalReply("no_such_reason", "")


def test_an_upstream_error_reads_as_reason_and_detail() -> None:
    failure = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
    assert (str(failure), failure.reused) == ("connect_refused: connect refused", False)


def test_what_the_client_did_is_told_apart_from_what_the_endpoint_did() -> None:
    assert issubclass(ClientGone, LbgError)
    assert issubclass(RequestError, LocalReply)
    assert not issubclass(UpstreamError, LocalReply)


def test_the_amount_sent_is_ordered() -> None:
    assert Sent.NOTHING < Sent.WRITTEN < Sent.ANSWERED
