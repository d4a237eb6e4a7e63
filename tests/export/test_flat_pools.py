"""3D pools as pools of images: they give what Keras' own give."""

import keras
import numpy as np
import pytest
from keras import layers

from vidrec.export.flat_pools import FLAT, flat_pools

POOLS = {
    "max": layers.MaxPooling3D,
    "average": layers.AveragePooling3D,
}
SETTINGS = [  # window, strides, padding
    (2, None, "valid"),
    ((1, 2, 2), None, "valid"),
    ((4, 1, 1), None, "same"),
    ((3, 2, 4), (2, 1, 3), "valid"),
    ((3, 2, 4), (2, 1, 3), "same"),
]


@pytest.fixture
def x():
    return np.random.default_rng(5).normal(size=(2, 7, 9, 10, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(("window", "strides", "padding"), SETTINGS)
def test_one_pool(kind, window, strides, padding, x):
    pool = POOLS[kind](window, strides=strides, padding=padding)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, pool(inputs))
    flat = flat_pools(model)
    assert type(flat.layers[-1]) is FLAT[type(pool)]
    assert flat.output.shape == model.output.shape
    np.testing.assert_allclose(flat(x), model(x), atol=1e-6)


def test_a_copy_within_networks_and_with_the_weights(x):
    part = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.Conv3D(4, 2, name="conv"), layers.MaxPooling3D(2)],
        name="part",
    )
    inputs = keras.Input(x.shape[1:])
    shared = layers.AveragePooling3D((1, 2, 2))
    maps = [layers.Flatten()(part(each)) for each in (inputs, -inputs)]
    maps += [layers.Flatten()(shared(each)) for each in (inputs, inputs * inputs)]
    model = keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(maps)))
    expected = np.asarray(model(x))
    flat = flat_pools(model)
    kinds = [type(layer) for layer in flat._flatten_layers()]
    assert sum(kind in FLAT.values() for kind in kinds) == 2
    assert not set(kinds) & set(FLAT)
    np.testing.assert_allclose(flat(x), expected, atol=1e-5)

    kernel = flat.get_layer("part").get_layer("conv").kernel
    kernel.assign(2 * kernel)
    np.testing.assert_array_equal(model(x), expected)
    assert np.abs(np.asarray(flat(x)) - expected).max() > 0.1


def test_a_model_without_such_pools_is_itself():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.MaxPooling2D()(inputs))
    assert flat_pools(model) is model
