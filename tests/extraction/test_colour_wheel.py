import colorsys
import re

import numpy as np
import pytest

from vidrec.clip import encode_flow
from vidrec.extraction.colour_wheel import flow_colours, wheel


def noise(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, 2)).astype(np.float32)


def colour(u, v, largest=4.0):
    return flow_colours(np.float32([[[u, v]]]), largest=largest)[0, 0].tolist()


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        ((4, 0), [255, 0, 0]),  # right: red
        ((0, 4), [128, 255, 0]),  # down: yellow-green, half of 255 rounded to even
        ((-4, 0), [0, 255, 255]),  # left: cyan
        ((-4, -0.0), [0, 255, 255]),
        ((0, -4), [128, 0, 255]),  # up: violet
        ((0, 0), [255, 255, 255]),
        ((2, 0), [255, 128, 128]),  # half as fast, half as saturated
        ((400, 0), [255, 0, 0]),  # longer than the largest
        ((4, -1e-30), [255, 0, 0]),  # the seam of the hues
        ((-3, 3), [0, 255, 64]),  # 135 degrees, longer than 4
    ],
)
def test_colours_of_known_motion(motion, expected):
    assert colour(*motion) == expected


def test_the_same_as_the_standard_librarys_hsv():
    flow = 3 * noise(0, 9, 7)
    found = flow_colours(flow, largest=5.0)
    assert (found.shape, found.dtype) == ((9, 7, 3), np.uint8)
    for (u, v), rgb in zip(flow.reshape(-1, 2).tolist(), found.reshape(-1, 3), strict=True):
        hue, length = np.arctan2(v, u) / (2 * np.pi) % 1, min(1, np.hypot(u, v) / 5)
        expected = 255 * np.array(colorsys.hsv_to_rgb(hue, length, 1))
        assert np.abs(rgb - expected).max() <= 0.5 + 1e-6


def test_longer_motion_is_never_paler():
    angles = np.random.default_rng(1).uniform(0, 2 * np.pi, 20)
    lengths = np.linspace(0, 12, 97)
    flow = lengths[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    palest = flow_colours(flow, largest=10.0).min(axis=-1).astype(int)  # 255 (1 - saturation)
    assert (np.diff(palest, axis=0) <= 0).all()
    assert palest[0].tolist() == [255] * 20
    assert palest[lengths >= 10].max() == 0
    assert (palest[lengths < 9.9].min(axis=1) > 0).all()


def test_turning_motion_turns_the_hue():
    flow = noise(2, 6, 5)
    u, v = flow[..., 0], flow[..., 1]
    third, half = 2 * np.pi / 3, np.stack([-u, -v], -1)
    turned = np.stack(
        [u * np.cos(third) - v * np.sin(third), u * np.sin(third) + v * np.cos(third)], -1
    )
    before = flow_colours(flow, largest=2.0).astype(int)
    # By a third of a turn, red becomes green, green blue and blue red.
    after = flow_colours(turned.astype(np.float32), largest=2.0)
    assert np.abs(after - np.roll(before, 1, axis=-1)).max() <= 1
    # Of opposite directions the colours are complementary.
    opposite = flow_colours(half, largest=2.0).astype(int)
    sums = before + opposite - before.min(-1, keepdims=True)
    assert np.abs(sums - 255).max() <= 1


def test_only_the_share_of_the_largest_counts():
    flow = noise(3, 4, 4)
    np.testing.assert_array_equal(
        flow_colours(flow, largest=2.5), flow_colours(8 * flow, largest=20.0)
    )


@pytest.mark.parametrize("size", [1, 2, 63, 200])
def test_the_legend_shows_what_the_mapping_does(size):
    legend = wheel(size)
    assert (legend.shape, legend.dtype) == ((size, size, 3), np.uint8)
    rng = np.random.default_rng(4)
    for row, column in rng.integers(0, size, (50, 2)).tolist():
        u, v = (column + 0.5) / size * 2 - 1, (row + 0.5) / size * 2 - 1
        inside = np.hypot(u, v) <= 1
        expected = colour(u, v, largest=1.0) if inside else [255, 255, 255]
        assert np.abs(legend[row, column] - np.array(expected)).max() <= 1


def test_the_legend_has_its_directions_where_they_point():
    legend = wheel(201)
    assert np.abs(legend[100, 200].astype(int) - [255, 0, 0]).max() <= 2  # at the right: right
    assert np.abs(legend[200, 100].astype(int) - [128, 255, 0]).max() <= 2
    assert np.abs(legend[100, 0].astype(int) - [0, 255, 255]).max() <= 2
    assert np.abs(legend[0, 100].astype(int) - [128, 0, 255]).max() <= 2
    assert legend[100, 100].tolist() == legend[3, 3].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("flow", "largest", "message"),
    [
        (noise(5, 3, 4)[..., 0], 1, "must be floats of shape (H, W, 2), in px; `vidrec.clip.deco"),
        (noise(5, 3, 4)[..., [0, 1, 1]], 1, "Received: float32 (3, 4, 3)"),
        (encode_flow(noise(5, 3, 4)), 1, "Received: uint8 (3, 4, 2)"),
        (noise(5, 3, 4), 0, "`largest` must be > 0 px and finite. Received: largest=0"),
        (noise(5, 3, 4), np.nan, "Received: largest=nan"),
        (noise(5, 3, 4), np.inf, "Received: largest=inf"),
        (noise(5, 3, 4) * [1, np.nan], 1, "must be finite. Received: 12 of 24 values NaN or Inf"),
        (noise(5, 3, 4) + np.float32(np.inf), 1, "Received: 24 of 24 values NaN or Inf"),
    ],
)
def test_what_has_no_colour_is_refused(flow, largest, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        flow_colours(flow, largest=largest)


@pytest.mark.parametrize("size", [0, -3, 2.0, None])
def test_a_legend_without_size_is_refused(size):
    with pytest.raises(ValueError, match=f"`size` must be an integer >= 1. Received: size={size}"):
        wheel(size)
