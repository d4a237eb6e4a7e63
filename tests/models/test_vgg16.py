"""VGG-16's convolutions: layers, and weights that come from keras.applications' files."""

import keras
import numpy as np
import pytest

from vidrec.clip import ClipSpec
from vidrec.models import deep_fusion_tpn
from vidrec.models.backbones.vgg16 import RGB_MEANS, vgg16

SIZE = 32


def convolutions(model):
    return [layer.name for layer in model.layers if layer.weights]


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    """keras.applications' VGG16 with random weights and biases, and its weight file."""
    model = keras.applications.VGG16(weights=None, include_top=False)
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([1.4 * kernel, rng.normal(size=bias.shape)])
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    model.save_weights(path)
    return path, model


def test_thirteen_and_nine_convolutions():
    full = vgg16(64, 3, width=1 / 16)
    reference = keras.applications.VGG16(weights=None, include_top=False)
    assert convolutions(full) == convolutions(reference)
    assert len(convolutions(full)) == 13
    assert full.output_shape == (None, 4, 4, 32)
    pools = [layer.name for layer in full.layers if "pool" in layer.name]
    assert pools == ["block1_pool", "block2_pool", "block3_pool", "block4_pool"]
    first = vgg16(64, 8, convolutions=(2, 2, 3, 2), width=1 / 16)
    assert convolutions(first) == convolutions(full)[:9]
    assert convolutions(first)[-1] == "block4_conv2"
    assert first.output_shape == (None, 8, 8, 32)
    assert [layer.filters for layer in first.layers if layer.weights] == [4] * 2 + [8] * 2 + [
        16
    ] * 3 + [32] * 2


def test_rgb_with_its_means_is_keras_bgr(weight_file):
    path, reference = weight_file
    model = vgg16(SIZE, 3, weights=path)
    images = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    wanted = keras.Model(reference.input, reference.get_layer("block5_conv3").output)
    wanted = np.asarray(wanted(keras.applications.vgg16.preprocess_input(images.copy())))
    found = np.asarray(model(images - np.float32(RGB_MEANS)))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    turned = np.asarray(model(images[..., ::-1] - np.float32(RGB_MEANS)))
    assert np.abs(turned - wanted).max() > 0.05 * np.abs(wanted).max()


def test_other_channels_leave_the_first_convolution_random(weight_file):
    path, reference = weight_file
    model = vgg16(SIZE, 8, convolutions=(2, 2, 3, 2), weights=str(path))
    for name in convolutions(model):
        kernel, bias = model.get_layer(name).get_weights()
        if name == "block1_conv1":
            assert kernel.shape == (3, 3, 8, 64)
            assert 0.98 < np.abs(kernel).max() / np.sqrt(6 / (72 + 576)) <= 1  # Glorot's
            assert not bias.any()
        else:
            np.testing.assert_array_equal(kernel, reference.get_layer(name).kernel)
            np.testing.assert_array_equal(bias, reference.get_layer(name).bias)


def test_the_network_s_two_towers_take_them(weight_file):
    path, reference = weight_file
    clip = ClipSpec(
        segments=1, frames_per_segment=8, size=32, flow_length=4, flow_position="centre"
    )
    model = deep_fusion_tpn.build(2, clip, weights=path, lstm_units=1)
    copied = []
    for tower in ("spatial_vgg16", "temporal_vgg9"):
        for name in convolutions(model.get_layer(tower)):
            bias = model.get_layer(tower).get_layer(name).bias
            copied.append(np.array_equal(bias, reference.get_layer(name).bias))
    assert copied == [True] * 13 + [False] + [True] * 8


def test_weights_of_another_width_are_refused(weight_file):
    with pytest.raises(ValueError, match=r"`weights` go with width=1. Received: width=0.5"):
        vgg16(SIZE, 3, weights=weight_file[0], width=0.5)


def test_a_path_that_is_not_there_is_told_from_a_failed_download(monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"None, 'imagenet' or the path.*'imagnet'"):
        vgg16(SIZE, 3, weights="imagnet")

    def no_network(**_):
        raise Exception("URL fetch failure on https://storage: None -- no route to host")

    monkeypatch.setattr(keras.applications, "VGG16", no_network)
    with pytest.raises(RuntimeError, match=r"(?s)could not be downloaded.*no route.*_notop.h5"):
        vgg16(SIZE, 3, weights="imagenet")


def test_a_file_of_something_else_is_not_called_a_failed_download(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"not a weight file")
    with pytest.raises(ValueError, match=r"weights.h5 cannot be read: it is no HDF5 file"):
        vgg16(SIZE, 3, weights=tmp_path / "weights.h5")
