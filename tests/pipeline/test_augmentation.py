import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline import augmentation, crops
from vidrec.pipeline.augmentation import Augmentation

ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))
STILL = {"crop_range": (1.0, 1.0), "flip_lr": 0.0, "flip_ud": 0.0, "brightness": 0.0}
SPEC = ClipSpec(segments=3, frames_per_segment=2, size=20, flow_length=2)


def random_clip(seed=0, frames=6, height=30, width=44, length=2):
    rng = np.random.default_rng(seed)
    shape = (frames, height, width)
    return {
        "rgb": tf.constant(rng.integers(0, 256, (*shape, 3), np.uint8)),
        "flow": tf.constant(rng.integers(0, 256, (*shape, 2 * length), np.uint8)),
    }


def ramp_clip(frames=6, height=60, width=100):
    """Even channels hold the column, odd ones the row (the third of rgb: the column)."""
    row, column = np.mgrid[:height, :width].astype(np.uint8)
    images = np.stack([column, row, column, row], axis=-1)
    images = np.broadcast_to(images, (frames, *images.shape))
    return {"rgb": tf.constant(images[..., :3]), "flow": tf.constant(images)}


def augmented(clip, seed, spec=SPEC, **options):
    options = Augmentation(**{**STILL, **options})
    seed = tf.constant([seed, 5], tf.int32)
    return {k: v.numpy() for k, v in augmentation.augment(clip, spec, options, seed).items()}


@pytest.mark.parametrize("scope", ["video", "segment"])
def test_one_crop_and_flip_for_all_images_channels_and_modalities(scope):
    clip, views = ramp_clip(), set()
    for seed in range(8):
        options = {"crop_range": (0.66, 1), "flip_lr": 0.5, "flip_ud": 0.5}
        out = augmented(clip, seed, scope=scope, flow_flip="image_only", **options)
        rgb, flow = out["rgb"], out["flow"]
        assert rgb.shape == (6, 20, 20, 3)
        assert flow.shape == (6, 20, 20, 4)
        assert rgb.dtype == flow.dtype == np.uint8
        np.testing.assert_array_equal(rgb, flow[..., :3])
        np.testing.assert_array_equal(flow[..., :2], flow[..., 2:])
        np.testing.assert_array_equal(flow[::2], flow[1::2])  # two frames of each segment
        different = len({image.tobytes() for image in flow})
        assert different == {"video": 1, "segment": 3}[scope]
        views |= {image.tobytes() for image in flow}
    assert len(views) == {"video": 8, "segment": 24}[scope]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (0.2, [51, 151, 255, 255]),
        (-0.2, [0, 49, 179, 204]),
        (-0.5, [0, 0, 102, 128]),  # 230 - 127.5 = 102.5 and 127.5, to even
        (1.0, [255] * 4),
        (0.0, [0, 100, 230, 255]),
    ],
)
def test_adjust_brightness(change, expected):
    images = tf.constant([0, 100, 230, 255], tf.uint8)
    assert augmentation.adjust_brightness(images, change).numpy().tolist() == expected


def test_brightness_changes_rgb_alone_and_every_pixel_alike():
    clip = random_clip(4, height=20, width=20)
    rgb, changes = clip["rgb"].numpy().astype(int), []
    for seed in range(20):
        out = augmented(clip, seed, brightness=0.2)
        np.testing.assert_array_equal(out["flow"], clip["flow"])
        inside = (rgb > 51) & (rgb < 204)
        moved = np.unique((out["rgb"] - rgb)[inside])
        assert np.ptp(moved) <= 1  # 255 x change is no whole number: ties may go either way
        changes.append(moved[0])
    assert -51 <= min(changes) < -20
    assert 20 < max(changes) <= 51


def test_contrast_saturation_and_hue_change_rgb_alone():
    clip = random_clip(4, height=20, width=20)
    rgb = clip["rgb"].numpy().astype(float)
    spreads, greys, turned = set(), set(), set()
    for seed in range(12):
        out = augmented(clip, seed, contrast=0.4)["rgb"].astype(float)
        assert abs(out.mean() - rgb.mean()) < 6  # about its mean, but for what is clipped
        spreads.add(round(out.std() / rgb.std(), 2))
        out = augmented(clip, seed, saturation=0.9)
        np.testing.assert_array_equal(out["flow"], clip["flow"])
        greys.add(round(float(np.ptp(out["rgb"], axis=-1).mean()) / np.ptp(rgb, axis=-1).mean(), 2))
        out = augmented(clip, seed, hue=0.5)["rgb"].astype(float)
        np.testing.assert_allclose(
            out.max(axis=-1), rgb.max(axis=-1), atol=1
        )  # hue keeps the value
        turned.add(out.tobytes())
    assert min(spreads) < 0.8
    assert max(spreads) > 1.1
    assert min(greys) < 0.5
    assert max(greys) > 1.05
    assert len(turned) == 12


def test_contrast_by_hand():
    images = tf.constant([0, 100, 200], tf.uint8)[None, :, None, None]  # mean 100
    for factor, expected in ((0.5, [50, 100, 150]), (0.0, [100] * 3), (1.4, [0, 100, 240])):
        found = augmentation.adjust_contrast(images, factor)
        assert found.numpy().ravel().tolist() == expected


def test_resize_before_the_crop_and_the_crop_that_is_always_alike():
    clip = ramp_clip(height=30, width=80)
    out = augmented(clip, 3, crop="centre", resize=(20, 20))
    again = augmented(clip, 4, crop="centre", resize=(20, 20))
    whole = crops.resize(clip["flow"], (20, 20))
    np.testing.assert_array_equal(out["flow"], whole)
    np.testing.assert_array_equal(again["flow"], whole)


@pytest.mark.parametrize("scope", ["video", "segment"])
def test_equal_seeds_give_equal_clips_in_both_modes(mapped, scope):
    clip = random_clip(5)
    options = Augmentation(scope=scope)
    outs = []
    for seed in range(6):
        seed = tf.constant([seed, 9], tf.int32)
        out = augmentation.augment(clip, SPEC, options, seed)
        again = mapped(lambda c, s: augmentation.augment(c, SPEC, options, s), clip, seed)
        for name in clip:
            np.testing.assert_array_equal(out[name], again[name])
        outs.append(out["rgb"].numpy().tobytes())
    assert len(set(outs)) == 6


def test_every_op_is_the_same_eager_and_traced(mapped):
    clip = random_clip(6)
    uniform = tf.constant([0.37, 0.81, 0.12])

    def ops(clip, uniform):
        return (
            augmentation.flip_left_right(clip)["flow"],
            augmentation.flip_up_down(clip)["flow"],
            augmentation.adjust_brightness(clip["rgb"], uniform[2]),
            augmentation.adjust_contrast(clip["rgb"], 1 + uniform[0]),
            Augmentation(crop="corners").box(30, 44, 24, uniform),
        )

    for eager, traced in zip(ops(clip, uniform), mapped(ops, clip, uniform), strict=True):
        np.testing.assert_array_equal(eager, traced)
        assert eager.dtype == traced.dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_range": (0, 1)}, r"0 < low <= high <= 1. Received: crop_range=\(0, 1\)"),
        ({"crop_range": (0.9, 0.5)}, r"Received: crop_range=\(0.9, 0.5\)"),
        ({"crop_range": (0.5, 1.2)}, r"Received: crop_range=\(0.5, 1.2\)"),
        ({"flip_lr": 1.5}, r"`flip_lr` must be in \[0, 1\]. Received: flip_lr=1.5"),
        ({"flip_ud": -1}, r"`flip_ud` must be in \[0, 1\]. Received: flip_ud=-1"),
        ({"brightness": -0.1}, r"`brightness` must be in \[0, 1\]. Received: brightness=-0.1"),
        ({"contrast": 1.5}, r"`contrast` must be in \[0, 1\]. Received: contrast=1.5"),
        ({"hue": 0.6}, r"`hue` must be in \[0, 0.5\]. Received: hue=0.6"),
        ({"crop": "random"}, r"one of \('square', 'corners', 'centre'\). Received: crop='random'"),
        ({"offsets": 9}, r"`offsets` must be one of \(5, 13\). Received: offsets=9"),
        ({"scales": (0.7, 0.9)}, r"`scales` must fall and lie in \(0, 1\]. Received: .*0.7, 0.9"),
        ({"scales": ()}, "`scales` must fall"),
        ({"flow_flip": "both"}, r"one of \('negate', 'image_only'\). Received: flow_flip='both'"),
        ({"scope": "clip"}, r"one of \('video', 'segment'\). Received: scope='clip'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)
