"""Cross-modality initialisation, and weights that come from files."""

import keras
import numpy as np
import pytest

from tests.models.conftest import CLASSES
from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception
from vidrec.models.backbones.xception import xception
from vidrec.models.transfer import cross_modality_kernel, transfer_weights

FLOW = ClipSpec(segments=3, size=71, flow_length=10, modalities=("flow",))


@pytest.fixture(scope="module")
def spatial(two_stream):
    return two_stream.get_layer("rgb_stream")


@pytest.fixture(scope="module")
def temporal(spatial):
    """The 20-channel stream, started from the spatial one."""
    model = multiseg_xception.build(CLASSES, FLOW)
    assert transfer_weights(spatial, model) == "block1_conv1"
    return model


def first_kernel(stream, modality):
    base = stream.get_layer(f"{modality}_segment_net").get_layer(f"{modality}_xception")
    return base.get_layer("block1_conv1").get_weights()[0]


def test_first_kernel_is_the_mean_over_rgb_in_all_channels(spatial, temporal):
    rgb, flow = first_kernel(spatial, "rgb"), first_kernel(temporal, "flow")
    assert (rgb.shape, flow.shape) == ((3, 3, 3, 32), (3, 3, 20, 32))
    for channel in range(20):
        np.testing.assert_array_equal(flow[:, :, channel], flow[:, :, 0])
    np.testing.assert_array_equal(flow[:, :, 0], rgb.mean(axis=2))
    np.testing.assert_allclose(flow.sum(axis=2), rgb.sum(axis=2) * 20 / 3, atol=1e-5)


def test_every_other_weight_is_copied(spatial, temporal):
    pairs = list(zip(spatial.get_weights(), temporal.get_weights(), strict=True))
    differing = [old.shape for old, new in pairs if not np.array_equal(old, new, equal_nan=True)]
    assert len(pairs) == 236
    assert differing == [(3, 3, 3, 32)]


def test_order_of_flow_channels_does_not_matter_after_the_copy(temporal):
    rng = np.random.default_rng(5)
    flow = rng.integers(0, 256, (2, *FLOW.shape("flow")), dtype=np.uint8)
    mixed = flow[..., rng.permutation(20)]
    scores = [keras.ops.softmax(temporal({"flow": x}, training=False)) for x in (flow, mixed)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_preserved_scale_gives_equal_scores_on_gray_input(spatial):
    rng = np.random.default_rng(6)
    gray = rng.integers(0, 256, (2, 3, 9, 9, 1), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    gray = gray[:, :, :71, :71]
    same, other = (multiseg_xception.build(CLASSES, FLOW) for _ in range(2))
    transfer_weights(spatial, same, scale="preserve")
    transfer_weights(spatial, other)
    wanted = spatial({"rgb": gray.repeat(3, axis=-1)}, training=False)
    stack = {"flow": gray.repeat(20, axis=-1)}
    np.testing.assert_allclose(same(stack, training=False), wanted, atol=1e-4)
    assert np.abs(other(stack, training=False) - wanted).max() > 1e-2


def test_kernel_scale():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 2))
    literal, scaled = (cross_modality_kernel(kernel, 20, scale=s) for s in (None, "preserve"))
    np.testing.assert_allclose(scaled, literal * 3 / 20)
    with pytest.raises(ValueError, match=r"`scale` must be one of .*scale='half'"):
        cross_modality_kernel(kernel, 20, scale="half")


def test_other_classes_need_the_head_left_out(spatial):
    target = multiseg_xception.build(7, ClipSpec(size=71, modalities=("rgb",)))
    head = target.get_weights()[-2:]
    with pytest.raises(ValueError, match=r"include_head=False.*\(2048, 5\).*\(2048, 7\)"):
        transfer_weights(spatial, target)
    assert transfer_weights(spatial, target, include_head=False) is None
    for old, new in zip(spatial.get_weights()[:-2], target.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(head, target.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(old, new)


def test_networks_of_other_layers_are_refused(spatial):
    other = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="same layers with weights.*81 layers.*1 in"):
        transfer_weights(spatial, other)


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory, clips):
    """The weights of an RGB Xception with random normalisation, as a file."""
    base = xception(71, 3, name="source")
    path = tmp_path_factory.mktemp("weights") / "xception.weights.h5"
    first = base.get_layer("block1_conv1")
    first.set_weights([np.random.default_rng(8).normal(size=(3, 3, 3, 32))])
    base.save_weights(path)
    return path, base.get_weights()


def test_weights_from_a_file(weight_file):
    path, values = weight_file
    rgb = ClipSpec(size=71, modalities=("rgb",))
    net = multiseg_xception.build(CLASSES, rgb, weights=path).get_layer("rgb_segment_net")
    for old, new in zip(values, net.get_layer("rgb_xception").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_temporal_stream_takes_rgb_weights_across_modalities(weight_file):
    path, values = weight_file
    stream = multiseg_xception.build(CLASSES, FLOW, weights=str(path))
    kernel = first_kernel(stream, "flow")
    np.testing.assert_array_equal(kernel[:, :, 13], values[0].mean(axis=2))


def test_a_path_that_is_not_there_is_told_from_a_failed_download(monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"None, 'imagenet' or the path.*'imagnet'"):
        xception(71, 3, weights="imagnet")

    def no_network(**_):
        raise Exception("URL fetch failure on https://storage: None -- no route to host")

    monkeypatch.setattr(keras.applications, "Xception", no_network)
    with pytest.raises(RuntimeError, match=r"(?s)could not be downloaded.*no route.*_notop.h5"):
        xception(71, 3, weights="imagenet")
