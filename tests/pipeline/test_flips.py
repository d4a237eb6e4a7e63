import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec, encode_flow
from vidrec.extraction.engines import compute_flow
from vidrec.pipeline import augmentation

FLIPS = {"lr": augmentation.flip_left_right, "ud": augmentation.flip_up_down}


def random_clip(seed, frames=4, height=30, width=44, length=3):
    rng = np.random.default_rng(seed)
    shape = (frames, height, width)
    return {
        "rgb": tf.constant(rng.integers(0, 256, (*shape, 3), np.uint8)),
        "flow": tf.constant(rng.integers(0, 256, (*shape, 2 * length), np.uint8)),
    }


@pytest.mark.parametrize(("flip", "component"), [("lr", 0), ("ud", 1)])
def test_flips_mirror_the_images_and_turn_one_component(flip, component):
    clip = random_clip(0)
    rgb, flow = clip["rgb"].numpy(), clip["flow"].numpy()
    axis = {"lr": 2, "ud": 1}[flip]
    expected = np.flip(flow, axis).copy()
    literal = FLIPS[flip](clip, negate=False)
    np.testing.assert_array_equal(literal["flow"], expected)
    expected[..., component::2] = 255 - expected[..., component::2]
    flipped = FLIPS[flip](clip)
    np.testing.assert_array_equal(flipped["flow"], expected)
    for found in (flipped, literal):
        np.testing.assert_array_equal(found["rgb"], np.flip(rgb, axis))
        assert found["flow"].dtype == found["rgb"].dtype == tf.uint8


@pytest.mark.parametrize("flip", FLIPS)
def test_two_flips_are_none(flip):
    clip = random_clip(1)
    twice = FLIPS[flip](FLIPS[flip](clip))
    for name in clip:
        np.testing.assert_array_equal(twice[name], clip[name])


def test_a_mirrored_video_has_the_flipped_flow():
    """Section 4.7 (13): a texture moves by (3, 2) px; its mirror image moves by (-3, 2)."""
    noise = np.random.default_rng(3).integers(0, 256, (110, 130)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    smooth = np.clip(128 + 6 * (smooth - 128), 0, 255).astype(np.uint8)
    before, after = smooth[10:90, 10:110], smooth[8:88, 7:107]

    def codes(first, second):
        pair = [np.ascontiguousarray(image) for image in (first, second)]
        return encode_flow(compute_flow(*pair))[None]

    clip = {"flow": tf.constant(codes(before, after))}
    assert np.median(clip["flow"], axis=(0, 1, 2)).tolist() == [147, 140]
    mirrors = {"lr": (np.fliplr, [255 - 147, 140]), "ud": (np.flipud, [147, 255 - 140])}
    for flip, (mirror, expected) in mirrors.items():
        computed = codes(mirror(before), mirror(after)).astype(int)
        flipped = FLIPS[flip](clip)["flow"].numpy().astype(int)
        assert np.median(computed, axis=(0, 1, 2)).tolist() == expected
        assert np.median(flipped, axis=(0, 1, 2)).tolist() == expected
        assert np.median(np.abs(computed - flipped)) <= 1


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize(
    ("probability", "least", "most"), [(0, 0, 0), (0.3, 90, 150), (1, 400, 400)]
)
def test_flips_come_as_often_as_asked(flip, probability, least, most):
    clip = {"flow": random_clip(2, 1, 12, 12, 2)["flow"]}
    still = {"crop_range": (1, 1), "flip_lr": 0, "flip_ud": 0, "brightness": 0}
    options = augmentation.Augmentation(**{**still, f"flip_{flip}": probability})
    spec = ClipSpec(segments=1, size=12, modalities=("flow",), flow_length=2)

    def is_flipped(seed):
        out = augmentation.augment(clip, spec, options, tf.stack([seed, 1]))["flow"]
        flipped = tf.reduce_all(out == FLIPS[flip](clip)["flow"])
        tf.debugging.Assert(flipped | tf.reduce_all(out == clip["flow"]), ["neither"])
        return flipped

    data = tf.data.Dataset.range(400, output_type=tf.int32).map(is_flipped)
    assert least <= sum(data.as_numpy_iterator()) <= most
