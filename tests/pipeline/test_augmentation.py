import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline import augmentation
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


@pytest.mark.parametrize(
    ("height", "width", "uniform", "expected"),
    [
        (100, 180, [0, 0, 0], [0, 0, 66]),
        (100, 180, [0, ALMOST_ONE, ALMOST_ONE], [34, 114, 66]),
        (100, 180, [ALMOST_ONE] * 3, [0, 80, 100]),
        (180, 100, [ALMOST_ONE] * 3, [80, 0, 100]),
        (180, 100, [0.5, 0.25, 0.5], [24, 9, 83]),
        (1, 1, [0, ALMOST_ONE, ALMOST_ONE], [0, 0, 1]),
    ],
)
def test_random_square(height, width, uniform, expected):
    box = augmentation.random_square(height, width, (0.66, 1.0), tf.constant(uniform, tf.float32))
    assert box.dtype == tf.int32
    assert box.numpy().tolist() == expected


def test_random_squares_fill_the_range_and_the_image():
    uniform = np.random.default_rng(0).random((2000, 3), np.float32)
    data = tf.data.Dataset.from_tensor_slices(uniform)
    data = data.map(lambda u: augmentation.random_square(50, 70, (0.66, 1.0), u))
    top, left, side = np.array(list(data.as_numpy_iterator())).T
    assert (side.min(), side.max()) == (33, 50)
    assert top.min() == left.min() == 0
    assert (top + side).max() == 50
    assert (left + side).max() == 70


def test_crop_and_resize_is_exact_without_scaling():
    clip = random_clip(2)["flow"]
    box = tf.constant([7, 11, 20])
    cut = augmentation.crop_and_resize(clip, box, 20)
    np.testing.assert_array_equal(cut, clip[:, 7:27, 11:31])
    half = augmentation.crop_and_resize(ramp_clip()["flow"], tf.constant([4, 30, 40]), 20).numpy()
    # pixel j lies between columns 30 + 2j and 30 + 2j + 1; a half is rounded to even
    np.testing.assert_array_equal(half[3, 5, :, 0], np.rint(30 + 2 * np.arange(20) + 0.5))
    np.testing.assert_array_equal(half[3, :, 5, 1], np.rint(4 + 2 * np.arange(20) + 0.5))


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
        box = augmentation.random_square(30, 44, (0.66, 1.0), uniform)
        return (
            box,
            augmentation.crop_and_resize(clip["flow"], box, 21),
            augmentation.flip_left_right(clip)["flow"],
            augmentation.flip_up_down(clip)["flow"],
            augmentation.adjust_brightness(clip["rgb"], uniform[2]),
            augmentation.centre_crop(clip, 17)["rgb"],
            augmentation.centre_crop(clip, 17, short_side=25)["flow"],
        )

    for eager, traced in zip(ops(clip, uniform), mapped(ops, clip, uniform), strict=True):
        np.testing.assert_array_equal(eager, traced)
        assert eager.dtype == traced.dtype


def test_centre_crop_by_hand():
    """Half size: output pixel i lies between input pixels 2i and 2i + 1."""
    row, column = 4 * np.mgrid[:32, :48]
    image = tf.constant(np.stack([column, row], axis=-1)[None].astype(np.uint8))
    view = augmentation.centre_crop({"flow": image}, 8, short_side=16)["flow"].numpy()
    assert view.shape == (1, 8, 8, 2)
    assert view[0, 0, :, 0].tolist() == [66, 74, 82, 90, 98, 106, 114, 122]  # 8 (j + 8) + 2
    assert view[0, :, 0, 1].tolist() == [34, 42, 50, 58, 66, 74, 82, 90]  # 8 (i + 4) + 2
    assert (view[..., 0] == view[:, :1, :, 0]).all()


def test_centre_crop_takes_256_for_224_and_cuts_the_middle():
    clip = {k: v[:, :9, :13] for k, v in random_clip(7).items()}
    turned = {k: tf.transpose(v, [0, 2, 1, 3]) for k, v in clip.items()}
    for given, (top, left) in ((clip, (0, 2)), (turned, (2, 0))):
        view = augmentation.centre_crop(given, 8)  # short side round(8 * 256 / 224) = 9
        for name, images in given.items():
            expected = images[:, top : top + 8, left : left + 8]
            np.testing.assert_array_equal(view[name], expected)


@pytest.mark.parametrize(("height", "width"), [(60, 100), (100, 60), (61, 61), (7, 90), (300, 20)])
def test_centre_crop_of_any_shape(height, width):
    view = augmentation.centre_crop(random_clip(8, 2, height, width), 24, short_side=24)
    assert view["rgb"].shape == (2, 24, 24, 3)
    assert view["flow"].shape == (2, 24, 24, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_range": (0, 1)}, r"0 < low <= high <= 1. Received: crop_range=\(0, 1\)"),
        ({"crop_range": (0.9, 0.5)}, r"Received: crop_range=\(0.9, 0.5\)"),
        ({"crop_range": (0.5, 1.2)}, r"Received: crop_range=\(0.5, 1.2\)"),
        ({"flip_lr": 1.5}, r"`flip_lr` must be in \[0, 1\]. Received: flip_lr=1.5"),
        ({"flip_ud": -1}, r"`flip_ud` must be in \[0, 1\]. Received: flip_ud=-1"),
        ({"brightness": -0.1}, r"`brightness` must be in \[0, 1\]. Received: brightness=-0.1"),
        ({"flow_flip": "both"}, r"one of \('negate', 'image_only'\). Received: flow_flip='both'"),
        ({"scope": "clip"}, r"one of \('video', 'segment'\). Received: scope='clip'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


def test_centre_crop_larger_than_the_image():
    with pytest.raises(ValueError, match="at least `size`. Received: short_side=23, size=24"):
        augmentation.centre_crop(random_clip(), 24, short_side=23)
