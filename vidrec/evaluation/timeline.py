"""What a model says along a video, as a PNG."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from vidrec.evaluation.letters import label
from vidrec.files import new_file

SHOWN = 5  # classes, those with the highest peaks; more lines cannot be told apart
WIDTH, HEIGHT = 10, 3.6  # inches


def plot_timeline(starts, ends, probabilities, classes, path, title):
    """Draws the probabilities of windows over time, and under them the most likely class.

    Args:
        starts, ends: float (W,), s, of the windows.
        probabilities: float (W, N).
        classes: sequence of N str.
        path: the PNG to write; it appears whole or not at all.
        title: str.

    Raises:
        ValueError: if there is no window, or the numbers of windows or classes differ.
    """
    probabilities = np.asarray(probabilities)
    if not len(starts) or probabilities.shape != (len(starts), len(classes)):
        raise ValueError(
            "`probabilities` must be (windows, classes), of at least one window. "
            f"Received: {probabilities.shape} for {len(starts)} windows, {len(classes)} classes"
        )
    starts, ends = np.asarray(starts, float), np.asarray(ends, float)
    centres = (starts + ends) / 2
    # Where windows overlap, each stands for the time up to half way to its neighbours.
    borders = np.concatenate([starts[:1], (centres[1:] + centres[:-1]) / 2, ends[-1:]])
    peaks = np.argsort(-probabilities.max(axis=0), kind="stable")[:SHOWN]
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    top, strip = figure.subplots(2, sharex=True, height_ratios=(6, 1))
    colours = {number: f"C{i}" for i, number in enumerate(peaks)}
    for number in peaks:
        values = probabilities[:, number]
        line = {"color": colours[number], "label": label(classes[number])}
        if len(centres) == 1:
            top.hlines(values, starts, ends, **line)
        else:
            top.plot(centres, values, marker=".", **line)
    top.set_ylim(0, 1.02)
    top.yaxis.set_major_formatter(PercentFormatter(1))
    top.grid(axis="y", alpha=0.3)
    top.set_title(label(title), fontsize=10)
    top.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    for left, right, winner in zip(
        borders[:-1], borders[1:], probabilities.argmax(axis=1), strict=True
    ):
        strip.axvspan(left, right, color=colours.get(winner, "0.8"), lw=0)
    strip.set_yticks([])
    strip.set_ylabel("most\nlikely", fontsize=8, rotation=0, ha="right", va="center")
    strip.set_xlim(borders[0], max(borders[-1], borders[0] + 1e-3))
    strip.xaxis.set_major_formatter(FuncFormatter(lambda second, _: clock(second)))
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=150)


def clock(seconds):
    """Seconds >= 0 as "1:05" or "1:02:05"; tenths where they are not whole."""
    whole, tenths = divmod(round(10 * seconds), 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{tenths}" if tenths else text
