"""Flow semantics on drawn images whose motion is known: signs, axes, pairs, codes."""

import re
import types

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import H, W, moved, put, texture
from vidrec.extraction.flow import compute_flow, extract_flow


def read(store, kind, video_id, i):
    image = cv2.imread(str(store.path(kind, video_id, i)), cv2.IMREAD_UNCHANGED)
    assert image.shape == (H, W)  # gray
    return image


def medians(store, video_id, i):
    """Median codes (x, y) of one pair's images."""
    return tuple(np.median(read(store, kind, video_id, i)) for kind in ("flow_x", "flow_y"))


def test_u_is_positive_to_the_right_and_v_downwards(pair):
    flow = compute_flow(*pair)
    assert flow.shape == (H, W, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (3, 2), atol=0.05)
    back = compute_flow(*reversed(pair))
    np.testing.assert_allclose(np.median(back, axis=(0, 1)), (-3, -2), atol=0.05)


@pytest.mark.parametrize(("dx", "dy"), [(4, 0), (0, -3), (-2, 1)])
def test_u_and_v_are_not_swapped(dx, dy):
    image = texture(1)
    flow = compute_flow(moved(image, 0, 0), moved(image, dx, dy))
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (dx, dy), atol=0.05)


def test_a_pair_s_flow_does_not_depend_on_the_pair_before(pair):
    """One TV-L1 object serves all pairs: nothing may be left in it."""
    first = compute_flow(*pair)
    other = texture(2)
    compute_flow(moved(other, 5, -4), moved(other, -3, 1))
    compute_flow(np.ascontiguousarray(other.T), np.ascontiguousarray(other.T))
    np.testing.assert_array_equal(compute_flow(*pair), first)


def test_stored_images_have_the_codes_of_the_spec(pair, tmp_path):
    """Invariant 13: 3 px right and 2 px down, and its mirror images."""
    flips = {"A/plain": None, "A/left_right": 1, "A/up_down": 0}
    clips = {
        name: [frame if flip is None else cv2.flip(frame, flip) for frame in pair]
        for name, flip in flips.items()
    }
    store = put(tmp_path, clips)
    extract_flow(store, workers=1)
    assert medians(store, "A/plain", 1) == pytest.approx((147, 140), abs=1)
    assert medians(store, "A/left_right", 1) == pytest.approx((255 - 147, 140), abs=1)
    assert medians(store, "A/up_down", 1) == pytest.approx((147, 255 - 140), abs=1)


def test_pair_i_goes_from_frame_i_to_the_next(tmp_path):
    """A clip that moves once, between frames 3 and 4, among clips that rest."""
    image = texture(3)
    still, after = moved(image, 0, 0), moved(image, -3, 2)
    store = put(tmp_path, {"A/once": [still] * 3 + [after] * 2, "A/rests": [after] * 3})
    index = extract_flow(store, workers=1)
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
    extract_flow(store, bound=5.0, workers=1)
    assert medians(store, "A/v", 1) == pytest.approx((255 * 8 / 10, 255 * 7 / 10), abs=1)


def test_images_that_are_not_gray_uint8_of_one_size(pair):
    first, second = pair
    text = "`previous` and `following` must be uint8 gray images (H, W) of one size. Received: "
    cases = [
        (first, second[:-1], "uint8 (60, 80) and uint8 (59, 80)"),
        (np.dstack([first] * 3), np.dstack([second] * 3), "uint8 (60, 80, 3) and uint8 (60, 80,"),
        (first.astype(float), second.astype(float), "float64 (60, 80) and float64 (60, 80)"),
        (first, second.astype(np.float32), "uint8 (60, 80) and float32 (60, 80)"),
    ]
    for previous, following, received in cases:
        with pytest.raises(ValueError, match=re.escape(text + received)):
            compute_flow(previous, following)
    with pytest.raises(ValueError, match=re.escape("`engine` must be one of ['opencv']. Received")):
        compute_flow(first, second, engine="raft")


@pytest.mark.parametrize("optflow", [None, types.SimpleNamespace()])
def test_without_tvl1_the_repair_is_told(pair, monkeypatch, fresh_tvl1, optflow):
    """No contrib modules at all, or an OpenCV half overwritten by another one, as on Colab."""
    monkeypatch.setattr(cv2, "optflow", optflow)
    text = (
        "`cv2.optflow.DualTVL1OpticalFlow_create` is missing. Another OpenCV package has "
        "overwritten opencv-contrib-python. Repair it with\n"
        "    pip install --force-reinstall --no-deps 'opencv-contrib-python>=4.12,<5'\n"
        f"Received: cv2 {cv2.__version__} from {cv2.__file__}"
    )
    with pytest.raises(ImportError, match=re.escape(text)):
        compute_flow(*pair)
    monkeypatch.undo()
    assert compute_flow(*pair).shape == (H, W, 2)  # an error is not cached
