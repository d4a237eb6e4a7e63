"""Names of any letters on figures. A warning of matplotlib's would fail these tests."""

import pandas as pd

from vidrec.evaluation import plots
from vidrec.evaluation.letters import label, visible
from vidrec.evaluation.timeline import plot_timeline

NAMES = ["Überschlag 跳", "wave 👋", "$100 \\n$", "plain"]
SHOWN = ["Überschlag \\u8df3", "wave \\U0001f44b", "$100 \\n$", "plain"]


def test_letters_that_the_font_has_not_are_escaped():
    assert [visible(name) for name in NAMES] == SHOWN
    assert visible("a\tb") == "a\\tb"
    assert label("a $x$") == "a \\$x\\$"


def test_confusion_matrices_of_any_names(tmp_path, saved_figures):
    table = pd.DataFrame(3, index=NAMES, columns=NAMES)
    plots.plot_confusion(table, tmp_path / "confusion.png", "été 跳")
    (axes, _) = saved_figures[0].axes
    assert [tick.get_text().replace("\\$", "$") for tick in axes.get_yticklabels()] == SHOWN
    assert axes.get_title() == "été \\u8df3"


def test_timelines_of_any_names(tmp_path, saved_figures):
    shares = [[0.4, 0.3, 0.2, 0.1]]
    plot_timeline([0], [2], shares, NAMES, tmp_path / "timeline.png", "video 跳.avi")
    legend = saved_figures[0].axes[0].get_legend()
    assert [text.get_text().replace("\\$", "$") for text in legend.get_texts()] == SHOWN
