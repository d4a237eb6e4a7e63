"""The baselines at 64 px with an eighth of the channels: what they compute, take and refuse."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import logits, random_clips
from tests.models.conv3d_reference import resnet3d, scatter, table_net, weights_of
from tests.models.small_conv3d import CLASSES, CLIP, SIX, build
from vidrec.models import conv3d_baselines
from vidrec.models.backbones.resnet3d import factor_channels


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


def output(model, name, clips):
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(clips))


@pytest.mark.parametrize(("network", "column"), SIX)
def test_clips_to_logits(network, column, clips):
    keras.utils.set_random_seed(2)
    model = build(network, column)
    assert {k: (tuple(v.shape), v.dtype) for k, v in model.input.items()} == {
        "rgb": ((None, 16, 64, 64, 3), "uint8")
    }
    whole = logits(model, clips)
    assert (whole.shape, whole.dtype) == ((2, CLASSES), np.float32)
    assert np.isfinite(whole).all()
    assert np.abs(whole.sum(axis=1) - 1).max() > 0.01  # logits, not probabilities
    alone = logits(model, {"rgb": clips["rgb"][1:]})
    np.testing.assert_allclose(alone[0], whole[1], rtol=1e-3, atol=1e-4)
    turned = logits(model, {"rgb": clips["rgb"][:, ::-1]})
    assert np.abs(turned - whole).max() > 1e-4 * np.abs(whole).max()  # time counts


@pytest.mark.parametrize(("network", "column"), SIX)
def test_every_trainable_tensor_gets_a_gradient(network, column, clips):
    keras.utils.set_random_seed(5)
    model = build(network, column)
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(
            np.array([1, 3]), model(clips, training=True), from_logits=True
        )
    weights = model.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    sizes = {
        weight.path: 0 if gradient is None else float(np.abs(gradient).max())
        for weight, gradient in zip(weights, gradients, strict=True)
    }
    silent = set()
    if (network, column) == ("r3d", "vgg13"):  # what batch normalisation subtracts again
        silent = {path for path in sizes if path.endswith("_row1/bias")}
    assert all(sizes[path] < 1e-4 * max(sizes.values()) for path in silent)
    assert not {path for path in sizes.keys() - silent if not sizes[path] > 0}


def test_scaling_is_inside_the_model():
    clips = {"rgb": np.zeros((1, *CLIP.shape("rgb")), np.uint8)}
    clips["rgb"][0, 0, 0, 0] = 255, 128, 0
    rgb = output(build(), "rgb_normalize", clips)
    np.testing.assert_array_equal(rgb[0, 0, 0, :2], [[153, 30, -90], [-102, -98, -90]])
    rgb = output(build(column="vgg13"), "rgb_normalize", clips)
    np.testing.assert_allclose(rgb[0, 0, 0, 0], [1, 0.5 / 127.5, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("network", "column", "options"),
    [
        ("r3d", "resnet21", {}),
        ("r2plus1d", "resnet21", {"layer_sizes": (1, 2, 1, 1)}),
        ("c3d", "vgg13", {}),
        ("r2plus1d", "vgg13", {}),
        ("r3d", "vgg13", {"layer_sizes": (1, 1, 2, 1)}),
    ],
)
def test_they_compute_what_the_repository_and_table_3_say(network, column, options, clips):
    """All of it, from pixels to logits; C3D of "resnet21" is in test_c3d_weights."""
    keras.utils.set_random_seed(1)
    model = build(network, column, **options)
    scatter(model)
    pixels = output(model, "rgb_normalize", clips).astype(np.float64)
    if column == "resnet21":
        wanted = resnet3d(weights_of(model), pixels)
    else:
        wanted = table_net(weights_of(model), pixels, shortcut=network == "c3d")
    np.testing.assert_allclose(logits(model, clips), wanted, atol=1e-4 * wanted.std())


@pytest.mark.parametrize(
    ("network", "column", "start", "norms"),
    [
        ("c3d", "resnet21", "GlorotUniform", 0),
        ("r3d", "resnet21", "HeNormal", 23),
        ("r2plus1d", "resnet21", "HeNormal", 35),
        ("c3d", "vgg13", "GlorotUniform", 0),
        ("r3d", "vgg13", "HeNormal", 4),
        ("r2plus1d", "vgg13", "HeNormal", 0),
    ],
)
def test_starts_and_constants(network, column, start, norms):
    """What a pass does not show: how kernels begin, and PyTorch's constants."""
    model = build(network, column)
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv3D)]
    assert {type(x.kernel_initializer).__name__ for x in convolutions} == {start}
    found = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(found) == norms
    assert {(x.momentum, x.epsilon) for x in found} <= {(0.9, 1e-5)}
    if norms:
        model = build(network, column, bn_momentum=0.7)
        found = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        assert {x.momentum for x in found} == {0.7}


def test_channels_between_factors():
    assert factor_channels((3, 3, 3), 64, 64) == 144
    assert factor_channels((3, 3, 3), 256, 512) == 921
    assert factor_channels((1, 1, 1), 128, 256) == 85
    assert factor_channels((1, 1, 1), 1, 1) == 1


@pytest.mark.parametrize(
    ("given", "options", "rates"),
    [
        (("c3d", "resnet21"), {}, {"fc6_drop": 0.5, "fc7_drop": 0.5}),
        (("c3d", "resnet21"), {"dropout": 0.2}, {"fc6_drop": 0.2, "fc7_drop": 0.2}),
        (("c3d", "resnet21"), {"dropout": 0.0}, {}),
        (("c3d", "vgg13"), {}, {}),
        (("c3d", "vgg13"), {"dropout": 0.3, "head_units": (8,)}, {"fc1_drop": 0.3}),
        (("r3d", "vgg13"), {"dropout": 0.3}, {"drop": 0.3}),
        (("r3d", "resnet21"), {}, {}),
    ],
)
def test_dropout(given, options, rates):
    model = build(*given, **options)
    found = {x.name: x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)}
    assert found == rates


def test_another_stem():
    found = build("r3d", "vgg13", stem=["333", 64]).get_layer("stem")
    assert (found.kernel_size, found.filters) == ((3, 3, 3), 8)


def test_sizes_of_clips():
    for size, width in ((32, 2), (64, 3), (96, 4), (112, 4)):
        clip = dataclasses.replace(CLIP, size=size)
        assert build(clip=clip).get_layer("pool5").output.shape[1:] == (1, width, width, 64)
    longer = dataclasses.replace(CLIP, segments=3, frames_per_segment=8)
    for network, column in SIX[1:]:
        assert build(network, column, clip=longer).output_shape == (None, CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": ("flow",)}, r"RGB alone.*Received: clip.modalities=\('flow',\)"),
        ({"modalities": ("rgb", "flow")}, r"RGB alone.*\('rgb', 'flow'\)"),
        ({"size": 100}, "multiple of 16 px. Received: clip.size=100"),
        ({"frames_per_segment": 24}, "C3D takes clips of 16 frames. Received: 24 frames"),
        ({"frames_per_segment": 12}, "C3D takes clips of 16 frames. Received: 12 frames"),
    ],
)
def test_clips_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        build(clip=dataclasses.replace(CLIP, **changes))


def test_frames_that_do_not_fit():
    clip = dataclasses.replace(CLIP, frames_per_segment=12)
    with pytest.raises(ValueError, match="multiple of 8 frames. Received: 12 frames"):
        build("r3d", clip=clip)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "i3d"}, r"`network` must be one of \('c3d', 'r3d', 'r2plus1d'\).*'i3d'"),
        ({"column": "resnet50"}, r"`column` must be one of \('resnet21', 'vgg13'\).*'resnet50'"),
        ({"layer_sizes": (1, 1, 1, 1)}, "`layer_sizes` must be None.*network='c3d'"),
        ({"network": "r3d", "layer_sizes": (1, 1, 1)}, r"four stages.*layer_sizes=\(1, 1, 1\)"),
        ({"network": "r3d", "layer_sizes": (1, 1, 0, 1)}, r"integers >= 1.*\(1, 1, 0, 1\)"),
        ({"network": "r3d", "layer_sizes": 4}, "list of integers >= 1.*layer_sizes=4"),
        ({"stem": ("333", 64)}, "`stem` must be None for this network"),
        ({"column": "vgg13", "stem": "333"}, "`stem` must be a kernel and channels.*stem='333'"),
        ({"column": "vgg13", "stem": ("p3d", 64)}, r"`stem` must be one of .*stem='p3d'"),
        ({"column": "vgg13", "stem": ("333", 0)}, "`stem` must be an integer >= 1.*stem=0"),
        ({"kernels": ("333",)}, "`kernels` must be None for this network.*column='resnet21'"),
        ({"shortcut": False}, "`shortcut` must be None for this network"),
        ({"head_units": ()}, "`head_units` must be None for this network"),
        ({"column": "vgg13", "kernels": ("333",)}, r"`kernels` must be 3 of .*\('333',\)"),
        (
            {"column": "vgg13", "kernels": ("333", "5", "111")},
            "`kernels` must be one of .*kernels='5'",
        ),
        ({"column": "vgg13", "kernels": 333}, "`kernels` must be 3 of .*kernels=333"),
        ({"column": "vgg13", "shortcut": "no"}, "`shortcut` must be True or False.*='no'"),
        ({"column": "vgg13", "head_units": (0,)}, r"`head_units` must be a list.*\(0,\)"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\).*dropout=1.0"),
        ({"width": 0.0}, "`width` must be a finite number > 0.*width=0.0"),
        ({"network": "r3d", "bn_momentum": 2.0}, r"number in \[0, 1\).*bn_momentum=2.0"),
        ({"network": "r3d", "bn_momentum": -1}, r"number in \[0, 1\).*bn_momentum=-1"),
        ({"bn_momentum": 0.9}, "`bn_momentum` must be None for a network without batch norm"),
        (
            {"network": "r2plus1d", "column": "vgg13", "bn_momentum": 0.9},
            "`bn_momentum` must be None for a network without batch norm",
        ),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_too_few_classes():
    with pytest.raises(ValueError, match="num_classes=0"):
        conv3d_baselines.build(0, CLIP)
