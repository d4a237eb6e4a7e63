import numpy as np
import pytest
import tensorflow as tf

from tests.pipeline.test_augmentation import ALMOST_ONE, ramp_clip, random_clip
from vidrec.pipeline import augmentation, crops


@pytest.mark.parametrize(
    ("height", "width", "uniform", "expected"),
    [
        (100, 180, [0, 0, 0], [0, 0, 66, 66]),
        (100, 180, [0, ALMOST_ONE, ALMOST_ONE], [34, 114, 66, 66]),
        (100, 180, [ALMOST_ONE] * 3, [0, 80, 100, 100]),
        (180, 100, [ALMOST_ONE] * 3, [80, 0, 100, 100]),
        (180, 100, [0.5, 0.25, 0.5], [24, 9, 83, 83]),
        (1, 1, [0, ALMOST_ONE, ALMOST_ONE], [0, 0, 1, 1]),
    ],
)
def test_random_square(height, width, uniform, expected):
    box = crops.random_square(height, width, (0.66, 1.0), tf.constant(uniform, tf.float32))
    assert box.dtype == tf.int32
    assert box.numpy().tolist() == expected


def test_random_squares_fill_the_range_and_the_image():
    uniform = np.random.default_rng(0).random((2000, 3), np.float32)
    data = tf.data.Dataset.from_tensor_slices(uniform)
    data = data.map(lambda u: crops.random_square(50, 70, (0.66, 1.0), u))
    top, left, side, width = np.array(list(data.as_numpy_iterator())).T
    assert (side == width).all()
    assert (side.min(), side.max()) == (33, 50)
    assert top.min() == left.min() == 0
    assert (top + side).max() == 50
    assert (left + side).max() == 70


def test_crop_and_resize_is_exact_without_scaling():
    clip = random_clip(2)["flow"]
    box = tf.constant([7, 11, 20, 20])
    cut = crops.resize(crops.cut({"flow": clip}, box)["flow"], [20, 20])
    np.testing.assert_array_equal(cut, clip[:, 7:27, 11:31])
    half = crops.resize(crops.cut(ramp_clip(), tf.constant([4, 30, 40, 40]))["flow"], [20, 20])
    half = half.numpy()
    # pixel j lies between columns 30 + 2j and 30 + 2j + 1; a half is rounded to even
    np.testing.assert_array_equal(half[3, 5, :, 0], np.rint(30 + 2 * np.arange(20) + 0.5))
    np.testing.assert_array_equal(half[3, :, 5, 1], np.rint(4 + 2 * np.arange(20) + 0.5))


def test_centre_crop_by_hand():
    """Half size: output pixel i lies between input pixels 2i and 2i + 1."""
    row, column = 4 * np.mgrid[:32, :48]
    image = tf.constant(np.stack([column, row], axis=-1)[None].astype(np.uint8))
    view = crops.centre_crop({"flow": image}, 8, short_side=16)["flow"].numpy()
    assert view.shape == (1, 8, 8, 2)
    assert view[0, 0, :, 0].tolist() == [66, 74, 82, 90, 98, 106, 114, 122]  # 8 (j + 8) + 2
    assert view[0, :, 0, 1].tolist() == [34, 42, 50, 58, 66, 74, 82, 90]  # 8 (i + 4) + 2
    assert (view[..., 0] == view[:, :1, :, 0]).all()


def test_centre_crop_takes_256_for_224_and_cuts_the_middle():
    clip = {k: v[:, :9, :13] for k, v in random_clip(7).items()}
    turned = {k: tf.transpose(v, [0, 2, 1, 3]) for k, v in clip.items()}
    for given, (top, left) in ((clip, (0, 2)), (turned, (2, 0))):
        view = crops.centre_crop(given, 8)  # short side round(8 * 256 / 224) = 9
        for name, images in given.items():
            expected = images[:, top : top + 8, left : left + 8]
            np.testing.assert_array_equal(view[name], expected)


@pytest.mark.parametrize(("height", "width"), [(60, 100), (100, 60), (61, 61), (7, 90), (300, 20)])
def test_centre_crop_of_any_shape(height, width):
    view = crops.centre_crop(random_clip(8, 2, height, width), 24, short_side=24)
    assert view["rgb"].shape == (2, 24, 24, 3)
    assert view["flow"].shape == (2, 24, 24, 4)


def test_centre_crop_larger_than_the_image():
    with pytest.raises(ValueError, match="at least `size`. Received: short_side=23, size=24"):
        crops.centre_crop(random_clip(), 24, short_side=23)


def corner_boxes(height, width, size, **options):
    uniform = np.random.default_rng(0).random((3000, 2), np.float32)
    data = tf.data.Dataset.from_tensor_slices(uniform)
    data = data.map(lambda u: crops.corner_crop(height, width, size, u, **options))
    return np.array(list(data.as_numpy_iterator()))


@pytest.mark.parametrize(("offsets", "places"), [(5, 5), (13, 13)])
def test_corner_crop_of_tstam(offsets, places):
    """240 x 320 images, 224 px (T-STAM 4.1): sides of 240, 210, 180 and 158 px."""
    boxes = corner_boxes(240, 320, 224, offsets=offsets)
    sides = set(map(tuple, boxes[:, 2:].tolist()))
    lengths = [240, 210, 180, 158]
    expected = {(h, w) for h in lengths for w in lengths
                if abs(lengths.index(h) - lengths.index(w)) <= 1}  # fmt: skip
    assert sides == expected
    assert len(expected) == 10
    for side in expected:
        found = set(map(tuple, boxes[(boxes[:, 2:] == side).all(axis=1)][:, :2].tolist()))
        assert len(found) <= places
        room = (240 - side[0]) // 4, (320 - side[1]) // 4
        assert all(top % max(room[0], 1) == left % max(room[1], 1) == 0 for top, left in found)
    square = boxes[(boxes[:, 2:] == (180, 180)).all(axis=1)][:, :2]
    found = set(map(tuple, square.tolist()))
    corners = {(0, 0), (0, 140), (60, 0), (60, 140), (30, 70)}
    assert found == corners if offsets == 5 else corners < found
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2]).max() == 240
    assert (boxes[:, 1] + boxes[:, 3]).max() == 320


def test_corner_crop_takes_sides_near_the_network_s_for_its_own():
    lengths = set(corner_boxes(256, 340, 224)[:, 2:].ravel().tolist())
    assert lengths == {256, 224, 192, 168}  # 168.96, cut
    assert set(corner_boxes(257, 340, 224)[:, 2].tolist()) == {257, 224, 192, 169}  # not 224.875
    assert set(corner_boxes(222, 340, 224, scales=(1, 0.5))[:, 2].tolist()) == {222, 111}
    flow = corner_boxes(240, 320, 224, scales=(1, 0.875, 0.75))
    assert set(flow[:, 2].tolist()) == {240, 210, 180}


def test_rectangles_are_resized_to_squares():
    out = crops.resize(crops.cut(ramp_clip(), tf.constant([4, 30, 20, 40]))["flow"], [20, 20])
    out = out.numpy()
    assert out.shape[1:3] == (20, 20)
    np.testing.assert_array_equal(out[0, :, 3, 1], 4 + np.arange(20))
    np.testing.assert_array_equal(out[0, 3, :, 0], np.rint(30 + 2 * np.arange(20) + 0.5))


@pytest.mark.parametrize(
    ("shape", "expected"), [((30, 50), [0, 10, 30, 30]), ((51, 30), [10, 0, 30, 30])]
)
def test_centre_square(shape, expected):
    assert crops.centre_square(*shape).numpy().tolist() == expected


def test_views_of_images_that_are_scaled_out_of_shape():
    """VCM-SDD: 256 x 256 whatever the shape, then the middle."""
    clip = ramp_clip(height=30, width=80)
    view = crops.centre_crop(clip, 20, to=(24, 24))
    whole = crops.resize(clip["rgb"], (24, 24))
    np.testing.assert_array_equal(view["rgb"], whole[:, 2:22, 2:22])
    with pytest.raises(
        ValueError, match=r"`to` must be .* of at least `size`.*Received: to=\(9, 30"
    ):
        crops.centre_crop(clip, 20, to=(9, 30))
    with pytest.raises(ValueError, match="without a `short_side`"):
        crops.centre_crop(clip, 20, to=(24, 24), short_side=24)


def test_ten_crop():
    clip = random_clip(3, frames=2, height=26, width=40)
    views = crops.ten_crop(clip, 20, to=(26, 40), flip=augmentation.flip_left_right)
    places = [(0, 0), (0, 20), (6, 0), (6, 20), (3, 10)]
    mirrored = augmentation.flip_left_right(clip)
    for name, images in views.items():
        assert images.shape == (10, 2, 20, 20, clip[name].shape[-1])
        for number, (top, left) in enumerate(places):
            for k, source in ((0, clip), (5, mirrored)):
                expected = source[name][:, top : top + 20, left : left + 20]
                np.testing.assert_array_equal(images[number + k], expected)
    five = crops.ten_crop(clip, 20, to=(26, 40))
    np.testing.assert_array_equal(five["flow"], views["flow"][:5])
    centre = crops.centre_crop(clip, 20, to=(26, 40))
    np.testing.assert_array_equal(five["rgb"][4], centre["rgb"])


def test_every_crop_is_the_same_eager_and_traced(mapped):
    clip = random_clip(6)
    uniform = tf.constant([0.37, 0.81, 0.12])

    def ops(clip, uniform):
        box = crops.random_square(30, 44, (0.66, 1.0), uniform)
        corner = crops.corner_crop(30, 44, 24, uniform[:2])
        return (
            box,
            crops.resize(crops.cut(clip, box)["flow"], [21, 21]),
            corner,
            crops.resize(crops.cut(clip, corner)["rgb"], [21, 21]),
            crops.centre_crop(clip, 17)["rgb"],
            crops.centre_crop(clip, 17, short_side=25)["flow"],
            crops.ten_crop(clip, 17, flip=augmentation.flip_left_right)["flow"],
        )

    for eager, traced in zip(ops(clip, uniform), mapped(ops, clip, uniform), strict=True):
        np.testing.assert_array_equal(eager, traced)
        assert eager.dtype == traced.dtype


def test_to_uint8_clips_and_rounds_half_to_even(mapped):
    rng = np.random.default_rng(8)
    values = rng.uniform(-40, 300, (5, 31)).astype(np.float32)
    values[0] = np.arange(-5, 26) / 2  # ties
    values[1, :4] = [254.5, 255.5, 127.5, 128.49999]
    expected = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    for found in (crops.to_uint8(tf.constant(values)), mapped(crops.to_uint8, values)):
        np.testing.assert_array_equal(found, expected)
    assert expected[0, 6:11].tolist() == [0, 1, 2, 2, 2]
