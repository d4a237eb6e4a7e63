"""ResNet-101: golden sizes, parity with PyTorch's arithmetic and with keras.applications.

Regenerate the sizes:
    python -c "from vidrec.models.backbones.resnet101 import resnet101 as r; r(224, 3).summary()"
The numbers are those of the specification, sections 2 and 4.4.
"""

import keras
import numpy as np
import pytest

from tests.models.resnet101_reference import convolutions, forward, norm_of, random_state
from vidrec.models.backbones.resnet101 import normalization, resnet101
from vidrec.models.backbones.resnet101_weights import arrays_of, assign, from_torchvision
from vidrec.models.macs import count_macs

NARROW = {"base": 8}  # of the reference; the same is width=1/8


def trainable(model):
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


@pytest.fixture(scope="module")
def state():
    return random_state(seed=1, **NARROW)


@pytest.fixture(scope="module")
def narrow(state):
    """All 101 layers, an eighth as wide, with random weights of torchvision's names."""
    net = resnet101(64, 3, width=1 / 8)
    assign(net, from_torchvision(state))
    return net


@pytest.fixture(scope="module")
def images():
    """Coarse RGB patterns, of mean 0 and variance 1."""
    rng = np.random.default_rng(2)
    pixels = rng.normal(size=(2, 16, 16, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return pixels.astype(np.float32)


@pytest.mark.parametrize(
    ("count", "gmac", "options"),
    [
        (42_500_160, 7.79936, {}),
        (42_522_112, 8.07472, {"channels": 10}),
        (42_552_832, 7.56815, {"stride_in_3x3": False}),
        (42_574_784, None, {"stride_in_3x3": False, "channels": 10}),
    ],
    ids=str,
)
def test_parameters_and_multiply_adds(outline, count, gmac, options):
    net = outline(resnet101, **{"size": 224, "channels": 3, **options})
    assert (trainable(net), net.count_params() - trainable(net)) == (count, 105_344)
    assert net.output_shape == (None, 7, 7, 2048)
    assert gmac is None or round(count_macs(net) / 1e9, 5) == gmac


def test_the_other_variant_is_keras_applications(outline):
    theirs = outline(keras.applications.ResNet101, include_top=False, weights=None)
    ours = outline(resnet101, 224, 3, stride_in_3x3=False)
    assert trainable(theirs) == trainable(ours) == 42_552_832
    shapes = [
        {f"{x.name}/{w.name}": tuple(w.shape) for x in net.layers for w in x.weights}
        for net in (theirs, ours)
    ]
    assert shapes[0] == shapes[1]


def test_shapes_and_names_at_full_size(outline):
    net = outline(resnet101, 224, 3)
    shapes = {
        "pool1_pool": (56, 56, 64),
        "conv2_block3_out": (56, 56, 256),
        "conv3_block4_out": (28, 28, 512),
        "conv4_block23_out": (14, 14, 1024),
        "conv5_block3_out": (7, 7, 2048),
    }
    assert {name: net.get_layer(name).output.shape[1:] for name in shapes} == shapes
    convs = [layer for layer in net.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convs) == len(convolutions()) == 104
    assert not any(conv.use_bias for conv in convs)


@pytest.mark.parametrize(("size", "cells"), [(32, 1), (33, 2), (64, 2), (65, 3)])
def test_any_size_rounded_up(size, cells):
    net = resnet101(size, 3, blocks=(1, 1, 1, 1), width=1 / 16)
    assert net.output_shape == (None, cells, cells, 128)


@pytest.mark.parametrize("stride_in_3x3", [True, False])
def test_where_maps_are_halved(stride_in_3x3):
    net = resnet101(64, 3, stride_in_3x3=stride_in_3x3, blocks=(1, 1, 1, 1), width=1 / 16)
    strides = [
        [net.get_layer(f"conv{stage}_block1_{part}_conv").strides[0] for part in (0, 1, 2, 3)]
        for stage in (2, 3, 4, 5)
    ]
    halving = [2, 1, 2, 1] if stride_in_3x3 else [2, 2, 1, 1]
    assert strides == [[1, 1, 1, 1], halving, halving, halving]


def test_parity_with_pytorch(narrow, state, images):
    """The last map, 2 x 2 cells, from 64 x 64 px: every border rule has been applied by then."""
    wanted = forward(state, images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    found = np.asarray(narrow(images, training=False))
    assert found.shape == wanted.shape == (2, 2, 2, 256)
    assert np.abs(found[0] - found[1]).max() > 0.1 * wanted.max()  # the images are told apart
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())


@pytest.mark.slow
def test_parity_with_keras_applications(images):
    """At full size, through a file as those that it downloads; its images are BGR."""
    rng = np.random.default_rng(3)
    theirs = keras.applications.ResNet101(include_top=False, weights=None, input_shape=(64, 64, 3))
    for weight in theirs.weights:
        if len(weight.shape) == 1:  # of biases and batch normalisation
            weight.assign(np.asarray(weight) + rng.uniform(0, 0.2, weight.shape))
    ours = resnet101(64, 3, stride_in_3x3=False)
    arrays = arrays_of(theirs)
    arrays["conv1_conv/kernel"] = arrays["conv1_conv/kernel"][:, :, ::-1]
    assign(ours, arrays)
    wanted = np.asarray(theirs(images[..., ::-1], training=False))
    found = np.asarray(ours(images, training=False))
    assert np.abs(found[0] - found[1]).max() > 0.01 * wanted.max()
    np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.max())


def test_channels_are_in_rgb_order(narrow, images):
    turned = np.asarray(narrow(images[..., ::-1], training=False))
    assert np.abs(turned - np.asarray(narrow(images, training=False))).max() > 0.1


def test_normalization_of_torchvision():
    """Each channel, of 0, 255 and its mean."""
    scale, offset = (np.array(x) for x in normalization("rgb"))
    np.testing.assert_allclose(offset, [-2.1179, -2.0357, -1.8044], atol=1e-4)
    np.testing.assert_allclose(255 * scale + offset, [2.2489, 2.4286, 2.64], atol=1e-4)
    np.testing.assert_allclose(
        255 * np.array([0.485, 0.456, 0.406]) * scale + offset, 0, atol=1e-12
    )
    scale, offset = normalization("flow")
    np.testing.assert_allclose([offset, 127.5 * scale + offset, 255 * scale + offset],
                               [-0.5 / 0.226, 0, 0.5 / 0.226], atol=1e-12)  # fmt: skip


def test_normalization_of_keras_applications():
    """As its `preprocess_input`, but for the order of channels; flow has the same scale."""
    scale, offset = (np.array(x) for x in normalization("rgb", stride_in_3x3=False))
    pixels = np.array([[[[10.0, 20.0, 30.0]]]])
    wanted = keras.applications.resnet.preprocess_input(pixels.copy())[..., ::-1]
    np.testing.assert_allclose(pixels * scale + offset, wanted, atol=1e-5)
    np.testing.assert_allclose(normalization("flow", stride_in_3x3=False), (1, -127.5))


def test_momentum_and_epsilon():
    for stride_in_3x3, epsilon in ((True, 1e-5), (False, 1.001e-5)):
        net = resnet101(
            32,
            3,
            stride_in_3x3=stride_in_3x3,
            blocks=(1, 1, 1, 1),
            width=1 / 16,
            bn_momentum=0.7,
        )
        norm = net.get_layer("conv5_block1_3_bn")
        assert (norm.momentum, norm.epsilon) == (0.7, epsilon)


@pytest.mark.parametrize("name", ["conv2_block1_2_conv", "conv2_block1_3_conv"])
def test_random_kernels_are_he_s_by_fan_out(name):
    """Normal, of variance 2 / (h w filters)."""
    keras.utils.set_random_seed(0)
    net = resnet101(32, 3, blocks=(1, 1, 1, 1))
    kernel = np.asarray(net.get_layer(name).kernel)
    height, width, _, filters = kernel.shape
    assert kernel.std() == pytest.approx((2 / (height * width * filters)) ** 0.5, rel=0.02)
    assert abs(kernel.mean()) < 0.02 * kernel.std()
    assert np.abs(kernel).max() > 3 * kernel.std()  # not truncated at two


def test_names_of_norms():
    assert norm_of("conv1") == "bn1"
    assert norm_of("layer3.22.conv2") == "layer3.22.bn2"
    assert norm_of("layer2.0.downsample.0") == "layer2.0.downsample.1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 31}, "`size` must be at least 32 px. Received: size=31"),
        ({"blocks": (3, 4, 6)}, r"`blocks` must be four integers >= 1. .*=\(3, 4, 6\)"),
        ({"blocks": [1, 1, 0, 1]}, r"`blocks` must be four .*\[1, 1, 0, 1\]"),
        ({"blocks": (1, 1, 1.5, 1)}, r"`blocks` must be four .*1\.5"),
        ({"blocks": 3}, "`blocks` must be four integers >= 1. Received: blocks=3"),
        ({"blocks": "3463"}, "`blocks` must be four integers >= 1. Received: blocks='3463'"),
        ({"width": 0}, "`width` must be a finite number > 0. Received: width=0"),
        ({"width": "a"}, "`width` must be a finite number > 0. Received: width='a'"),
        ({"width": float("nan")}, "`width` must be a finite number > 0. Received: width=nan"),
        ({"width": float("inf")}, "`width` must be a finite number > 0. Received: width=inf"),
        ({"bn_momentum": 1}, r"`bn_momentum` must be a number in \[0, 1\).*bn_momentum=1"),
        ({"bn_momentum": -0.1}, r"`bn_momentum` must be a number in \[0, 1\).*=-0.1"),
        ({"bn_momentum": "0.9"}, r"`bn_momentum` must be a number in \[0, 1\).*='0.9'"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        resnet101(**{"size": 32, "channels": 3, **options})
