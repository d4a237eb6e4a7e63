"""How many clips a second, and how much of the time was spent waiting for them."""

import contextlib
import time


class Speed:
    """Times the steps of each epoch, but for the first one of all, which also makes the graph.

    Args:
        batch_size: int, clips a step.
    """

    def __init__(self, batch_size):
        self.batch_size, self.warm = batch_size, False
        self._clear()

    @contextlib.contextmanager
    def waiting(self):
        """Around what fetches a batch."""
        began = time.monotonic()
        yield
        self.waited += (time.monotonic() - began) * self.warm

    @contextlib.contextmanager
    def working(self):
        """Around what takes a step."""
        began = time.monotonic()
        yield
        self.worked += (time.monotonic() - began) * self.warm
        self.steps += self.warm
        self.warm = True

    def of_epoch(self):
        """dict of "clips_per_second" and "waiting", a share, since the last call; both are NaN if
        there was no step but the first."""
        seconds = self.worked + self.waited
        found = {
            "clips_per_second": self.steps * self.batch_size / seconds if seconds else float("nan"),
            "waiting": self.waited / seconds if seconds else float("nan"),
        }
        self._clear()
        return found

    def _clear(self):
        self.worked = self.waited = 0.0
        self.steps = 0
