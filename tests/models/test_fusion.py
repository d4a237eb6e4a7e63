"""Late fusion of two streams, on streams of one dense layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from vidrec.clip import ClipSpec
from vidrec.models import tstam
from vidrec.models.layers.fusion import fuse_streams


def tiny(modality, classes=4):
    clips = keras.Input((None, 2, 2, 3), dtype="uint8", name=modality)
    x = layers.Rescaling(1 / 255)(clips)
    x = layers.Flatten()(layers.GlobalAveragePooling3D()(x))
    logits = layers.Dense(classes, kernel_initializer="random_normal")(10 * x)
    return keras.Model({modality: clips}, logits, name=f"{modality}_stream")


@pytest.fixture(scope="module")
def streams():
    keras.utils.set_random_seed(2)
    return tiny("rgb"), tiny("flow")


@pytest.fixture
def clips():
    rng = np.random.default_rng(4)
    shape = (3, 5, 2, 2, 3)
    return {name: rng.integers(0, 256, shape, dtype=np.uint8) for name in ("rgb", "flow")}


def softmax(x):
    x = np.asarray(x)
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def test_tstam_averages_probabilities_one_to_three(streams, clips):
    spatial, temporal = (softmax(s({n: clips[n]})) for s, n in zip(streams, clips, strict=True))
    logits = tstam.fuse(*streams)(clips)
    np.testing.assert_allclose(np.exp(logits), 0.25 * spatial + 0.75 * temporal, rtol=1e-5)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(softmax(tstam.fuse(*streams, weights=(1, 0))(clips)), spatial, 1e-5)
    other = tstam.fuse(*streams, weights=(2, 2), layer="rescaling")(clips)
    np.testing.assert_allclose(np.exp(other), (spatial + temporal) / 2, rtol=1e-5)


def test_tstam_can_sum_logits(streams, clips):
    spatial, temporal = (np.asarray(s({n: clips[n]})) for s, n in zip(streams, clips, strict=True))
    logits = tstam.fuse(*streams, on="scores")(clips)
    np.testing.assert_allclose(logits, 0.25 * spatial + 0.75 * temporal, atol=1e-5)


def test_the_builder_passes_its_options_on():
    clip = ClipSpec(size=32, flow_length=1)
    options = {"num_spatial": 1, "map_dim": 8, "se_blocks": ()}
    model = tstam.build(3, clip, fusion_weights=(1, 1), fusion_layer="rescaling", **options)
    assert model.name == "two_stream"
    assert model.get_layer("temporal_weight").scale == 0.5
    assert isinstance(tstam.build(3, clip, **options).get_layer("spatial_weight"), layers.Lambda)


@pytest.mark.parametrize("layer", ["lambda", "rescaling"])
def test_one_video_is_not_broadcast_against_several(streams, clips, layer):
    """Eagerly with our message; in a graph, whose batch is open, with TensorFlow's."""
    model = tstam.fuse(*streams, layer=layer)
    one = {"rgb": clips["rgb"][:1], "flow": clips["flow"]}
    if layer == "lambda":
        with pytest.raises(ValueError, match="must hold the same videos. Received: 1 and 3 of"):
            model(one)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="must match"):
            model(one)
    spec = {name: tf.TensorSpec((None, None, 2, 2, 3), tf.uint8) for name in one}
    serve = tf.function(model, input_signature=[spec])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must match.*\[1,4\] != .*\[3,4\]"):
        serve(one)
    assert serve(clips).shape == (3, 4)


def test_streams_that_do_not_go_together_are_refused(streams):
    spatial, temporal = streams
    with pytest.raises(ValueError, match=r"same classes. Received: .* \(None, 4\) and \(None, 5\)"):
        tstam.fuse(spatial, tiny("flow", 5))
    with pytest.raises(ValueError, match=r"`spatial` must take 'rgb' .*\['flow'\] and \['rgb'\]"):
        tstam.fuse(temporal, spatial)


@pytest.mark.parametrize("weights", [(1, -3), (0, 0), (1,), (1, 1, 1), (float("nan"), 1)])
def test_weights_out_of_range_are_refused(streams, weights):
    with pytest.raises(ValueError, match="two numbers >= 0 that do not sum to 0. Received: "):
        fuse_streams(*streams, weights=weights)


def test_unknown_options_are_refused(streams):
    with pytest.raises(
        ValueError, match=r"`fusion_on` must be one of \('scores', 'proba.*'labels'"
    ):
        tstam.fuse(*streams, on="labels")
    with pytest.raises(ValueError, match="`fusion_layer` must be one of .*'dense'"):
        tstam.fuse(*streams, layer="dense")
