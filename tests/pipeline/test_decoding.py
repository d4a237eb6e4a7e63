import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline import crops, decoding
from vidrec.pipeline.augmentation import Augmentation, augment
from vidrec.pipeline.decoding import Encoded
from vidrec.store import LAYOUTS


def texture(seed, height=40, width=56):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 3)
    return np.clip(128 + 6 * (smooth - 128), 0, 255).astype(np.uint8)


def read_rgb(paths):
    return Encoded(decoding.read_files(tf.convert_to_tensor(paths)), None).decode()["rgb"]


def read_flow(x_paths, y_paths):
    paths = tf.stack([x_paths, y_paths], axis=-1)
    return Encoded(None, decoding.read_files(tf.reshape(paths, [paths.shape[0], -1]))).decode()[
        "flow"
    ]


def test_red_is_red(tmp_path, jpg):
    red = np.zeros((24, 30, 3), np.uint8)
    red[..., 2] = 230  # BGR, as OpenCV writes it
    image = read_rgb([jpg(tmp_path / "red.jpg", red)]).numpy()
    assert image.shape == (1, 24, 30, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[0, 5, 7], [230, 0, 0], atol=3)


def test_what_opencv_wrote_comes_back_in_order(tmp_path, jpg):
    images = [texture(seed) for seed in range(3)]
    paths = [jpg(tmp_path / f"{i}.jpg", image) for i, image in enumerate(images)]
    read = read_rgb(paths).numpy().astype(int)
    assert read.shape == (3, 40, 56, 3)
    for found, written in zip(read, images, strict=True):
        assert np.abs(found - written[..., ::-1]).mean() < 2.5
        assert np.abs(found - written).mean() > 10  # not in OpenCV's own order


def test_what_tensorflow_wrote_comes_back(tmp_path):
    image = texture(3)
    path = tmp_path / "tf.jpg"
    path.write_bytes(tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False).numpy())
    read = read_rgb([str(path)]).numpy()[0].astype(int)
    assert np.abs(read - image).max() <= 4


def test_a_gray_jpg_gives_three_equal_channels(tmp_path, jpg):
    gray = texture(4)[..., 0]
    read = read_rgb([jpg(tmp_path / "gray.jpg", gray)]).numpy()[0]
    assert read.shape == (40, 56, 3)
    np.testing.assert_array_equal(read[..., 0], read[..., 1])
    np.testing.assert_array_equal(read[..., 0], read[..., 2])
    assert np.abs(read[..., 0].astype(int) - gray).max() <= 2


def write_flow(jpg, folder, codes):
    """Constant images; codes: (T, L) of the x images, those of y are 255 - code."""
    paths = {"x": [], "y": []}
    for name in paths:
        for t, row in enumerate(codes):
            values = [code if name == "x" else 255 - code for code in row]
            images = [np.full((16, 20), value, np.uint8) for value in values]
            named = [(folder / f"{name}_{t}_{i}.jpg", image) for i, image in enumerate(images)]
            paths[name].append([jpg(path, image) for path, image in named])
    return tf.constant(paths["x"]), tf.constant(paths["y"])


def test_flow_is_interleaved_oldest_first(tmp_path, jpg):
    flow = read_flow(*write_flow(jpg, tmp_path, [[7, 31, 200], [90, 128, 13]])).numpy()
    assert flow.shape == (2, 16, 20, 6)
    assert flow.dtype == np.uint8
    assert (flow == flow[:, :1, :1]).all()
    assert flow[0, 0, 0].tolist() == [7, 248, 31, 224, 200, 55]
    assert flow[1, 0, 0].tolist() == [90, 165, 128, 127, 13, 242]


def test_eager_and_traced_agree(tmp_path, jpg, mapped):
    frames = tf.constant([jpg(tmp_path / f"{i}.jpg", texture(i)) for i in range(2)])
    x, y = write_flow(jpg, tmp_path, [[7, 31], [90, 128]])

    def read(frames, x, y):
        return read_rgb(frames), read_flow(x, y)

    for eager, traced in zip(read(frames, x, y), mapped(read, frames, x, y), strict=True):
        np.testing.assert_array_equal(eager, traced)


def test_a_missing_file_is_named(tmp_path, jpg, mapped):
    here, missing = jpg(tmp_path / "here.jpg", texture(0)), str(tmp_path / "img_00007.jpg")
    for read in (read_rgb, lambda paths: mapped(read_rgb, paths)):
        with pytest.raises(tf.errors.NotFoundError, match=re.escape(missing)):
            read(tf.constant([here, missing]))
    with pytest.raises(tf.errors.NotFoundError, match=re.escape(missing)):
        read_flow(tf.constant([[here]]), tf.constant([[missing]]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, jpg, share):
    whole = tmp_path / "whole.jpg"
    jpg(whole, texture(1))
    data = whole.read_bytes()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(data[: int(share * len(data))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)jpeg|image"):
        read_rgb([str(whole), str(torn)])


def test_images_of_two_sizes_are_refused(tmp_path, jpg):
    first = jpg(tmp_path / "a.jpg", texture(0))
    other = jpg(tmp_path / "b.jpg", texture(0, 40, 55))
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"(?s)all images of a clip must have one size.*40[, ]+55",
    ):
        read_rgb([first, other])
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"(?s)all images of a clip must have one size.*40[, ]+55",
    ):
        read_flow(tf.constant([[first]]), tf.constant([[other]]))


BOXES = [
    (0, 0, 40, 56),
    (0, 0, 17, 21),
    (13, 7, 20, 33),
    (23, 35, 17, 21),
    (1, 1, 5, 5),
    (8, 16, 16, 16),
]


@pytest.mark.parametrize("box", BOXES)
def test_to_decode_a_part_is_to_cut_it_out(tmp_path, jpg, mapped, box):
    """In colour too, which is coded at half the resolution; at odd places, and in the corners."""
    frames = tf.constant([jpg(tmp_path / f"{i}.jpg", texture(i)) for i in range(2)])
    gray = [jpg(tmp_path / f"f{i}.jpg", texture(9 + i)[..., 0]) for i in range(4)]

    def both(frames, gray, box):
        clip = Encoded(decoding.read_files(frames), decoding.read_files(gray))
        return clip.decode(), clip.decode(box), clip.part(1, 2).decode(box)

    args = frames, tf.reshape(tf.constant(gray), [2, 2]), tf.constant(box)
    for whole, part, second in (both(*args), mapped(both, *args)):
        for name, images in crops.cut(whole, box).items():
            np.testing.assert_array_equal(part[name], images)
            np.testing.assert_array_equal(second[name], images[1:])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 10, 13])
@pytest.mark.parametrize("frames", [1, 5, 13])
def test_to_scale_while_decoding_is_to_scale_afterwards(tmp_path, jpg, frames, length):
    """However the clip is parted, and whatever the number of channels is a multiple of."""
    number = frames * 2 * length
    rgb = [jpg(tmp_path / f"{i}.jpg", texture(i)) for i in range(frames)]
    gray = [jpg(tmp_path / f"f{i}.jpg", texture(90 + i)[..., 0]) for i in range(number)]
    flow = tf.reshape(decoding.read_files(tf.constant(gray)), [frames, 2 * length])
    clip = Encoded(decoding.read_files(tf.constant(rgb)), flow)
    box = tf.constant(BOXES[2])
    found, wanted = clip.decode(box, size=24), clip.decode(box)
    for name in ("rgb", "flow"):
        np.testing.assert_array_equal(found[name], crops.resize(wanted[name], [24, 24]))


def test_augmented_clips_are_the_same_decoded_or_not(tmp_path, jpg):
    frames = tf.constant([jpg(tmp_path / f"{i}.jpg", texture(i)) for i in range(3)])
    gray = tf.constant([jpg(tmp_path / f"f{i}.jpg", texture(9 + i)[..., 0]) for i in range(6)])
    clip = Encoded(decoding.read_files(frames), decoding.read_files(tf.reshape(gray, [3, 2])))
    spec = ClipSpec(segments=3, size=24, flow_length=1)
    for number, options in enumerate(
        ({}, {"scope": "segment"}, {"crop": "corners"}, {"crop": "centre"}, {"resize": (30, 40)})
    ):
        options, seed = Augmentation(**options), tf.constant([number, 8])
        found = augment(clip, spec, options, seed)
        wanted = augment(clip.decode(), spec, options, seed)
        for name in ("rgb", "flow"):
            np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        (5, ["p/img_00001.jpg", "p/img_00042.jpg", "p/img_99999.jpg"]),
        (6, ["p/img_000001.jpg", "p/img_000042.jpg", "p/img_099999.jpg"]),
    ],
)
def test_image_paths(mapped, digits, expected):
    numbers = tf.constant([[1], [42], [99999]])

    def paths(numbers):
        return decoding.image_paths("p/img_", numbers, digits, ".jpg")

    expected = [[path.encode()] for path in expected]
    assert paths(numbers).numpy().tolist() == expected
    assert mapped(paths, numbers).tolist() == expected


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("kind", ["frame", "flow_x", "flow_y"])
def test_image_paths_are_those_of_the_layout(layout, kind):
    video_id = "Ünï class/v_x{1}_g02"
    prefix, digits, suffix = LAYOUTS[layout].parts(kind, video_id)
    numbers = np.array([1, 9, 10, 1234])
    found = decoding.image_paths(prefix, numbers, digits, suffix).numpy()
    expected = [LAYOUTS[layout].path(kind, video_id, i) for i in numbers]
    assert [path.decode() for path in found] == expected
