"""A request to stop: a scheduler's signal, or ctrl-C. The step in work is done first."""

import contextlib
import signal
import threading

SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")  # SLURM's --signal sends what it is told to


class StopRequest:
    """Whether somebody wants this run to stop."""

    received = None

    def __bool__(self):
        return self.received is not None


@contextlib.contextmanager
def stop_request():
    """Yields a StopRequest, which such a signal sets; a second ctrl-C interrupts at once."""
    request, before = StopRequest(), {}

    def note(number, frame):
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.received = signal.Signals(number).name

    if threading.current_thread() is threading.main_thread():
        for name in SIGNALS:
            if hasattr(signal, name):
                before[name] = signal.signal(getattr(signal, name), note)
    try:
        yield request
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
