"""BN-Inception: golden sizes, parity with PyTorch's arithmetic, gates, and what is refused.

Regenerate the sizes:
    python -c "from vidrec.models.backbones.bn_inception import bn_inception as b; \
print(b(224, 3, se_blocks=()).summary())"
The numbers are those of the specification, sections 1.4, 4.3 and 5.
"""

import keras
import numpy as np
import pytest

from tests.models.bn_inception_reference import convolutions, forward, random_state
from vidrec.models.backbones.bn_inception import RGB_MEANS, SE_BLOCKS, bn_inception
from vidrec.models.backbones.bn_inception_weights import assign, from_pytorch

SHAPES = {
    "3a": (28, 28, 256),
    "3b": (28, 28, 320),
    "3c": (14, 14, 576),
    "4a": (14, 14, 576),
    "4b": (14, 14, 576),
    "4c": (14, 14, 608),
    "4d": (14, 14, 608),
    "4e": (7, 7, 1056),
    "5a": (7, 7, 1024),
    "5b": (7, 7, 1024),
}
WITHOUT_3C = tuple(block for block in SE_BLOCKS if block != "3c")


def trainable(model):
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


@pytest.fixture(scope="module")
def state():
    return random_state(seed=1)


@pytest.fixture(scope="module")
def plain(state):
    """The net without gates, with the random weights of a public file."""
    net = bn_inception(64, 3, se_blocks=())
    assign(net, from_pytorch(state))
    return net


@pytest.fixture(scope="module")
def images():
    """Coarse RGB patterns, mean subtracted."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (2, 16, 16, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return (pixels - np.array(RGB_MEANS)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"se_blocks": ()}, 10_270_240),
        ({}, 10_916_638),
        ({"se_blocks": WITHOUT_3C}, 10_874_554),
        ({"channels": 10}, 10_938_590),
        ({"conv_bias": False}, 10_906_622),
    ],
)
def test_parameters(options, count):
    net = bn_inception(**{"size": 32, "channels": 3, **options})
    assert (trainable(net), net.count_params() - trainable(net)) == (count, 20_032)


def test_parameters_with_the_classifier_of_imagenet(plain):
    x = keras.layers.GlobalAveragePooling2D()(plain.output)
    assert trainable(keras.Model(plain.input, keras.layers.Dense(1000)(x))) == 11_295_240


def test_shapes_and_hidden_units_at_full_size():
    net = bn_inception(224, 3)
    shapes = {b: net.get_layer(f"inception_{b}_output").output.shape[1:] for b in SHAPES}
    assert shapes == SHAPES
    assert net.get_layer("pool2_3x3_s2").output.shape[1:] == (28, 28, 192)
    hidden = [net.get_layer(f"inception_{block}_se_down").units for block in SHAPES]
    assert hidden == [16, 20, 36, 36, 36, 38, 38, 66, 64, 64]


def test_layers_with_weights_are_named_as_the_public_ones():
    names = {name for conv in convolutions() for name in (conv, f"{conv}_bn")}
    gates = {f"inception_{b}_se_{part}" for b in ("3b", "5a") for part in ("down", "up")}
    net = bn_inception(32, 3, se_blocks=["3b", "5a"])
    assert {layer.name for layer in net.layers if layer.weights} == names | gates
    assert len(convolutions()) == 69


def test_parity_with_pytorch(plain, state, images):
    """The last map, 2 x 2 cells, from 64 x 64 px: every border rule has been applied by then."""
    wanted = forward(state, images[..., ::-1].transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    found = np.asarray(plain(images, training=False))
    assert found.shape == wanted.shape == (2, 2, 2, 1024)
    assert np.abs(found[0] - found[1]).max() > 0.1 * wanted.max()  # the images are told apart
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())


def test_channels_are_in_rgb_order(plain, images):
    turned = np.asarray(plain(images[..., ::-1], training=False))
    assert np.abs(turned - np.asarray(plain(images, training=False))).max() > 0.1


def test_gates_weight_whole_channels(images):
    net = bn_inception(64, 3, se_blocks=("4b",))
    gate = net.get_layer("inception_4b_se_up").output
    concat, output = (net.get_layer(f"inception_4b_{x}").output for x in ("concat", "output"))
    look = keras.Model(net.input, [gate, concat, output])
    gates, before, after = (np.asarray(x) for x in look(images, training=False))
    assert gates.shape == (2, 1, 1, 576)
    assert 0 < gates.min() < gates.max() < 1
    np.testing.assert_allclose(after, before * gates, rtol=1e-6)
    kernel, bias = net.get_layer("inception_4b_se_up").get_weights()
    net.get_layer("inception_4b_se_up").set_weights([0 * kernel, 0 * bias])
    np.testing.assert_array_equal(look(images, training=False)[0], 0.5)


def moved(net, images):
    """Names of the layers whose moving mean a training step changes."""
    norms = [x for x in net.layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [np.array(norm.moving_mean) for norm in norms]
    net(images, training=True)
    pairs = zip(norms, before, strict=True)
    return [norm.name for norm, old in pairs if not np.array_equal(old, norm.moving_mean)]


def test_partial_bn_moves_the_first_statistics_alone(images):
    assert len(moved(bn_inception(64, 3, se_blocks=()), images)) == 69
    net = bn_inception(64, 3, se_blocks=(), partial_bn=True)
    assert moved(net, images) == ["conv1_7x7_s2_bn"]
    assert trainable(net) == 10_270_240  # scale and shift of each learn


def test_momentum_of_batch_norm_is_an_option():
    net = bn_inception(32, 3, se_blocks=(), bn_momentum=0.99)
    assert net.get_layer("inception_5b_1x1_bn").momentum == 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, "`size` must be a multiple of 32 px. Received: size=100"),
        ({"size": 0}, "multiple of 32"),
        ({"se_blocks": ("3a", "6a")}, r"`se_blocks` must be among \('3a', .*\('3a', '6a'\)"),
        ({"se_ratio": 257}, "`se_ratio` must be from 1 to 256, .* Received: se_ratio=257"),
        ({"se_ratio": 0}, "se_ratio=0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        bn_inception(**{"size": 32, "channels": 3, **options})
