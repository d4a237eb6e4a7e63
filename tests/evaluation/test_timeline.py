"""The timeline of a video."""

import numpy as np
import pytest

from vidrec.evaluation.timeline import clock, plot_timeline

CLASSES = ["Archery", "Biking", "Diving", "Jumping", "Rowing", "Skiing", "Walking"]
STARTS, ENDS = np.arange(0.0, 8, 2), np.arange(4.0, 12, 2)


def span(patch):
    """Where it begins and ends: Matplotlib 3.8 draws a Polygon, later ones a Rectangle."""
    box = patch.get_patch_transform().transform_path(patch.get_path()).get_extents()
    return pytest.approx((box.x0, box.x1))


def test_lines_of_the_highest_peaks_and_a_strip_of_winners(tmp_path, saved_figures):
    probabilities = np.full((4, 7), 0.01)
    probabilities[:2, 2], probabilities[2:, 5], probabilities[1, 0] = 0.8, 0.7, 0.1
    plot_timeline(STARTS, ENDS, probabilities, CLASSES, tmp_path / "t.png", "clip.avi")
    assert (tmp_path / "t.png").read_bytes()[1:4] == b"PNG"
    lines, strip = saved_figures[0].axes
    assert lines.get_title() == "clip.avi"
    drawn = {line.get_label(): line for line in lines.lines}
    assert list(drawn)[:3] == ["Diving", "Skiing", "Archery"]
    assert len(drawn) == 5
    np.testing.assert_array_equal(drawn["Diving"].get_xdata(), [2, 4, 6, 8])
    np.testing.assert_array_equal(drawn["Diving"].get_ydata(), [0.8, 0.8, 0.01, 0.01])
    assert [span(patch) for patch in strip.patches] == [(0, 3), (3, 5), (5, 7), (7, 10)]
    colours = [patch.get_facecolor() for patch in strip.patches]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_a_single_window(tmp_path, saved_figures):
    plot_timeline([0], [3], [[0.2, 0.8]], ["a", "b"], tmp_path / "t.png", "x")
    lines, strip = saved_figures[0].axes
    assert len(lines.collections) == 2
    assert [span(patch) for patch in strip.patches] == [(0, 3)]


@pytest.mark.parametrize("shape", [(0, 2), (3, 2), (2, 3)])
def test_shapes_must_fit(tmp_path, shape):
    starts = np.arange(0 if shape[0] == 0 else 2)
    with pytest.raises(ValueError, match=r"`probabilities` must be \(windows, classes\)"):
        plot_timeline(starts, starts + 1, np.zeros(shape), ["a", "b"], tmp_path / "t.png", "x")
    assert not (tmp_path / "t.png").exists()


def test_clock():
    seconds = (0, 5, 65, 3600, 3725, 1.26, 59.97)
    assert [clock(s) for s in seconds] == [
        "0:00", "0:05", "1:05", "1:00:00", "1:02:05", "0:01.3", "1:00"
    ]  # fmt: skip
