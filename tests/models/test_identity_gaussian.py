"""The kernel that fuses two streams as their smoothed weighted sum."""

import keras
import numpy as np
import pytest

from vidrec.models.layers.identity_gaussian import IdentityGaussian


def test_it_is_a_smoothed_weighted_sum():
    kernel = np.asarray(IdentityGaussian()((3, 3, 3, 8, 4), "float32"))
    assert kernel.dtype == np.float32
    sums = kernel.sum(axis=(0, 1, 2))
    np.testing.assert_allclose(sums[:4], 0.25 * np.eye(4), atol=1e-6)
    np.testing.assert_allclose(sums[4:], 0.75 * np.eye(4), atol=1e-6)
    middle = kernel[1, 1, 1, 0, 0]
    np.testing.assert_allclose(kernel[0, 1, 1, 0, 0] / middle, np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(kernel[2, 0, 2, 5, 1] / middle, 3 * np.exp(-1.5), rtol=1e-6)


def test_it_keeps_a_constant_but_at_the_border():
    inputs = keras.Input((5, 5, 5, 8))
    layer = keras.layers.Conv3D(4, 3, padding="same", kernel_initializer=IdentityGaussian())
    ones = np.asarray(keras.Model(inputs, layer(inputs))(np.ones((1, 5, 5, 5, 8), "float32")))
    np.testing.assert_allclose(ones[:, 1:-1, 1:-1, 1:-1], 1, atol=1e-6)
    np.testing.assert_allclose(ones[0, 0, 0, 0], 0.3825, atol=1e-4)


def test_it_is_saved_and_refuses_other_channels():
    start = IdentityGaussian(shares=(1.0, 2.0, 3.0), sigma=0.5)
    again = keras.initializers.deserialize(keras.initializers.serialize(start))
    shape = (1, 3, 3, 6, 2)
    np.testing.assert_array_equal(again(shape), start(shape))
    with pytest.raises(ValueError, match=r"fuses 3 maps .*Received: shape=\(3, 3, 3, 8, 4\)"):
        start((3, 3, 3, 8, 4))
