"""Temporal Pyramid Net: what its means are of, and what mixes with what."""

import keras
import numpy as np
import pytest

from vidrec.models.layers.temporal_pyramid import temporal_pyramid

CELLS = (3, 2, 5)  # H, W, C


def pyramid(maps, **options):
    """(B, windows, 1 + 2 + 4 maps, H, W, C)"""
    x = keras.Input(maps.shape[1:])
    model = keras.Model(x, temporal_pyramid(x, **options))
    assert model.count_params() == 0
    window = options.get("window", 8)
    return np.asarray(model(maps)).reshape(len(maps), maps.shape[1] // window, -1, *CELLS)


@pytest.fixture(scope="module")
def maps():
    return np.random.default_rng(2).normal(size=(2, 24, *CELLS)).astype("float32")


def test_means_of_eight_four_and_two_moments(maps):
    found = pyramid(maps)
    assert found.shape == (2, 3, 7, *CELLS)
    for window in range(3):
        moments = maps[:, 8 * window : 8 * window + 8]
        wanted = [moments.mean(axis=1)]
        wanted += [moments[:, k : k + 4].mean(axis=1) for k in (0, 4)]
        wanted += [moments[:, k : k + 2].mean(axis=1) for k in (0, 2, 4, 6)]
        np.testing.assert_allclose(found[:, window], np.stack(wanted, axis=1), atol=1e-6)


def test_coarse_levels_are_means_of_the_finest(maps):
    found = pyramid(maps)
    np.testing.assert_allclose(found[:, :, 0], found[:, :, 1:3].mean(axis=2), atol=1e-6)
    np.testing.assert_allclose(found[:, :, 0], found[:, :, 3:].mean(axis=2), atol=1e-6)


def test_equal_moments_give_seven_equal_maps(maps):
    still = np.repeat(maps[:, :1], 24, axis=1)
    found = pyramid(still)
    np.testing.assert_allclose(found, np.broadcast_to(still[:, :1, None], found.shape), atol=1e-6)


def changed(maps, first, second):
    """Which of the 3 x 7 maps another order of two moments changes."""
    swapped = maps.copy()
    swapped[:, [first, second]] = maps[:, [second, first]]
    difference = np.abs(pyramid(swapped) - pyramid(maps)).max(axis=(0, 3, 4, 5))
    return {(int(w), int(m)) for w, m in np.argwhere(difference > 1e-5)}


def test_order_within_a_pair_is_lost_and_windows_do_not_mix(maps):
    assert changed(maps, 0, 1) == set()
    assert changed(maps, 0, 2) == {(0, 3), (0, 4)}  # the finest level alone
    assert changed(maps, 8, 12) == {(1, 1), (1, 2), (1, 3), (1, 5)}
    assert changed(maps, 7, 8) == {(0, 0), (0, 2), (0, 6), (1, 0), (1, 1), (1, 3)}


def test_one_vector_of_a_window_or_of_a_map(maps):
    x = keras.Input((8, *CELLS))
    joined = keras.Model(x, temporal_pyramid(x))
    apart = keras.Model(x, temporal_pyramid(x, join_levels=False))
    assert joined.output_shape == (None, 1, 7 * 30)
    assert apart.output_shape == (None, 7, 30)
    np.testing.assert_array_equal(
        np.asarray(joined(maps[:, :8])).reshape(2, 7, 30), apart(maps[:, :8])
    )


def test_other_levels_and_windows(maps):
    found = pyramid(maps, levels=(3, 12), window=12)
    assert found.shape == (2, 2, 15, *CELLS)
    np.testing.assert_allclose(found[:, 1, 2], maps[:, 20:].mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found[:, 1, 3:], maps[:, 12:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 7}, "multiple of `tpn_window`. Received: 24 moments, tpn_window=7"),
        ({"window": 0}, "Received: 24 moments, tpn_window=0"),
        ({"levels": (1, 3)}, r"divide `tpn_window`. Received: tpn_levels=\(1, 3\), tpn_window=8"),
        ({"levels": ()}, r"Received: tpn_levels=\(\)"),
        ({"levels": (2, 2)}, r"different numbers.*Received: tpn_levels=\(2, 2\)"),
        ({"levels": (0, 1)}, r">= 1 .*Received: tpn_levels=\(0, 1\)"),
    ],
)
def test_windows_and_levels_that_do_not_fit_are_refused(maps, options, message):
    with pytest.raises(ValueError, match=message):
        pyramid(maps, **options)
