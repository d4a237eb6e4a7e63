"""Signals wait for the step in work; a second ctrl-C does not."""

import os
import signal
import threading

import pytest

from vidrec.training.stopping import SIGNALS, stop_request


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_noted(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stop_request() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop
        assert stop.received == name
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts():
    with stop_request() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler may repeat itself
        assert stop
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_another_thread_takes_no_signals():
    found = []

    def enter():
        with stop_request() as stop:
            found.append(bool(stop))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [False]
