"""The invariants of the specification, section 4.5, at 64 px with a sixteenth of the filters."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import logits, random_clips
from tests.models.small_deep_fusion import CLASSES, CLIP, build, twin
from vidrec.clip import ClipSpec


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return build()


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


def output(model, name, clips):
    """What one of the network's own layers gives."""
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(clips))


def test_inputs_are_uint8_clips_and_logits_are_float32(model, clips):
    assert {k: (tuple(v.shape), v.dtype) for k, v in model.input.items()} == {
        "rgb": ((None, 24, 64, 64, 3), "uint8"),
        "flow": ((None, 24, 64, 64, 8), "uint8"),
    }
    assert model.output_shape == (None, CLASSES)
    out = logits(model, clips)
    assert out.dtype == np.float32
    assert np.abs(out.sum(axis=1) - 1).max() > 0.1  # logits, not probabilities


def test_scaling_is_inside_the_model(model):
    clips = {name: np.zeros((1, *CLIP.shape(name)), np.uint8) for name in CLIP.modalities}
    clips["rgb"][0, 0, 0, 0] = 255, 128, 0
    clips["flow"][0, 0, 0, 0, :3] = 0, 128, 255
    rgb = output(model, "rgb_normalize", clips)
    np.testing.assert_allclose(rgb[0, 0, 0, 0], [131.32, 11.221, -103.939], rtol=1e-6)
    np.testing.assert_allclose(rgb[0, 0, 0, 1], [-123.68, -116.779, -103.939], rtol=1e-6)
    flow = output(model, "flow_center", clips)
    np.testing.assert_array_equal(flow[0, 0, 0, 0, :4], [-127.5, 0.5, 127.5, -127.5])
    scaled = output(build(flow_scale=1 / 127.5), "flow_center", clips)
    np.testing.assert_allclose(scaled, flow / 127.5, atol=1e-6)


def test_two_towers_of_thirteen_and_nine_convolutions_share_nothing(model):
    towers = [model.get_layer(name) for name in ("spatial_vgg16", "temporal_vgg9")]
    own = [{id(weight) for weight in tower.weights} for tower in towers]
    assert [len(weights) for weights in own] == [2 * 13, 2 * 9]
    assert not own[0] & own[1]
    assert len({id(weight) for weight in model.weights}) == len(model.weights) == 98


def test_each_moment_goes_through_the_towers_alone(model, clips):
    frames = output(model, "rgb_normalize", clips)
    wanted = model.get_layer("spatial_vgg16")(frames[:, 17])
    np.testing.assert_allclose(output(model, "rgb_unfold", clips)[:, 17], wanted, atol=1e-5)


def test_time_matters_in_both_directions(model, clips):
    before = logits(model, clips)
    for names in (("rgb", "flow"), ("rgb",), ("flow",)):
        turned = {n: x[:, ::-1] if n in names else x for n, x in clips.items()}
        assert np.abs(logits(model, turned) - before).max() > 1e-3


def test_order_within_a_pair_matters_to_the_convolutions_over_time(model, clips):
    """The pyramid alone would lose it; MST_3DCNN and the fusion see it before."""
    order = [1, 0, *range(2, 24)]
    swapped = {name: x[:, order] for name, x in clips.items()}
    assert np.abs(logits(model, swapped) - logits(model, clips)).max() > 1e-4


def test_a_clip_does_not_depend_on_its_batch(model, clips):
    whole = logits(model, clips)
    for k in range(2):
        alone = logits(model, {name: x[k : k + 1] for name, x in clips.items()})
        np.testing.assert_allclose(alone[0], whole[k], atol=1e-5)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tpn_mode": "global", "normalize_candidate": True, "normalize_cell": True},
        {"factorize_3dcnn": False, "factor_activation": "relu", "time_aggregation": "last"},
        {"pool4": "before_mst", "fusion_pool": "before", "merge_mode": "sum"},
        {"fusion_init": "identity_gaussian", "layer_norm": False},
    ],
)
def test_every_trainable_tensor_gets_a_gradient(clips, options):
    keras.utils.set_random_seed(5)
    network = build(**options)
    labels = np.array([1, 3])
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(
            labels, network(clips, training=True), from_logits=True
        )
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable_weights])
    dead = [
        weight.path
        for weight, gradient in zip(network.trainable_weights, gradients, strict=True)
        if gradient is None or not np.abs(gradient).max() > 0
    ]
    assert not dead


def test_segments_are_moments(model, clips):
    """The network knows T; whether the clip calls its moments segments or frames is the same."""
    for segments, frames in ((24, 1), (3, 8), (6, 4)):
        other = build(
            ClipSpec(
                segments=segments,
                frames_per_segment=frames,
                size=64,
                flow_length=4,
                flow_position="centre",
            )
        )
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(logits(other, clips), logits(model, clips))


def test_more_windows_are_more_steps_of_the_same_network(model, clips):
    longer = build(
        ClipSpec(segments=1, frames_per_segment=48, size=64, flow_length=4, flow_position="centre")
    )
    assert longer.count_params() == model.count_params()
    assert longer.get_layer("bi_ln_lstm").output.shape == (None, 6, 12)
    assert longer.get_layer("tpn_flatten").output.shape == (None, 6, 7 * 2 * 2 * 32)


def test_global_pyramid(clips):
    """Every 3 moments are pooled to one of 8, and each of their 7 means is a step."""
    network = build(tpn_mode="global")
    assert network.get_layer("bi_ln_lstm").output.shape == (None, 7, 12)
    fused = output(network, "fusion_conv3d", clips)
    pooled = fused.reshape(2, 8, 3, 2, 2, 2, 2, 32).max(axis=(2, 4, 6))
    steps = output(network, "tpn_flatten", clips).reshape(2, 7, 2, 2, 32)
    np.testing.assert_allclose(steps[:, 0], pooled.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(steps[:, 6], pooled[:, 6:].mean(axis=1), rtol=1e-5)


def test_scores_are_of_the_mean_over_steps_or_of_each_direction_s_end(model, clips):
    states = output(model, "bi_ln_lstm", clips)
    dense = model.get_layer("logits")
    each = np.stack([np.asarray(dense(states[:, step])) for step in range(3)])
    np.testing.assert_allclose(logits(model, clips), each.mean(axis=0), atol=1e-5)
    last = np.concatenate([states[:, -1, :6], states[:, 0, 6:]], axis=1)
    found = logits(twin(model, time_aggregation="last"), clips)
    np.testing.assert_allclose(found, dense(last), atol=1e-5)


def test_directions_are_summed_instead(model, clips):
    network = build(merge_mode="sum")
    network.set_weights([*model.get_weights()[:-2], *network.get_weights()[-2:]])
    states = output(model, "bi_ln_lstm", clips)
    np.testing.assert_allclose(
        output(network, "bi_ln_lstm", clips), states[..., :6] + states[..., 6:], atol=1e-6
    )


def test_pools_stand_where_they_are_told(model, clips):
    def names(network):
        inner = [layer.name for layer in network.get_layer("temporal_mst3d").layers]
        return inner.index("block4_pool") > inner.index("block4_mst")

    assert names(model)
    other = twin(model, pool4="before_mst", fusion_pool="before")
    assert not names(other)
    assert other.get_layer("fusion_conv3d").output.shape == (None, 24, 2, 2, 32)
    assert np.abs(logits(other, clips) - logits(model, clips)).max() > 1e-3


def test_fusion_starts_as_a_weighted_sum_of_the_streams():
    kernel = np.asarray(build(fusion_init="identity_gaussian").get_layer("fusion_conv3d").kernel)
    sums = kernel.sum(axis=(0, 1, 2))
    np.testing.assert_allclose(sums, np.vstack([0.25 * np.eye(32), 0.75 * np.eye(32)]), atol=1e-6)


def test_dropouts_are_the_paper_s(model):
    rates = {name: model.get_layer(name).rate for name in ("tpn_dropout", "lstm_dropout")}
    assert rates == {"tpn_dropout": 0.5, "lstm_dropout": 0.25}
    other = build(tpn_dropout=0.1, lstm_dropout=0.0)
    assert [other.get_layer(n).rate for n in ("tpn_dropout", "lstm_dropout")] == [0.1, 0.0]
