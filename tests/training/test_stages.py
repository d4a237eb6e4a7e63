"""Which layers a stage opens: specification 4.7, invariant 4, at full width."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception
from vidrec.training.stages import decay_weights, set_trainable


@pytest.fixture(scope="module")
def stream():
    return multiseg_xception.build(101, ClipSpec(size=71, modalities=("rgb",)))


def base_of(stream):
    return stream.get_layer("rgb_segment_net").get_layer("rgb_xception")


@pytest.mark.parametrize(
    ("layers", "parameters", "tensors", "first"),
    [
        ("head", 206_949, 2, None),
        ("last33", 9_685_293, 41, (99, "block11_sepconv2_act")),
        (-33, 9_685_293, 41, (99, "block11_sepconv2_act")),
        ("block11-14", 10_223_285, 45, (96, "block11_sepconv1_act")),
        ("all", 21_013_901, 156, (0, None)),
    ],
)
def test_what_each_stage_opens(stream, layers, parameters, tensors, first):
    set_trainable(stream, "all")
    assert set_trainable(stream, layers) == parameters
    assert len(stream.trainable_weights) == tensors
    is_open = [layer.trainable for layer in base_of(stream).layers]
    if first is None:
        assert not any(is_open)
    else:
        index, name = first
        assert is_open == [False] * index + [True] * (132 - index)
        assert name in (None, base_of(stream).layers[index].name)


def test_stages_can_follow_in_any_order(stream):
    set_trainable(stream, "head")
    assert set_trainable(stream, "all") == 21_013_901


def test_frozen_batch_norm(stream):
    # 54,528 scales and shifts of Xception are no longer trained
    assert set_trainable(stream, "all", freeze_bn=True) == 21_013_901 - 54_528
    base = base_of(stream)
    before = [np.array(weight) for weight in base.non_trainable_weights]
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 71, 71, 3), dtype=np.uint8)
    stream({"rgb": images}, training=True)
    for old, new in zip(before, base.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    set_trainable(stream, "all")
    stream({"rgb": images}, training=True)
    moved = base.get_layer("block14_sepconv2_bn").moving_mean
    assert np.abs(np.array(moved)).max() > 0


@pytest.mark.parametrize("layers", ["top", "last0", "last133", "block3-2", "block11-13", 132, None])
def test_unknown_layers_are_refused(stream, layers):
    with pytest.raises(ValueError, match=r"`layers` must be 'head'.*'rgb_xception'.*layers="):
        set_trainable(stream, layers)


def test_a_model_without_that_backbone_is_refused(tiny):
    with pytest.raises(ValueError, match=r"sub-model whose name ends.*\('_xception',\)"):
        set_trainable(tiny, "all")
    assert set_trainable(tiny, "head", backbones=("tiny",)) == 15
    assert set_trainable(tiny, "all", backbones=()) == tiny.count_params() - 16
    with pytest.raises(ValueError, match=r"ends with one of \(\)"):
        set_trainable(tiny, "head", backbones=())


def test_weight_decay_is_added_to_the_gradient_of_open_kernels_alone(tiny):
    set_trainable(tiny, "head", backbones=("tiny",))
    decay_weights(tiny, 0.01)
    kernels = [w for w in tiny.trainable_weights if w.name == "kernel"]
    assert 0 < len(kernels) < sum(w.name == "kernel" for w in tiny.weights)
    with tf.GradientTape() as tape:
        penalty = tf.add_n(tiny.losses)
    found = tape.gradient(penalty, [w.value for w in tiny.trainable_weights])
    for weight, gradient in zip(tiny.trainable_weights, found, strict=True):
        if weight.name == "kernel":
            np.testing.assert_allclose(gradient, 0.01 * np.array(weight), rtol=1e-6)
        else:
            assert gradient is None
    decay_weights(tiny, 0)
    assert tiny.losses == []


def test_normalisation_of_a_model_without_a_backbone_is_kept():
    clip = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3)(clip)
    block = keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    model = keras.Model(clip, block(keras.layers.BatchNormalization()(x)))
    assert set_trainable(model, "all", backbones=()) == 56 + 4 + 38 + 4
    assert set_trainable(model, "all", backbones=(), freeze_bn=True) == 56 + 38
