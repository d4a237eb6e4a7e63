"""The baselines at 64 px with an eighth of the channels: what they compute, take and refuse."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_conv3d import CLASSES, CLIP, SIX, build, logits, random_clips
from vidrec.models import conv3d_baselines
from vidrec.models.backbones.resnet3d import factor_channels


@pytest.fixture(scope="module")
def clips():
    return random_clips()


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


def test_strided_convolutions_pad_both_sides(clips):
    """As PyTorch; Keras' own padding would shift the maps by one cell at each stride."""
    model = build("r3d")
    stem = model.get_layer("stem")
    padded = np.pad(output(model, "rgb_normalize", clips), [(0, 0), (1, 1), (3, 3), (3, 3), (0, 0)])
    wanted = np.einsum("bthwc,thwcf->bf", padded[:, 4:7, 10:17, 20:27], stem.kernel)
    found = output(model, "stem", clips)
    assert found.shape == (2, 16, 32, 32, 8)
    np.testing.assert_allclose(found[:, 4, 5, 10], wanted, rtol=1e-3, atol=1e-2)


def test_channels_between_factors():
    assert factor_channels((3, 3, 3), 64, 64) == 144
    assert factor_channels((3, 3, 3), 256, 512) == 921
    assert factor_channels((1, 1, 1), 128, 256) == 85
    assert factor_channels((1, 1, 1), 1, 1) == 1


def test_a_unit_normalises_and_the_block_does_so_again():
    names = [layer.name for layer in build("r2plus1d").layers if "stage2_block1" in layer.name]
    convolutions = [name for name in names if name.endswith(("_spatial", "_temporal"))]
    assert len(convolutions) == 6  # two units and the shortcut's
    assert sum(name.endswith("_bn") for name in names) + 2 == 6 + 3  # bn1 and bn2 of the block
    assert {"stage2_block1_bn1", "stage2_block1_bn2", "stage2_block1_downsample_bn"} <= set(names)


def test_p3d_is_two_convolutions_summed(clips):
    model = build("r3d", "vgg13")
    before = output(model, "stage2_block1_row1_relu", clips)
    parts = [model.get_layer(f"stage2_block1_row2_{part}") for part in ("spatial", "temporal")]
    assert [part.kernel_size for part in parts] == [(1, 3, 3), (3, 1, 1)]
    wanted = sum(np.asarray(part(before)) for part in parts)
    np.testing.assert_allclose(output(model, "stage2_block1_row2", clips), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "options", "rates"),
    [
        (("c3d", "resnet21"), {}, {"fc6_drop": 0.5, "fc7_drop": 0.5}),
        (("c3d", "resnet21"), {"dropout": 0.2}, {"fc6_drop": 0.2, "fc7_drop": 0.2}),
        (("c3d", "vgg13"), {}, {"fc1_drop": 0.0, "fc2_drop": 0.0}),
        (("c3d", "vgg13"), {"dropout": 0.3, "head_units": (8,)}, {"fc1_drop": 0.3}),
        (("r3d", "vgg13"), {"dropout": 0.3}, {"drop": 0.3}),
        (("r3d", "resnet21"), {}, {"drop": 0.0}),
    ],
)
def test_dropout(given, options, rates):
    model = build(*given, **options)
    found = {x.name: x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)}
    assert found == rates


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
        ({"network": "r3d", "layer_sizes": (1, 1, 1)}, r"four integers.*Received: \(1, 1, 1\)"),
        ({"network": "r3d", "layer_sizes": (1, 1, 0, 1)}, r"Received: \(1, 1, 0, 1\)"),
        ({"kernels": ("333",)}, "`kernels` must be None for this network.*column='resnet21'"),
        ({"shortcut": False}, "`shortcut` must be None for this network"),
        ({"head_units": ()}, "`head_units` must be None for this network"),
        ({"column": "vgg13", "kernels": ("333",)}, r"`kernels` must be 3 of .*\('333',\)"),
        ({"column": "vgg13", "kernels": ("333", "5", "111")}, r"Received: \('333', '5', '111'\)"),
        ({"column": "vgg13", "head_units": (0,)}, r"`head_units` must be integers.*\(0,\)"),
        ({"dropout": 1.0}, r"`dropout` in \[0, 1\).*dropout=1.0"),
        ({"width": 0.0}, "`width` > 0.*width=0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_too_few_classes():
    with pytest.raises(ValueError, match="num_classes=0"):
        conv3d_baselines.build(0, CLIP)
