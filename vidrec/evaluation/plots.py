"""Figures of a report: the confusion matrix and the training curves, as PNG.

Drawn with matplotlib's objects, never `pyplot`: no global state, no window, safe in a notebook and
on a machine without a screen. Axis letters: N classes.
"""

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from vidrec.evaluation.letters import label
from vidrec.files import new_file

COUNTED = 20  # up to this many classes, each cell also shows its count
LOG_COLUMNS = ("stage", "epoch", "learning_rate", "loss", "accuracy")
PANELS = (("loss", "Loss"), ("accuracy", "Accuracy"))


def plot_confusion(matrix, path, title):
    """Draws a confusion matrix; a cell's colour is its share of the videos of the true class.

    The colour follows the square root of the share, so that a confusion of 2 % can be seen.

    Args:
        matrix: DataFrame (N, N) of counts >= 0, rows true, columns predicted, the same names on
            both, as `confusion_matrix` gives it. A row without videos is drawn grey.
        path: the PNG to write; it appears whole or not at all.
        title: str.

    Raises:
        ValueError: if rows and columns are not the same names, or there are none.
    """
    n = len(matrix)
    if not n or list(matrix.index) != list(matrix.columns):
        raise ValueError(
            "`matrix` must have the same class names, at least one, on rows and columns. "
            f"Received: shape={matrix.shape}, index={list(matrix.index)[:5]}, "
            f"columns={list(matrix.columns)[:5]}"
        )
    counts = matrix.to_numpy()
    videos = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, videos, out=np.full((n, n), np.nan), where=videos > 0)
    cell = np.clip(6 / n, min(0.15, 40 / n), 0.6)  # inches per class; the text follows it
    font = min(9.0, 72 * cell * 0.62)
    side = cell * n + 2.5
    figure = Figure(figsize=(side + 0.5, side), layout="constrained")
    axes = figure.add_subplot()
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    colours = axes.imshow(share, cmap="Blues", norm=norm, interpolation="nearest")
    axes.set_facecolor("0.88")  # what NaN rows show
    names = [label(name) for name in matrix.columns]
    axes.set_xticks(range(n), names, rotation=90, fontsize=font)
    axes.set_yticks(range(n), names, fontsize=font)
    axes.tick_params(length=0)
    label_size = max(10, 0.9 * side)  # a large figure is looked at from further away
    axes.set_xlabel("Predicted", fontsize=label_size)
    axes.set_ylabel("True", fontsize=label_size)
    axes.set_title(label(title), fontsize=1.2 * label_size)
    if n <= COUNTED:
        for row, column in np.ndindex(n, n):
            dark = share[row, column] > 0.3
            colour = "white" if dark else "0.15" if counts[row, column] else "0.65"
            text = {"ha": "center", "va": "center", "fontsize": font, "color": colour}
            axes.text(column, row, f"{counts[row, column]:g}", **text)
    ticks = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
    percent = PercentFormatter(xmax=1, decimals=0)
    bar = figure.colorbar(colours, shrink=0.6, aspect=30, ticks=ticks, format=percent)
    bar.ax.tick_params(labelsize=0.8 * label_size)
    bar.set_label("Share of the true class", fontsize=label_size)
    _write(figure, path)


def plot_curves(log, path, title):
    """Draws loss and accuracy over the epochs of all stages, in the order of the rows.

    Args:
        log: DataFrame, one row per epoch: stage (str), epoch (counted anew in each stage or not:
            the axis counts rows), learning_rate, loss, accuracy (0 to 1), and optionally val_loss
            and val_accuracy, NaN in epochs without validation.
        path: the PNG to write; it appears whole or not at all.
        title: str.

    Raises:
        ValueError: if a column is missing, or there is no row.
    """
    missing = [name for name in LOG_COLUMNS if name not in log.columns]
    if missing or log.empty:
        raise ValueError(
            f"`log` must have the columns {LOG_COLUMNS} and one or more rows. "
            f"Received: {len(log)} rows, without {missing}"
        )
    epochs = np.arange(1, len(log) + 1)
    stages = log["stage"].tolist()
    starts = [i for i, name in enumerate(stages) if i == 0 or name != stages[i - 1]]
    figure = Figure(figsize=(8, 7), layout="constrained")
    figure.suptitle(label(title), fontsize=14)
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (name, told) in zip(panels, PANELS, strict=True):
        for column, legend in ((name, "training"), (f"val_{name}", "validation")):
            if column in log.columns and log[column].notna().any():
                seen = log[column].notna().to_numpy()  # a line through the epochs that have one
                axes.plot(epochs[seen], log[column][seen], ".-", label=legend)
        for start in starts[1:]:
            axes.axvline(start + 0.5, color="0.5", linestyle="--", linewidth=1)
        axes.set_ylabel(told)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:  # none when every epoch diverged to NaN
            axes.legend(loc="best", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].set_ylim(0, 1.02)
    panels[1].yaxis.set_major_formatter(PercentFormatter(xmax=1))
    panels[1].set_xlabel("Epoch, all stages")
    panels[1].set_xlim(0.5, len(log) + 0.5)
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    # A name needs about 1.2 % of the axis per letter; short stages get slanted ones.
    widths = np.diff([*starts, len(log)]) / len(log)
    crowded = any(0.012 * len(str(stages[i])) > w for i, w in zip(starts, widths, strict=True))
    for start in starts:
        place = panels[0].get_xaxis_transform()  # x in epochs, y in fractions of the panel
        style = {"rotation": 30 if crowded else 0, "fontsize": 9, "color": "0.35"}
        panels[0].text(start + 0.5, 1.02, label(stages[start]), transform=place, **style)
    _write(figure, path)


def _write(figure, path):
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=150, bbox_inches="tight")
