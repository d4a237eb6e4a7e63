"""Progress with rate and time left: a moving bar for people, a few lines for a log file."""

import importlib.util
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

LOG_LINES = 20  # that a log file gets for the way from 0 to the total,
LOG_SILENCE = 60  # s, and one more at an advance that comes after so long


class progress_bar:
    """Context manager that yields `advance(amount=1)`.

    On a terminal and in a notebook a bar moves; anything else gets lines like
    `flow: 1,200 of 80,000 pairs, 35 pairs/s, about 38 min left`, on stderr.

    Args:
        title: str, what is being made.
        total: int >= 0, how much of it, in `unit`.
        unit: str, plural. Pairs of frames tell the time left better than videos, which differ in
            length.
        lines: int, how many a log file gets for the way from 0 to the total.
    """

    def __init__(self, title, total, *, unit="videos", lines=LOG_LINES):
        self.title, self.total, self.unit, self.lines = title, total, unit, lines
        self.done = 0
        console = Console(stderr=True)
        # Without ipywidgets rich shows nothing in a notebook but a warning.
        notebook = console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
        self.live = console.is_interactive or notebook
        self.bar = Progress(
            SpinnerColumn(),  # a sign of life between two long videos
            TextColumn("{task.description:>12}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not self.live,
        )

    def __enter__(self):
        self.began = self.spoke = time.monotonic()
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=self.total, state=self._state(0))
        return self.advance

    def __exit__(self, *_):
        if self.live:
            self.bar.stop()  # without one, rich 13 writes an empty line

    def advance(self, amount=1):
        """Notes that `amount` more is done, int >= 0 in the unit of the total."""
        now, before = time.monotonic(), self.done
        self.done += amount
        state = self._state(now - self.began)
        self.bar.update(self.task, completed=self.done, state=state)
        step = max(1, self.total / self.lines)
        passed = self.done // step > before // step or self.done >= self.total > before
        if not self.live and (passed or now - self.spoke >= LOG_SILENCE):
            self.spoke = now
            print(f"{self.title:>12}: {state}", file=sys.stderr, flush=True)

    def _state(self, seconds):
        text = f"{self.done:,} of {self.total:,} {self.unit}"
        if self.done == 0 or seconds == 0:
            return text
        text = f"{text}, {rate(self.done / seconds, self.unit)}"
        if self.done >= self.total:
            return f"{text}, took {duration(seconds)}"
        return f"{text}, about {duration(seconds / self.done * (self.total - self.done))} left"


def rate(per_second, unit):
    """A speed > 0 for people: "1,250 pairs/s", "3.1 videos/s", "12 videos/min", "1.5 videos/h"."""
    seconds, name = (1, "s") if per_second >= 1 else (60, "min")
    if per_second * seconds < 1:
        seconds, name = 3600, "h"
    number = per_second * seconds
    return f"{number:,.0f} {unit}/{name}" if number >= 10 else f"{number:.1f} {unit}/{name}"


def duration(seconds):
    """Seconds >= 0 for people: "40 s", "3 min", "2 h 10 min", "3 d 4 h"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
