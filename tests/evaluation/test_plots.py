import sys

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from vidrec.evaluation import plots


def matrix(n, seed=0):
    counts = np.random.default_rng(seed).integers(0, 9, (n, n)) + 20 * np.eye(n, dtype=int)
    names = [f"class_{i}" for i in range(n)]
    return pd.DataFrame(counts, index=names, columns=names)


def log(stages, every=1):
    rng = np.random.default_rng(1)
    rows = [
        {"stage": name, "epoch": epoch, "learning_rate": 0.05}
        for name, length in stages
        for epoch in range(length)
    ]
    table = pd.DataFrame(rows)
    n = len(table)
    table["loss"], table["accuracy"] = rng.uniform(0.5, 3, n), rng.uniform(0, 1, n)
    seen = np.arange(n) % every == every - 1
    table["val_loss"] = np.where(seen, rng.uniform(1, 4, n), np.nan)
    table["val_accuracy"] = np.where(seen, rng.uniform(0, 1, n), np.nan)
    return table


def test_confusion_shows_counts_and_shares_of_the_row(tmp_path, saved_figures):
    table = matrix(4)
    table.loc["class_2"] = 0  # a class without videos
    plots.plot_confusion(table, tmp_path / "out" / "confusion.png", "UCF101, split 1")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["confusion.png"]
    assert matplotlib.image.imread(tmp_path / "out" / "confusion.png").std() > 0.05
    axes, bar = saved_figures[0].axes
    share = np.ma.filled(axes.images[0].get_array(), np.nan)
    expected = table.to_numpy()[[0, 1, 3]] / table.to_numpy()[[0, 1, 3]].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(share[[0, 1, 3]], expected)
    assert np.isnan(share[2]).all()
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(written) == 16
    assert written[(3, 1)] == str(table.loc["class_1", "class_3"])  # x is the prediction
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "True")
    assert axes.get_title() == "UCF101, split 1"
    assert [label.get_text() for label in axes.get_yticklabels()] == list(table.index)
    assert bar.get_ylabel() == "Share of the true class"


def test_counts_are_left_out_above_twenty_classes(tmp_path, saved_figures):
    for n in (20, 21):
        plots.plot_confusion(matrix(n), tmp_path / f"{n}.png", "t")
    assert [len(figure.axes[0].texts) for figure in saved_figures] == [400, 0]


def test_101_classes_are_readable_and_distinct(tmp_path, saved_figures):
    plots.plot_confusion(matrix(101), tmp_path / "ucf.png", "UCF101")
    height, width, _ = matplotlib.image.imread(tmp_path / "ucf.png").shape
    assert 2000 < height < 4000
    assert 2000 < width < 4000
    boxes = [label.get_window_extent() for label in saved_figures[0].axes[0].get_yticklabels()]
    assert len(boxes) == 101
    bottoms, tops = np.array([(box.y0, box.y1) for box in boxes]).T
    assert (bottoms[:-1] >= tops[1:] - 0.5).all()  # no name runs into the next
    assert (tops - bottoms).min() > 6  # px at the screen's 100 dpi; the file has 150


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (matrix(3).iloc[:2], r"Received: shape=\(2, 3\), index=\['class_0', 'class_1'\], columns="),
        (matrix(3)[["class_1", "class_0", "class_2"]], "must have the same class names"),
        (pd.DataFrame(), r"at least one, on rows and columns. Received: shape=\(0, 0\)"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_confusion(table, tmp_path / "no.png", "t")
    assert list(tmp_path.iterdir()) == []


def test_curves_run_over_all_stages(tmp_path, saved_figures):
    table = log([("head", 3), ("last33", 4), ("all", 5)], every=4)
    plots.plot_curves(table, tmp_path / "curves.png", "Spatial stream")
    assert matplotlib.image.imread(tmp_path / "curves.png").std() > 0.05
    loss, accuracy = saved_figures[0].axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        lines = {line.get_label(): line.get_data() for line in axes.lines}
        np.testing.assert_array_equal(lines["training"][0], np.arange(1, 13))
        np.testing.assert_array_equal(lines["training"][1], table[name])
        np.testing.assert_array_equal(lines["validation"][0], [4, 8, 12])
        np.testing.assert_array_equal(lines["validation"][1], table[f"val_{name}"].dropna())
        upright = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
        assert upright == [3.5, 7.5]
    names = [(text.get_position()[0], text.get_text()) for text in loss.texts]
    assert names == [(0.5, "head"), (3.5, "last33"), (7.5, "all")]
    assert saved_figures[0].get_suptitle() == "Spatial stream"
    assert accuracy.get_ylim() == (0, 1.02)


def test_names_of_short_stages_are_slanted(tmp_path, saved_figures):
    plots.plot_curves(log([("head", 9), ("all", 9)]), tmp_path / "a.png", "t")
    plots.plot_curves(log([("head only", 2), ("block11-14", 1), ("all", 20)]), tmp_path / "b", "t")
    slants = [{text.get_rotation() for text in figure.axes[0].texts} for figure in saved_figures]
    assert slants == [{0.0}, {30.0}]


@pytest.mark.parametrize("drop", [True, False])
def test_validation_is_optional(tmp_path, saved_figures, drop):
    table = log([("all", 1)], every=2)  # one epoch, its validation columns all NaN
    table = table.drop(columns=["val_loss", "val_accuracy"]) if drop else table
    plots.plot_curves(table, tmp_path / "one.png", "t")
    assert [line.get_label() for line in saved_figures[0].axes[0].lines] == ["training"]


def test_a_diverged_run_is_drawn_too(tmp_path):
    plots.plot_curves(log([("all", 3)], every=9).assign(loss=np.nan), tmp_path / "nan.png", "t")
    assert (tmp_path / "nan.png").stat().st_size > 5000


def test_log_without_rows_or_columns_is_refused(tmp_path):
    table = log([("all", 2)])
    with pytest.raises(ValueError, match=r"2 rows, without \['learning_rate', 'loss'\]"):
        plots.plot_curves(table.drop(columns=["loss", "learning_rate"]), tmp_path / "x.png", "t")
    with pytest.raises(ValueError, match=r"one or more rows. Received: 0 rows, without \[\]"):
        plots.plot_curves(table.iloc[:0], tmp_path / "x.png", "t")
    assert list(tmp_path.iterdir()) == []


def test_no_global_state(tmp_path):
    plots.plot_curves(log([("all", 2)]), tmp_path / "x.png", "t")
    pyplot = sys.modules.get("matplotlib.pyplot")  # another test may have imported it
    assert pyplot is None or pyplot.get_fignums() == []
