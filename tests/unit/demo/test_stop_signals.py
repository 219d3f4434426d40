import signal

from lbg.demo.stop_signals import StopSignals


def test_signals_are_noted_in_order_and_taken_once():
    with StopSignals() as stops:
        assert stops.take() is None
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert repr(stops) == "<StopSignals [2, 15]>"
        assert [stops.take(), stops.take(), stops.take()] == [signal.SIGINT, signal.SIGTERM, None]


def test_the_handlers_come_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with StopSignals():
        assert all(
            signal.getsignal(number) is not handler for number, handler in zip(numbers, before, strict=True)
        )
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stops:
            signal.raise_signal(signal.SIGHUP)
            assert stops.take() is None
    finally:
        signal.signal(signal.SIGHUP, before)
