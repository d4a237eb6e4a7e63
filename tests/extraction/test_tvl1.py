"""The compiled TV-L1 against OpenCV's, as a whole, and its parts against plain numpy."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import vidrec
from tests.extraction.conftest import moved, texture
from vidrec.clip import encode_flow
from vidrec.extraction import tvl1
from vidrec.extraction.video import read_frames

RNG = np.random.default_rng(7)


def agreement(ours, theirs):
    """Share of equal codes, share within one, mean difference in px."""
    apart = np.abs(encode_flow(ours).astype(int) - encode_flow(theirs).astype(int))
    return (apart == 0).mean(), (apart <= 1).mean(), np.abs(ours - theirs).mean()


def opencv(previous, following):
    return cv2.optflow.DualTVL1OpticalFlow_create().calc(previous, following, None)


@pytest.mark.parametrize("motion", [(3, 2), (-5, 1), (0, -4)])
def test_a_moving_texture_has_opencv_s_flow(motion):
    """How many codes are equal hangs on the last bit: 99 % with OpenCV 4.14 and numba 0.68, 93 %
    with 4.12 and 0.60."""
    image = texture(11)
    pair = moved(image, 0, 0), moved(image, *motion)
    equal, near, difference = agreement(tvl1.TVL1().calc(*pair), opencv(*pair))
    assert equal >= 0.92
    assert near >= 0.999
    assert difference < 0.015


def test_two_motions_and_what_leaves_the_image():
    """A patch that moves against its surroundings, and columns that are new."""
    back, front = texture(12), texture(13)
    frames = []
    for shift in (0, 1):
        frame = moved(back, 2 * shift, 0).copy()
        at = 20 + 4 * shift
        frame[15:45, at : at + 30] = moved(front, 0, 0)[15:45, 20:50]
        frames.append(frame)
    equal, near, difference = agreement(tvl1.TVL1().calc(*frames), opencv(*frames))
    assert equal >= 0.9
    assert near >= 0.99
    assert difference < 0.02


@pytest.mark.parametrize("size", [(240, 320), (37, 53), (16, 90), (17, 16), (9, 12), (3, 3)])
def test_sizes_with_all_the_levels_and_with_few(size):
    h, w = size
    big = cv2.GaussianBlur(RNG.integers(0, 256, (h + 8, w + 8)).astype(np.uint8), (0, 0), 2)
    pair = [np.ascontiguousarray(big[4 - d : 4 - d + h, 4 + d : 4 + d + w]) for d in (0, 1)]
    flow = tvl1.TVL1().calc(*pair)
    assert flow.shape == (h, w, 2)
    assert flow.dtype == np.float32
    equal, near, _ = agreement(flow, opencv(*pair))
    assert equal >= 0.95
    assert near >= 0.99


def test_still_frames_have_no_flow():
    still = texture(14)
    np.testing.assert_array_equal(tvl1.TVL1().calc(still, still), 0)
    flat = np.full((30, 40), 117, np.uint8)
    np.testing.assert_array_equal(tvl1.TVL1().calc(flat, flat), 0)


def test_frames_without_contrast_and_black_ones_stay_finite():
    flat, black = np.full((40, 50), 90, np.uint8), np.zeros((40, 50), np.uint8)
    noise = RNG.integers(0, 256, (40, 50)).astype(np.uint8)
    for pair in [(flat, black), (black, noise), (noise, flat), (noise, 255 - noise)]:
        assert np.isfinite(tvl1.TVL1().calc(*pair)).all()


def test_the_pyramid_of_a_frame_is_used_again_only_for_that_frame(monkeypatch):
    frames = [moved(texture(15), d, -d) for d in range(4)]
    expected = [tvl1.TVL1().calc(*pair) for pair in zip(frames, frames[1:], strict=False)]
    made, engine, real = [], tvl1.TVL1(), tvl1._pyramid
    monkeypatch.setattr(tvl1, "_pyramid", lambda frame: made.append(1) or real(frame))
    for pair, flow in zip(zip(frames, frames[1:], strict=False), expected, strict=True):
        np.testing.assert_array_equal(engine.calc(*pair), flow)
    assert len(made) == 4
    buffer = frames[3].copy()
    engine.calc(frames[2], buffer)
    buffer[:] = frames[0]  # a caller that reads every frame into one array
    np.testing.assert_array_equal(engine.calc(buffer, frames[1]), expected[0])


def planes(count, h, w):
    """Random images as the engine keeps them: flat, between two rows of zeros."""
    flat = np.zeros((count, (h + 2) * w), np.float32)
    images = [plane[w : (h + 1) * w].reshape(h, w) for plane in flat]
    for image in images:
        image[:] = RNG.normal(size=(h, w))
    return flat, images


@pytest.mark.parametrize("size", [(7, 5), (33, 41), (1, 9), (2, 2)])
def test_iterations_are_those_of_the_paper_in_plain_numpy(size, monkeypatch):
    h, w = size
    flat, (u, v, p11, p12, p21, p22, gx, gy, rho, norm) = planes(10, h, w)
    norm[:] = gx**2 + gy**2
    for p in (p11, p12, p21, p22):
        p[:] = 0
    plain = [u.copy(), v.copy()]
    duals = [[np.zeros((h, w), np.float32) for _ in range(2)] for _ in range(2)]
    for _ in range(6):
        residual = rho + gx * plain[0] + gy * plain[1]
        d = np.clip(-residual / norm, -0.3 * 0.15, 0.3 * 0.15)
        before = [plane.copy() for plane in plain]
        for k, gradient in enumerate((gx, gy)):
            p, q = duals[k]
            divergence = np.diff(p, axis=1, prepend=0) + np.diff(q, axis=0, prepend=0)
            plain[k] = plain[k] + d * gradient + 0.3 * divergence
            dx = np.diff(plain[k], axis=1, append=plain[k][:, -1:])
            dy = np.diff(plain[k], axis=0, append=plain[k][-1:])
            length = 1 + 0.25 / 0.3 * np.hypot(dx, dy)
            duals[k] = [(p + 0.25 / 0.3 * dx) / length, (q + 0.25 / 0.3 * dy) / length]
        change = sum(((a - b) ** 2).sum() for a, b in zip(plain, before, strict=True))
    strip = tvl1._STRIP
    inside = (np.arange(strip + w) % w != w - 1).astype(np.float32)
    scratch = np.empty(strip, np.float32)
    error = tvl1._iterate(*flat, scratch, inside, h, w, np.float32(0), 6)
    np.testing.assert_allclose(u, plain[0], atol=1e-5)
    np.testing.assert_allclose(v, plain[1], atol=1e-5)
    np.testing.assert_allclose(p21, duals[1][0], atol=1e-5)
    np.testing.assert_allclose(p12, duals[0][1], atol=1e-5)
    assert error == pytest.approx(change, rel=1e-3)


def test_iterations_stop_at_the_limit():
    h, w = 20, 30
    flat, _ = planes(10, h, w)
    flat[9] = np.abs(flat[9]) + 1
    start = flat.copy()
    inside = (np.arange(tvl1._STRIP + w) % w != w - 1).astype(np.float32)
    scratch = np.empty(tvl1._STRIP, np.float32)
    one = tvl1._iterate(*flat, scratch, inside, h, w, np.float32(0), 1)
    stopped = start.copy()
    error = tvl1._iterate(*stopped, scratch, inside, h, w, np.float32(one), 30)
    assert error == one  # not above the limit, so that there is no second
    np.testing.assert_array_equal(stopped, flat)


def test_image_gradients_have_half_a_difference_at_the_border():
    image = RNG.normal(size=(6, 9)).astype(np.float32)
    dx, dy = np.empty_like(image), np.empty_like(image)
    tvl1._gradients(image, dx, dy)
    wide = np.pad(image, 1, mode="edge")
    np.testing.assert_allclose(dx, (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2, rtol=1e-6)
    np.testing.assert_allclose(dy, (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2, rtol=1e-6)


def test_real_clips_have_opencv_s_flow(shared_data):
    """Medians over five clips: where motion is chaotic, one rounding more decides for both."""
    paths = sorted((shared_data / "ucf101_clips").glob("*/*.avi"))[5::12][:5]
    engine, found = tvl1.TVL1(), []
    for path in paths:
        frames = [
            cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
            for frame, _ in zip(read_frames(path), range(9), strict=False)
        ]
        pairs = [(frames[i], frames[i + 1]) for i in (6, 7)]
        found.append(np.mean([agreement(engine.calc(*p), opencv(*p)) for p in pairs], axis=0))
    assert len(found) == 5
    equal, near, difference = np.median(found, axis=0)
    assert equal >= 0.97
    assert near >= 0.999
    assert difference < 0.005


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs folders that are read-only")
def test_an_install_that_cannot_be_written_to(tmp_path):
    """Neither the package's folder nor the user's cache: compiled, and not kept."""
    package = tmp_path / "site/vidrec"
    source = Path(vidrec.__file__).parent
    parts = ("__init__.py", "extraction/__init__.py", "extraction/tvl1.py")
    for name in (*parts, "extraction/tvl1_parameters.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes((source / name).read_bytes())
    # The superuser may write anywhere: files in the places of the two cache folders stop it too.
    (package / "extraction/__pycache__").write_text("")
    (tmp_path / "cache").write_text("")
    code = (
        "import numpy as np; from vidrec.extraction import tvl1;"
        "image = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint8);"
        "print(tvl1.__file__, tvl1.TVL1().calc(image, image).shape)"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path / "cache"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(package / "extraction/tvl1.py"), "(40,", "50,", "2)"]
