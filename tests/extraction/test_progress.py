import io
import sys
import types

import pytest
from rich.console import Console

from vidrec.extraction import progress


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        here = types.SimpleNamespace(monotonic=lambda: self.now)  # rich keeps the true one
        monkeypatch.setattr(progress, "time", here)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def lines(capsys):
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(("jobs", "count"), [(4, 4), (20, 20), (25, 20), (1000, 20)])
def test_a_log_gets_at_most_twenty_lines_by_progress(capsys, clock, jobs, count):
    with progress.progress_bar("frames", jobs) as advance:
        for _ in range(jobs):
            clock.now += 0.01
            advance()
    shown = lines(capsys)
    assert len(shown) == count
    assert shown[-1].startswith(f"      frames: {jobs:,} of {jobs:,} videos, ")


def test_a_log_says_count_rate_and_time_left_in_the_unit_of_work(capsys, clock):
    with progress.progress_bar("flow", 80_000, unit="pairs") as advance:
        clock.now += 250
        advance(10_000)
        clock.now += 2150
        advance(4_400)
        clock.now += 14_000
        advance(65_600)
    assert lines(capsys) == [
        "        flow: 10,000 of 80,000 pairs, 40 pairs/s, about 29 min left",
        "        flow: 14,400 of 80,000 pairs, 6.0 pairs/s, about 3 h 2 min left",
        "        flow: 80,000 of 80,000 pairs, 4.9 pairs/s, took 4 h 33 min",
    ]


def test_a_log_hears_something_after_a_minute_of_silence(capsys, clock):
    with progress.progress_bar("flow", 1_000_000, unit="pairs") as advance:
        for _ in range(10):  # every 25 s, far less than a twentieth
            clock.now += 25
            advance(10)
    assert [line.split()[1] for line in lines(capsys)] == ["30", "60", "90"]


def test_large_steps_are_one_line_each(capsys, clock):
    with progress.progress_bar("flow", 100, unit="pairs") as advance:
        for amount in (70, 0, 30):
            clock.now += 7
            advance(amount)
    assert lines(capsys) == [
        "        flow: 70 of 100 pairs, 10 pairs/s, about 3 s left",
        "        flow: 100 of 100 pairs, 4.8 pairs/s, took 21 s",
    ]


def test_nothing_to_do_is_nothing_to_say(capsys, clock):
    with progress.progress_bar("flow", 0) as advance:
        advance(0)
    assert lines(capsys) == []


def test_a_terminal_gets_a_bar_that_ends_with_the_whole(monkeypatch, clock):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, force_interactive=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    with progress.progress_bar("flow", 300, unit="pairs") as advance:
        clock.now += 30
        advance(120)
        clock.now += 30
        advance(180)
    last = file.getvalue().splitlines()[-2]  # then only the cursor is given back
    assert "flow" in last
    assert "━" in last
    assert "300 of 300 pairs, 5.0 pairs/s, took 1 min" in last


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_has_a_bar_where_rich_can_draw_one(monkeypatch, widgets):
    console = Console(file=io.StringIO(), force_jupyter=True)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    found = {"ipywidgets": object() if widgets else None}
    monkeypatch.setattr(progress.importlib.util, "find_spec", found.get)
    bar = progress.progress_bar("flow", 3)
    assert bar.live == widgets
    assert bar.bar.disable != widgets


def test_a_notebook_without_widgets_has_lines(monkeypatch, capsys, clock):
    console = Console(file=sys.stderr, force_jupyter=True)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    with progress.progress_bar("flow", 2) as advance:
        clock.now += 2
        advance()
    assert lines(capsys) == ["        flow: 1 of 2 videos, 30 videos/min, about 2 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (170, "3 min"),
        (3569, "59 min"),
        (3571, "1 h 0 min"),
        (7801, "2 h 10 min"),
        (86_400, "1 d 0 h"),
        (273_700, "3 d 4 h"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert progress.duration(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (1250.4, "1,250 clips/s"),
        (34.6, "35 clips/s"),
        (3.14, "3.1 clips/s"),
        (0.2, "12 clips/min"),
        (0.05, "3.0 clips/min"),
        (0.001, "3.6 clips/h"),
    ],
)
def test_rates_are_for_people(per_second, text):
    assert progress.rate(per_second, "clips") == text
