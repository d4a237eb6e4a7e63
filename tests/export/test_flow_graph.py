"""Flow that a graph computes is that of the processor's engines."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import encode_flow
from vidrec.export.farneback_graph import farneback
from vidrec.export.flow_graph import tvl1
from vidrec.extraction.engines import compute_flow
from vidrec.extraction.video import read_frames

GRAPHS = {"fast": tvl1, "farneback": farneback}
ANY = tf.TensorSpec([None, None, None], tf.uint8)
TRACED = {
    name: tf.function(graph, input_signature=[ANY] * 2, autograph=False)
    for name, graph in GRAPHS.items()
}


def moving_pairs(pairs, height, width):
    """Two uint8 (P, H, W): smooth patterns, and the same moved by another way in each."""
    rng = np.random.default_rng(height)
    first, second = [], []
    for i in range(pairs):
        noise = rng.normal(128, 300, (height + 20, width + 20)).astype(np.float32)
        image = cv2.GaussianBlur(noise, (0, 0), 3).clip(0, 255)
        turn = np.float32([[1, 0.01 * i, 1.5 - i], [-0.01 * i, 1, 0.75 * i]])
        moved = cv2.warpAffine(image, turn, image.shape[::-1], flags=cv2.INTER_CUBIC)
        first.append(image[10:-10, 10:-10])
        second.append(moved[10:-10, 10:-10])
    return [np.stack(side).clip(0, 255).astype(np.uint8) for side in (first, second)]


def expected(engine, first, second):
    return np.stack(
        [compute_flow(*pair, engine=engine) for pair in zip(first, second, strict=True)]
    )


@pytest.mark.parametrize("engine", GRAPHS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (75, 101)])
def test_agrees_with_the_engine(engine, height, width):
    pairs = moving_pairs(3, height, width)
    found, wanted = TRACED[engine](*pairs).numpy(), expected(engine, *pairs)
    assert found.shape == (3, height, width, 2)
    assert found.dtype == np.float32
    assert np.abs(wanted).mean() > 0.5
    check_alike(engine, found, wanted)
    apart = np.abs(encode_flow(found).astype(int) - encode_flow(wanted))
    assert (apart <= 1).mean() > {"fast": 0.995, "farneback": 0.9999}[engine]


def check_alike(engine, found, wanted):
    """TV-L1 stops when little changes, at which iteration hangs on the last bit: some pairs differ
    by hundredths of a pixel, as those of OpenCV and the compiled engine do. Which ones do hangs on
    the compiler; one of them does not."""
    apart = np.abs(found - wanted).mean(axis=(1, 2, 3))
    assert apart.min() < {"fast": 3e-3, "farneback": 1e-4}[engine]
    assert apart.mean() < {"fast": 0.02, "farneback": 1e-4}[engine]


@pytest.mark.parametrize("engine", GRAPHS)
def test_the_other_way_is_another_flow(engine):
    """What agrees above would not if frames were swapped, or u and v."""
    pairs = moving_pairs(2, 64, 64)
    found, wanted = TRACED[engine](*pairs[::-1]).numpy(), expected(engine, *pairs)
    assert np.abs(found - wanted).mean() > 0.5
    assert np.abs(TRACED[engine](*pairs).numpy()[..., ::-1] - wanted).mean() > 0.3


@pytest.mark.parametrize("engine", GRAPHS)
def test_pairs_of_a_batch_do_not_know_of_each_other(engine):
    pairs = moving_pairs(3, 50, 66)
    together = TRACED[engine](*pairs).numpy()
    alone = [TRACED[engine](*(side[i : i + 1] for side in pairs)).numpy() for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=2e-3)


@pytest.mark.parametrize("engine", GRAPHS)
def test_still_frames_do_not_move(engine):
    first, _ = moving_pairs(2, 40, 48)
    found = TRACED[engine](first, first).numpy()
    np.testing.assert_allclose(found, expected(engine, first, first), atol=1e-3)
    assert np.abs(found[:, 8:-8, 8:-8]).max() < 0.05  # Farneback sees nothing beyond the border
    flat = np.full_like(first, 77)
    np.testing.assert_allclose(TRACED[engine](flat, flat), 0, atol=1e-9)


@pytest.mark.parametrize("engine", GRAPHS)
def test_images_with_a_single_scale(engine):
    """So small that there is one pyramid level alone: of 17 px, 0.8 times 17 is less than 16."""
    pairs = moving_pairs(1, 17, 23)
    found, wanted = TRACED[engine](*pairs).numpy(), expected(engine, *pairs)
    assert np.abs(found - wanted).mean() < 5e-3


@pytest.mark.slow
@pytest.mark.parametrize("engine", GRAPHS)
def test_compiled_by_xla(engine):
    pairs = moving_pairs(2, 48, 64)
    compiled = tf.function(GRAPHS[engine], jit_compile=True)
    found = compiled(*pairs).numpy()
    check_alike(engine, found, TRACED[engine](*pairs).numpy())


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "within_1"), [("fast", 0.90), ("farneback", 0.9999)])
def test_real_frames(engine, within_1, shared_data):
    """TV-L1 of some real pairs depends on the last bit, where iterations stop: OpenCV's and the
    compiled engine differ as much on them."""
    for path in sorted(shared_data.glob("ucf101_clips/*/*.avi"))[7::20]:
        frames = [frame for frame, _ in zip(read_frames(path), range(23), strict=False)][20:]
        grays = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames])
        found = encode_flow(TRACED[engine](grays[:-1], grays[1:]).numpy()).astype(int)
        wanted = encode_flow(expected(engine, grays[:-1], grays[1:]))
        assert (np.abs(found - wanted) <= 1).mean() > within_1
