import errno
import os
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.health import probe
from lbg.health.probe import MAX_TEXT, ProbeResult, probe_of
from lbg.health.tcp_probe import CheckFailed, Dialer, OutOfTime
from tests.unit.health.probes import ScriptedWire, pool_of


class Closable(ScriptedWire):
    closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def dialled(monkeypatch):
    """Give a function that makes every connection this wire, or fails to make it; and a clock."""
    now = 100.0

    def tick():
        nonlocal now
        now += 0.0026
        return now

    monkeypatch.setattr(probe, "monotonic", tick)

    def set_outcome(outcome):
        def connect(dialer, deadline):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(Dialer, "connect", connect)

    return set_outcome


def check(timeout=2.0, **health):
    pool = pool_of(**health)
    return probe_of(pool.endpoints[0], pool).check(timeout)


def test_a_check_that_passed_says_how_long_it_took(dialled):
    wire = Closable(b"HTTP/1.1 200 OK\r\n\r\n")
    dialled(wire)
    result = check()
    assert (result.passed, result.text) == (True, "status 200 in 3 ms")
    assert result.seconds == pytest.approx(0.0026)
    assert (result.timed_out, result.connected, wire.closed) == (False, True, True)


def test_a_tcp_check_sends_nothing(dialled):
    wire = Closable(AssertionError("read"))
    dialled(wire)
    assert check(type="tcp").text == "connected in 3 ms"
    assert (wire.sent, wire.closed) == (b"", True)


@pytest.mark.parametrize(
    ("outcome", "text", "timed_out", "connected"),
    [
        (CheckFailed("connect refused"), "connect refused", False, False),
        (OutOfTime("connect timeout"), "connect timeout after 2.0 s", True, False),
        (OutOfTime("name look-up timeout"), "name look-up timeout after 2.0 s", True, False),
        (Closable(OutOfTime("timeout")), "timeout after 2.0 s", True, True),
        (Closable(b"HTTP/1.1 503 X\r\n\r\n"), "status 503, expected 200-399", False, True),
    ],
)
def test_a_check_that_failed_says_how_far_it_came(dialled, outcome, text, timed_out, connected):
    dialled(outcome)
    result = check(timeout=2)
    assert (result.passed, result.text) == (False, text)
    assert (result.timed_out, result.connected) == (timed_out, connected)


def caused_by(error):
    failure = CheckFailed("connect failed")
    failure.__cause__ = error
    return failure


@pytest.mark.parametrize(
    "number",
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EPERM],
)
def test_a_fault_of_this_machine_says_nothing_of_the_endpoint(dialled, number):
    dialled(caused_by(OSError(number, os.strerror(number))))
    result = check()
    assert (result.made, result.passed, result.text) == (False, False, "check not made: connect failed")


@pytest.mark.parametrize(
    "error",
    [
        None,
        OSError(errno.ECONNREFUSED, "Connection refused"),
        OSError(errno.EACCES, "Permission denied"),
        ssl.SSLCertVerificationError(errno.EPERM, "a number of TLS, not of the system"),
        ssl.SSLError(errno.EPERM, "a number of TLS, not of the system"),
        socket.gaierror(errno.ENOMEM, "a number of the resolver, not of the system"),
    ],
)
def test_a_fault_of_the_endpoint_is_a_failed_check(dialled, error):
    dialled(caused_by(error))
    result = check()
    assert (result.made, result.passed, result.text) == (True, False, "connect failed")


@pytest.mark.parametrize("error", [CheckFailed("x"), OutOfTime("x"), ZeroDivisionError()])
def test_the_connection_is_closed_however_the_check_ends(dialled, error):
    wire = Closable(error)
    dialled(wire)
    if isinstance(error, CheckFailed):
        check()
    else:
        with pytest.raises(ZeroDivisionError):
            check()
    assert wire.closed


def test_a_probe_connects_to_the_port_of_the_health_checks(monkeypatch):
    dialled = []
    monkeypatch.setattr(probe, "Dialer", dialled.append)
    for port in (0, 9000):
        pool = pool_of("http://[::1]:8000", port=port)
        probe_of(pool.endpoints[0], pool)
    assert [address.text for address in dialled] == ["[::1]:8000", "[::1]:9000"]


@given(st.text())
def test_the_text_of_a_result_is_short_and_printable(why):
    result = ProbeResult.unmade(why)
    assert result.text.startswith("check not made: ")
    assert result.text.isascii()
    assert result.text.isprintable()
    assert len(result.text) <= MAX_TEXT
    assert (result.passed, result.timed_out, result.connected) == (False, False, False)


def test_a_long_name_does_not_make_a_long_text(dialled):
    dialled(CheckFailed("name not found: " + "a" * 253))
    assert len(check().text) == MAX_TEXT
