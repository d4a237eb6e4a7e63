"""Resizing, warping and medians are those of OpenCV."""

import cv2
import numpy as np
import pytest

from vidrec.export.resampling import median5, resize, sort, warp_cubic


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).normal(100, 80, (61, 83)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def test_smaller_by_a_factor_that_leaves_no_whole_pixels(image):
    expected = cv2.resize(image, None, fx=0.8, fy=0.8)
    found = resize(image[None], expected.shape, scale=1 / 0.8)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    ratio = resize(image[None], expected.shape)[0]
    assert np.abs(ratio - expected).max() > 0.1  # 61 / 49 is not 1.25


def test_larger_to_a_size(image):
    found = resize(np.stack([image, 2 * image]), (76, 104))
    for i in range(2):
        expected = cv2.resize((i + 1) * image, (104, 76))
        np.testing.assert_allclose(found[i], expected, atol=1e-3)


def test_warped_within_and_beyond_the_border(image):
    rng = np.random.default_rng(1)
    others = [image, 255 - image, image**2 / 255]
    x, y = rng.normal(0, 8, (2, 3, 61, 83)).astype(np.float32)
    x += np.arange(83, dtype=np.float32)
    y += np.arange(61, dtype=np.float32)[:, None]
    x[0, :5], y[1, 7] = -1e6, 1e6
    batches = [np.stack([other, other[::-1], other[:, ::-1]]) for other in others]
    found = warp_cubic(batches, x, y)
    for result, batch in zip(found, batches, strict=True):
        for i in range(3):
            expected = cv2.remap(batch[i], x[i], y[i], cv2.INTER_CUBIC)
            np.testing.assert_allclose(result[i], expected, atol=1e-3)


def test_median_of_25(image):
    images = np.stack([image, np.round(image[::-1])])  # and one with equal values
    found = median5(images)
    for i in range(2):
        np.testing.assert_array_equal(found[i], cv2.medianBlur(images[i], 5))


@pytest.mark.parametrize("count", [1, 2, 5, 13, 16])
def test_sorted_elementwise(count):
    values = np.random.default_rng(count).integers(0, 9, (count, 400))
    np.testing.assert_array_equal(sort(list(values)), np.sort(values, axis=0))
