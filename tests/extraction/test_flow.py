"""Flow semantics on drawn images whose motion is known: signs, axes, pairs, codes."""

import json
import re
import types

import cv2
import numpy as np
import pytest

from vidrec.extraction import flow as module
from vidrec.extraction.flow import compute_flow, extract_flow, flow_parameters
from vidrec.extraction.frames import encode_jpeg
from vidrec.files import new_folder
from vidrec.store import Row, Store

H, W = 60, 80
MARGIN = 12


def texture(seed):
    """A smooth random image, larger than a frame by MARGIN on each side."""
    noise = np.random.default_rng(seed).normal(size=(H + 2 * MARGIN, W + 2 * MARGIN))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.rint(128 + 110 * smooth / np.abs(smooth).max()).astype(np.uint8)


def moved(image, dx, dy):
    """The frame in which everything has moved right by dx and down by dy, px."""
    top, left = MARGIN - dy, MARGIN - dx
    return image[top : top + H, left : left + W]


def put(root, clips):
    """A store with these clips, a dict video_id -> gray frames."""
    store = Store(root)
    for video_id, frames in clips.items():
        with new_folder(store.folder("frame", video_id)) as folder:
            for i, frame in enumerate(frames, start=1):
                (folder / store.path("frame", video_id, i).name).write_bytes(encode_jpeg(frame))
        store.append(Row(video_id=video_id, label=video_id[0], n_frames=len(frames)))
    return store


def read(store, kind, video_id, i):
    image = cv2.imread(str(store.path(kind, video_id, i)), cv2.IMREAD_UNCHANGED)
    assert image.shape == (H, W)  # gray
    return image


def medians(store, video_id, i):
    """Median codes (x, y) of one pair's images."""
    return tuple(np.median(read(store, kind, video_id, i)) for kind in ("flow_x", "flow_y"))


@pytest.fixture(scope="module")
def pair():
    image = texture(0)
    return moved(image, 0, 0), moved(image, 3, 2)


@pytest.fixture
def fresh_tvl1():
    """A TV-L1 that a test may change or take away."""
    module._tvl1.cache_clear()
    yield module._tvl1
    module._tvl1.cache_clear()


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


def test_two_processes_write_the_same_files(tmp_path):
    image = texture(4)
    clips = {f"A/v{n}": [moved(image, 0, 0), moved(image, n, -n)] for n in (1, 2, 3)}
    stores = [put(tmp_path / str(workers), clips) for workers in (1, 2)]
    tables = [extract_flow(store, workers=n) for n, store in enumerate(stores, start=1)]
    assert tables[0].equals(tables[1])
    for name in clips:
        for kind in ("flow_x", "flow_y"):
            one, two = (store.path(kind, name, 1).read_bytes() for store in stores)
            assert one == two


def test_the_index_says_how_the_flow_was_made(pair, tmp_path):
    store = put(tmp_path, {"A/v": pair, "A/one_frame": pair[:1]})
    index = extract_flow(store, workers=1).set_index("video_id")
    row = index.loc["A/v"]
    assert (row.flow_algorithm, row.n_flow, row.status) == ("opencv", 1, "ok")
    assert row.cv2_version == cv2.__version__
    assert json.loads(row.flow_parameters) == {
        "bound": 20.0,
        "quantize": "bound",
        "tau": 0.25,
        "lambda": 0.15,
        "theta": 0.3,
        "scales": 5,
        "scale_step": 0.8,
        "warps": 5,
        "epsilon": 0.01,
        "inner": 30,
        "outer": 10,
        "median": 5,
    }
    assert index.loc["A/one_frame"].n_flow == 0
    assert index.loc["A/one_frame"].status == "ok"


def written(store):
    return {p.parent.name: p.stat().st_mtime_ns for p in store.root.glob("flow/*/*/flow_y_*.jpg")}


def test_resume_makes_what_is_missing(pair, tmp_path):
    store = put(tmp_path, {"A/v1": pair, "A/v2": pair})
    extract_flow(store, workers=1)
    before = written(store)
    index = store.index_path.read_bytes()
    extract_flow(store, workers=1)
    assert written(store) == before
    assert store.index_path.read_bytes() == index
    store.path("flow_y", "A/v2", 1).unlink()
    put(tmp_path, {"A/v3": pair})
    extract_flow(store, workers=1)
    after = written(store)
    assert after["v1"] == before["v1"]
    assert after["v2"] != before["v2"]
    assert sorted(after) == ["v1", "v2", "v3"]


@pytest.mark.parametrize("change", ["bound", "quantize", "tau", "cv2"])
def test_flow_made_in_another_way_is_made_again(pair, tmp_path, monkeypatch, fresh_tvl1, change):
    store = put(tmp_path, {"A/v": pair})
    extract_flow(store, workers=1)
    before, old = written(store), store.rows()["A/v"]
    options = {"bound": {"bound": 15.0}, "quantize": {"quantize": "minmax"}}.get(change, {})
    if change == "tau":
        fresh_tvl1().setTau(0.125)
    if change == "cv2":
        monkeypatch.setattr(cv2, "__version__", "4.9.9")
    extract_flow(store, workers=1, **options)
    row = store.rows()["A/v"]
    assert written(store) != before
    if change == "cv2":
        assert row.cv2_version == "4.9.9"
    else:
        now, then = json.loads(row.flow_parameters), json.loads(old.flow_parameters)
        key, value = {**options, **({} if options else {"tau": 0.125})}.popitem()
        assert now == {**then, key: value} != then


def test_a_missing_frame_fails_its_video_only_and_can_be_mended(pair, tmp_path):
    store = put(tmp_path, {"A/bad": [*pair, pair[0]], "B/good": pair})
    path = store.path("frame", "A/bad", 3)
    content = path.read_bytes()
    path.unlink()
    rows = extract_flow(store, workers=1).set_index("video_id")
    assert rows.status.to_dict() == {"A/bad": "failed", "B/good": "ok"}
    assert rows.message["A/bad"] == (
        f"flow of A/bad: {path} is missing or no JPG. Extract the frames of this video again."
    )
    assert rows.n_flow.to_dict() == {"A/bad": 0, "B/good": 1}
    assert list((tmp_path / "flow/A").iterdir()) == []
    path.write_bytes(content)
    row = extract_flow(store, workers=1).iloc[0]
    assert (row.video_id, row.status, row.message, row.n_flow) == ("A/bad", "ok", "", 2)


def test_frames_of_two_sizes_fail_and_partial_stays_partial(pair, tmp_path):
    store = put(tmp_path, {"A/v": [pair[0], pair[1][:-8]], "B/cut": pair})
    row = store.rows()["B/cut"]
    row.status, row.message = "partial", "2 frames decoded of 9"
    store.append(row)
    rows = extract_flow(store, workers=1).set_index("video_id")
    assert rows.status.to_dict() == {"A/v": "failed", "B/cut": "partial"}
    assert "flow of A/v: `previous` and `following` must be uint8 gray" in rows.message["A/v"]
    assert rows.message["B/cut"] == "2 frames decoded of 9"
    assert rows.n_flow["B/cut"] == 1


def test_no_index(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no index at .* Extract the frames first"):
        extract_flow(Store(tmp_path), workers=1)


def test_sets_of_other_tools_are_not_written_to(pair, tmp_path):
    """There flow lies among the frames: a new folder of flow would take their place."""
    store = Store(tmp_path, "tsn")
    path = store.path("frame", "v", 1)
    path.parent.mkdir()
    path.write_bytes(encode_jpeg(pair[0]))
    store.append(Row(video_id="v", label="A", n_frames=2))
    with pytest.raises(ValueError, match="in the layout 'vidrec'; .* Received: layout='tsn'"):
        extract_flow(store, workers=1)
    assert path.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "raft"}, "`engine` must be one of ['opencv']. Received: engine='raft'"),
        ({"bound": 0.0}, "`bound` must be > 0 px. Received: bound=0.0"),
        ({"quantize": "log"}, "`quantize` must be one of ('bound', 'minmax'). Received: quant"),
    ],
)
def test_options_are_refused_before_any_video_is_touched(pair, tmp_path, options, message):
    store = put(tmp_path, {"A/v": pair})
    before = store.rows()
    with pytest.raises(ValueError, match=re.escape(message)):
        extract_flow(store, workers=1, **options)
    with pytest.raises(ValueError, match=re.escape(message)):
        flow_parameters(**options)
    assert store.rows() == before


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
