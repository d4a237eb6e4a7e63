import json
import re

import cv2
import numpy as np
import pytest

from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.datasets.synthetic import APPEARANCES, MOTIONS, SyntheticSpec, draw_clip, poses
from vidrec.extraction.video import read_frames

SPEC = SyntheticSpec(groups=3, test_groups=1, clips=2, frames=6, size=40, seed=5)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data set of SPEC, written once."""
    folder = tmp_path_factory.mktemp("synthetic")
    assert synthetic.write_videos(folder, SPEC) == 54
    return folder


def gray(clip):
    return np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in clip]).astype(int)


def ks(first, second):
    """Kolmogorov and Smirnov's distance of two samples, 0 to 1."""
    at = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(x), at, "right") / len(x) for x in (first, second)]
    return np.abs(shares[0] - shares[1]).max()


def test_equal_specs_draw_equal_pixels_and_another_seed_does_not():
    args = ("GreenChecks", "Orbit", 2, 1)
    clip = draw_clip(SPEC, *args)
    assert clip.shape == (6, 40, 40, 3)
    assert clip.dtype == np.uint8
    np.testing.assert_array_equal(clip, draw_clip(SPEC, *args))
    for other in (
        draw_clip(SyntheticSpec(frames=6, size=40, seed=6), *args),
        draw_clip(SPEC, "GreenChecks", "Orbit", 1, 1),
        draw_clip(SPEC, "GreenChecks", "Orbit", 2, 2),
        draw_clip(SPEC, "GreenChecks", "Swing", 2, 1),
    ):
        assert np.abs(clip.astype(int) - other).mean() > 2


def test_files_are_equal_byte_for_byte(root, tmp_path):
    synthetic.write_videos(tmp_path, SPEC)
    first = sorted(path for path in root.rglob("*") if path.is_file())
    second = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [p.relative_to(root) for p in first] == [p.relative_to(tmp_path) for p in second]
    assert len(first) == 54 + 4  # three lists, and the record of the spec
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_class_names_are_appearance_times_motion():
    names = synthetic.class_names()
    assert names == sorted(names)
    assert len(names) == 9
    assert names[:4] == ["AmberStripesOrbit", "AmberStripesPulse", "AmberStripesSwing"] + [
        "BlueDotsOrbit"
    ]


def test_names_lists_and_split_by_group(root):
    assert (root / "BlueDotsPulse/v_BlueDotsPulse_g03_c02.avi").is_file()
    lists = root / "ucfTrainTestlist"
    assert Folder().classes(lists=lists) == synthetic.class_names()
    assert len(Folder().videos(root)) == 54
    train, test, *_ = Folder().splits(root, "listed-1")
    assert (len(train), len(test)) == (36, 18)
    assert (set(train.group), set(test.group)) == ({"g02", "g03"}, {"g01"})
    assert set(train.label) == set(test.label) == set(synthetic.class_names())
    assert test.label.value_counts().tolist() == [2] * 9


def test_a_video_is_what_was_drawn(root):
    frames = np.stack(list(read_frames(root / "AmberStripesSwing/v_AmberStripesSwing_g02_c01.avi")))
    drawn = draw_clip(SPEC, "AmberStripes", "Swing", 2, 1)
    assert frames.shape == drawn.shape
    assert np.abs(gray(frames) - gray(drawn)).mean() < 3
    assert drawn[..., 2].mean() > drawn[..., 0].mean() + 3  # amber, BGR
    assert frames[..., 2].mean() > frames[..., 0].mean() + 3


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize(("group", "clip"), [(1, 1), (2, 3)])
def test_flow_cannot_see_the_appearance(motion, group, clip):
    """Flow is made of gray frames, and these are equal; the colours are far apart."""
    spec = SyntheticSpec(frames=5)
    clips = {name: draw_clip(spec, name, motion, group, clip).astype(int) for name in APPEARANCES}
    for first, second in (
        ("AmberStripes", "GreenChecks"),
        ("GreenChecks", "BlueDots"),
        ("BlueDots", "AmberStripes"),
    ):
        a, b = clips[first], clips[second]
        assert np.abs(gray(np.uint8(a)) - gray(np.uint8(b))).max() <= 1
        apart = np.abs(a - b).max(axis=-1)
        assert np.percentile(apart[apart > 5], 50) > 30  # of 255, within the object
        assert (apart > 30).mean() > 0.03  # of the pixels


def test_a_single_frame_cannot_tell_the_motion():
    """At any one time x, y and radius are distributed alike; how they follow each other is not."""
    spec = SyntheticSpec(groups=300, frames=16)
    draws = [(group, clip) for group in range(1, 301) for clip in (1, 2, 3)]
    tracks = {m: np.stack([poses(spec, g, c, m) for g, c in draws]) for m in MOTIONS}
    for first, second in (("Swing", "Orbit"), ("Orbit", "Pulse"), ("Pulse", "Swing")):
        for i in range(3):
            distance = ks(*(tracks[name][..., i].ravel() for name in (first, second)))
            assert distance < 0.05, (first, second, "xyr"[i], distance)
    for i, mover in ((0, "Swing"), (1, "Orbit"), (2, "Pulse")):
        steps = np.abs(np.diff(tracks[mover][..., i], axis=1)).mean()
        assert steps > 1.5  # px a frame


def test_a_scene_is_shared_by_all_classes_of_a_group():
    spec = SyntheticSpec(frames=4)
    means = np.array(
        [
            [draw_clip(spec, "BlueDots", m, g, 1)[:, :10, :10].mean() for m in MOTIONS]
            for g in range(1, 9)
        ]
    )
    within, between = means.std(axis=1).mean(), means.mean(axis=1).std()
    assert within < 0.25 * between, (within, between)  # the corner, of which jitter shows more


@pytest.mark.parametrize("flip", ["none", "left-right", "up-down"])
def test_motions_are_closed_under_flips(flip):
    """What makes a motion what it is holds in the mirror: x or y turned round is still a motion."""
    spec = SyntheticSpec(frames=200)  # many turns: an amplitude is half of the range
    for group in range(1, 9):
        tracks = {m: poses(spec, group, 2, m) for m in MOTIONS}
        for track in tracks.values():
            if flip != "none":
                axis = ("left-right", "up-down").index(flip)
                track[:, axis] = spec.size - track[:, axis]
        extent = {m: np.ptp(track, axis=0) / 2 for m, track in tracks.items()}
        assert extent["Swing"][0] > 0.075 * spec.size
        assert extent["Swing"][1:].tolist() == [0, 0]
        assert extent["Orbit"][0] == pytest.approx(extent["Orbit"][1], rel=0.02)
        assert extent["Orbit"][0] == pytest.approx(extent["Swing"][0], rel=1e-6)
        assert extent["Orbit"][2] == 0
        assert extent["Pulse"][:2].tolist() == [0, 0]
        assert np.log(tracks["Pulse"][:, 2]).std() == pytest.approx(0.32 / np.sqrt(2), rel=0.05)
        orbit = tracks["Orbit"][:, :2]
        middle = (orbit.max(axis=0) + orbit.min(axis=0)) / 2
        ring = np.hypot(*(orbit - middle).T)
        np.testing.assert_allclose(ring, ring.mean(), rtol=0.03)


def test_the_object_stays_in_the_frame():
    spec = SyntheticSpec(groups=100, frames=30)
    for motion in MOTIONS:
        tracks = np.concatenate([poses(spec, g, 1, motion) for g in range(1, 101)])
        assert tracks[:, :2].min() > 0.24 * spec.size
        assert tracks[:, :2].max() < 0.76 * spec.size


def test_a_second_call_writes_what_is_missing_only(tmp_path):
    spec = SyntheticSpec(groups=2, test_groups=1, clips=1, frames=3, size=32)
    assert synthetic.write_videos(tmp_path, spec) == 18
    paths = sorted(tmp_path.glob("*/*.avi"))
    assert len(paths) == 18
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    assert synthetic.write_videos(tmp_path, spec) == 0
    paths[7].unlink()
    seen = []

    def progress(clips):
        seen.extend(clips)
        return iter(clips)

    assert synthetic.write_videos(tmp_path, spec, progress=progress) == 1
    assert len(seen) == 18
    for path in paths:
        data, modified = before[path]
        assert path.read_bytes() == data
        assert (path.stat().st_mtime_ns == modified) == (path != paths[7])


def test_another_spec_in_the_same_folder_is_refused(tmp_path):
    spec = SyntheticSpec(groups=2, test_groups=1, clips=1, frames=2, size=32)
    synthetic.write_videos(tmp_path, spec)
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        FileExistsError,
        match=r"drawn with other arguments. .* Received: {.*'seed': 1}, found: {.*'seed': 0}",
    ):
        synthetic.write_videos(
            tmp_path, SyntheticSpec(groups=2, test_groups=1, clips=1, frames=2, size=32, seed=1)
        )
    assert sorted(tmp_path.rglob("*")) == files
    assert json.loads((tmp_path / "synthetic.json").read_text())["groups"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 1}, "`groups` must be a whole number, at least 2. Received: groups=1"),
        (
            {"test_groups": 0},
            "`test_groups` must be a whole number, at least 1. Received: test_groups=0",
        ),
        ({"clips": 0}, "`clips` must be a whole number, at least 1. Received: clips=0"),
        ({"frames": 1}, "`frames` must be a whole number, at least 2. Received: frames=1"),
        ({"size": 31}, "`size` must be a whole number, at least 32. Received: size=31"),
        ({"seed": -1}, "`seed` must be a whole number, at least 0. Received: seed=-1"),
        ({"fps": 0.0}, "`fps` must be a whole number, at least 1. Received: fps=0.0"),
        ({"fps": 12.5}, "`fps` must be a whole number, at least 1. Received: fps=12.5"),
        (
            {"groups": 3, "test_groups": 3},
            "at least one of the `groups` for training. Received: test_groups=3, groups=3",
        ),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SyntheticSpec(**options)


def test_unknown_motion():
    with pytest.raises(ValueError, match="`motion` must be one of .* Received: motion='Wave'"):
        poses(SPEC, 1, 1, "Wave")
