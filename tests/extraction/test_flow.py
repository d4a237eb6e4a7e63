"""Stored flow of drawn images whose motion is known: signs, pairs, codes."""

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import H, W, moved, put, texture
from vidrec.extraction.batch import extract_flow
from vidrec.extraction.engines import FlowSettings


def read(store, kind, video_id, i):
    image = cv2.imread(str(store.path(kind, video_id, i)), cv2.IMREAD_UNCHANGED)
    assert image.shape == (H, W)  # gray
    return image


def medians(store, video_id, i):
    """Median codes (x, y) of one pair's images."""
    return tuple(np.median(read(store, kind, video_id, i)) for kind in ("flow_x", "flow_y"))


def test_stored_images_have_the_codes_of_the_spec(pair, tmp_path):
    """Invariant 13: 3 px right and 2 px down, and its mirror images."""
    flips = {"A/plain": None, "A/left_right": 1, "A/up_down": 0}
    clips = {
        name: [frame if flip is None else cv2.flip(frame, flip) for frame in pair]
        for name, flip in flips.items()
    }
    store = put(tmp_path, clips)
    extract_flow(store, workers=0)
    assert medians(store, "A/plain", 1) == pytest.approx((147, 140), abs=1)
    assert medians(store, "A/left_right", 1) == pytest.approx((255 - 147, 140), abs=1)
    assert medians(store, "A/up_down", 1) == pytest.approx((147, 255 - 140), abs=1)


def test_pair_i_goes_from_frame_i_to_the_next(tmp_path):
    """A clip that moves once, between frames 3 and 4, among clips that rest."""
    image = texture(3)
    still, after = moved(image, 0, 0), moved(image, -3, 2)
    store = put(tmp_path, {"A/once": [still] * 3 + [after] * 2, "A/rests": [after] * 3})
    index = extract_flow(store, workers=0)
    assert dict(zip(index.video_id, index.n_flow, strict=True)) == {"A/once": 4, "A/rests": 2}
    assert medians(store, "A/once", 3) == pytest.approx((128 - 19, 140), abs=1)
    resting = [("A/once", 1), ("A/once", 2), ("A/once", 4), ("A/rests", 1), ("A/rests", 2)]
    for video_id, i in resting:
        for kind in ("flow_x", "flow_y"):
            assert np.unique(read(store, kind, video_id, i)).tolist() == [128], (video_id, i)
    names = sorted(path.name for path in (tmp_path / "flow/A/once").iterdir())
    assert names == [f"flow_{axis}_{i:05d}.jpg" for axis in "xy" for i in (1, 2, 3, 4)]


def test_the_bound_sets_the_codes(pair, tmp_path):
    store = put(tmp_path, {"A/v": pair})
    extract_flow(store, FlowSettings(bound=5.0), workers=0)
    assert medians(store, "A/v", 1) == pytest.approx((255 * 8 / 10, 255 * 7 / 10), abs=1)
