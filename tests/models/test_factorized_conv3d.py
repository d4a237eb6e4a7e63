"""Factorised 3D convolutions, alone and at several scales."""

import keras
import numpy as np
import pytest

from vidrec.models.layers.factorized_conv3d import conv3d, mst_conv3d

SHAPE = (6, 5, 5, 3)  # T, H, W, C


@pytest.fixture(scope="module")
def maps():
    return np.random.default_rng(2).normal(size=(2, *SHAPE)).astype("float32")


def network(function, *args, **options):
    x = keras.Input(SHAPE)
    return keras.Model(x, function(x, *args, **options))


def test_factors_are_a_full_convolution_with_the_product_of_kernels(maps):
    apart = network(conv3d, 4, spatial=3, temporal=5, name="conv")
    joined = network(conv3d, 4, spatial=3, temporal=5, factorize=False, name="conv")
    spatial, _, temporal, _ = apart.get_weights()
    assert (spatial.shape, temporal.shape) == ((1, 3, 3, 3, 4), (5, 1, 1, 4, 4))
    product = np.einsum("hwcd,tdf->thwcf", spatial[0], temporal[:, 0, 0])
    joined.set_weights([product, np.zeros(4)])
    wanted = np.asarray(joined(maps))
    np.testing.assert_allclose(apart(maps), wanted, atol=1e-5)
    assert wanted.min() == 0
    assert wanted.max() > 0.5
    bent = network(conv3d, 4, spatial=3, temporal=5, factor_activation="relu", name="conv")
    bent.set_weights(apart.get_weights())
    assert np.abs(bent(maps) - wanted).max() > 0.1


def test_branches_have_their_scales_and_stand_side_by_side(maps):
    model = network(mst_conv3d, 4, spatial=(1, 3, 5), temporal=(3, 3, 5), name="mst")
    sizes = {layer.name: layer.kernel_size for layer in model.layers if layer.weights}
    assert sizes == {
        "mst_b1_spatial": (1, 1, 1),
        "mst_b1_temporal": (3, 1, 1),
        "mst_b2_spatial": (1, 3, 3),
        "mst_b2_temporal": (3, 1, 1),
        "mst_b3_spatial": (1, 5, 5),
        "mst_b3_temporal": (5, 1, 1),
    }
    assert model.output_shape == (None, *SHAPE[:3], 12)
    for branch in (1, 2, 3):
        alone = keras.Model(model.input, model.get_layer(f"mst_b{branch}_temporal").output)
        np.testing.assert_array_equal(model(maps)[..., 4 * branch - 4 : 4 * branch], alone(maps))


@pytest.mark.parametrize(
    ("spatial", "temporal"), [((1, 3), (3, 3, 5)), ((), ()), ((1, 0, 5), (3, 3, 5))]
)
def test_scales_that_do_not_pair_are_refused(spatial, temporal):
    with pytest.raises(ValueError, match=r"as many numbers >= 1 each. Received: mst_spatial=\("):
        network(mst_conv3d, 4, spatial=spatial, temporal=temporal, name="mst")


def test_random_factors_keep_the_scale_of_what_comes_in():
    """The mean square after the ReLU is that before the convolution, with or without a ReLU
    between the factors."""
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 12, 64)).astype("float32")
    for activation in (None, "relu"):
        inputs = keras.Input(x.shape[1:])
        y = conv3d(inputs, 64, factor_activation=activation, name="conv")
        middle = np.asarray(keras.Model(inputs, y)(x))[:, 1:-1, 1:-1, 1:-1]
        assert 0.7 < (middle**2).mean() < 1.4
