import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.pipeline import decoding
from vidrec.store import LAYOUTS


def texture(seed, height=40, width=56):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 3)
    return np.clip(128 + 6 * (smooth - 128), 0, 255).astype(np.uint8)


def test_red_is_red(tmp_path, jpg):
    red = np.zeros((24, 30, 3), np.uint8)
    red[..., 2] = 230  # BGR, as OpenCV writes it
    image = decoding.read_rgb([jpg(tmp_path / "red.jpg", red)]).numpy()
    assert image.shape == (1, 24, 30, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[0, 5, 7], [230, 0, 0], atol=3)


def test_what_opencv_wrote_comes_back_in_order(tmp_path, jpg):
    images = [texture(seed) for seed in range(3)]
    paths = [jpg(tmp_path / f"{i}.jpg", image) for i, image in enumerate(images)]
    read = decoding.read_rgb(paths).numpy().astype(int)
    assert read.shape == (3, 40, 56, 3)
    for found, written in zip(read, images, strict=True):
        assert np.abs(found - written[..., ::-1]).mean() < 2.5
        assert np.abs(found - written).mean() > 10  # not in OpenCV's own order


def test_what_tensorflow_wrote_comes_back(tmp_path):
    image = texture(3)
    path = tmp_path / "tf.jpg"
    path.write_bytes(tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False).numpy())
    read = decoding.read_rgb([str(path)]).numpy()[0].astype(int)
    assert np.abs(read - image).max() <= 4


def test_a_gray_jpg_gives_three_equal_channels(tmp_path, jpg):
    gray = texture(4)[..., 0]
    read = decoding.read_rgb([jpg(tmp_path / "gray.jpg", gray)]).numpy()[0]
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
    flow = decoding.read_flow(*write_flow(jpg, tmp_path, [[7, 31, 200], [90, 128, 13]])).numpy()
    assert flow.shape == (2, 16, 20, 6)
    assert flow.dtype == np.uint8
    assert (flow == flow[:, :1, :1]).all()
    assert flow[0, 0, 0].tolist() == [7, 248, 31, 224, 200, 55]
    assert flow[1, 0, 0].tolist() == [90, 165, 128, 127, 13, 242]


def test_eager_and_traced_agree(tmp_path, jpg, mapped):
    frames = tf.constant([jpg(tmp_path / f"{i}.jpg", texture(i)) for i in range(2)])
    x, y = write_flow(jpg, tmp_path, [[7, 31], [90, 128]])

    def read(frames, x, y):
        return decoding.read_rgb(frames), decoding.read_flow(x, y)

    for eager, traced in zip(read(frames, x, y), mapped(read, frames, x, y), strict=True):
        np.testing.assert_array_equal(eager, traced)


def test_a_missing_file_is_named(tmp_path, jpg, mapped):
    here, missing = jpg(tmp_path / "here.jpg", texture(0)), str(tmp_path / "img_00007.jpg")
    for read in (decoding.read_rgb, lambda paths: mapped(decoding.read_rgb, paths)):
        with pytest.raises(tf.errors.NotFoundError, match=re.escape(missing)):
            read(tf.constant([here, missing]))
    with pytest.raises(tf.errors.NotFoundError, match=re.escape(missing)):
        decoding.read_flow(tf.constant([[here]]), tf.constant([[missing]]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, jpg, share):
    whole = tmp_path / "whole.jpg"
    jpg(whole, texture(1))
    data = whole.read_bytes()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(data[: int(share * len(data))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)jpeg|image"):
        decoding.read_rgb([str(whole), str(torn)])


def test_images_of_two_sizes_are_refused(tmp_path, jpg):
    first = jpg(tmp_path / "a.jpg", texture(0))
    other = jpg(tmp_path / "b.jpg", texture(0, 40, 55))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"40,\s?55"):
        decoding.read_rgb([first, other])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"40,\s?55"):
        decoding.read_flow(tf.constant([[first]]), tf.constant([[other]]))


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
