"""The invariants of the specification, section 4.7, at 71 px and 5 classes."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from tests.models.conftest import CLASSES, CLIP, adapt, logits
from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception
from vidrec.models.saved import load_model


def build(modalities=("rgb",), clip=CLIP, **options):
    clip = ClipSpec(segments=clip.segments, size=71, flow_length=2, modalities=modalities)
    return multiseg_xception.build(CLASSES, clip, **options)


def twin(model, **options):
    """A model with other options and the same weights."""
    modalities = tuple(model.input)
    other = build(modalities, **options)
    other.set_weights(model.get_weights())
    return other


def softmax(x):
    return np.asarray(ops.softmax(x))


@pytest.fixture(scope="module")
def stream(two_stream):
    return two_stream.get_layer("rgb_stream")


def test_inputs_are_uint8_clips_and_logits_are_float32(two_stream, clips):
    assert {k: (tuple(v.shape), v.dtype) for k, v in two_stream.input.items()} == {
        "rgb": ((None, 3, 71, 71, 3), "uint8"),
        "flow": ((None, 3, 71, 71, 4), "uint8"),
    }
    assert two_stream.output_shape == (None, CLASSES)
    out = logits(two_stream, clips)
    assert out.dtype == np.float32
    assert np.abs(out.sum(axis=1) - 1).max() > 0.1  # logits, not probabilities


@pytest.mark.parametrize("segments", [1, 7])
def test_parameters_do_not_depend_on_the_number_of_segments(segments, stream):
    clip = ClipSpec(segments=segments, size=71, modalities=("rgb",))
    assert multiseg_xception.build(CLASSES, clip).count_params() == stream.count_params()


def test_exactly_two_xceptions(two_stream, tmp_path):
    def bases(model):
        names = [layer.name for layer in model._flatten_layers()]
        return sorted(name for name in names if name.endswith("_xception"))

    assert bases(two_stream) == ["flow_xception", "rgb_xception"]
    two_stream.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert bases(loaded) == ["flow_xception", "rgb_xception"]


def test_fusion_is_spatial_plus_one_and_a_half_temporal(two_stream, clips):
    spatial = logits(two_stream.get_layer("rgb_stream"), clips)
    temporal = logits(two_stream.get_layer("flow_stream"), clips)
    np.testing.assert_allclose(logits(two_stream, clips), spatial + 1.5 * temporal, atol=1e-5)


def test_fusion_options(two_stream, clips):
    streams = [two_stream.get_layer(name) for name in ("rgb_stream", "flow_stream")]
    spatial, temporal = (logits(stream, clips) for stream in streams)
    fused = multiseg_xception.fuse(*streams, weights=(2, 3), normalize=True, layer="rescaling")
    np.testing.assert_allclose(logits(fused, clips), 0.4 * spatial + 0.6 * temporal, atol=1e-5)
    fused = multiseg_xception.fuse(*streams, on="probabilities")
    expected = (softmax(spatial) + 1.5 * softmax(temporal)) / 2.5
    np.testing.assert_allclose(softmax(logits(fused, clips)), expected, atol=1e-6)


def test_fusing_streams_of_other_classes_is_refused(stream):
    other = multiseg_xception.build(4, ClipSpec(size=71, flow_length=2, modalities=("flow",)))
    with pytest.raises(ValueError, match=r"same classes.*\(None, 5\) and \(None, 4\)"):
        multiseg_xception.fuse(stream, other)


def test_mean_consensus_is_the_mean_of_the_segments_scores(stream, clips):
    net = stream.get_layer("rgb_segment_net")
    each = np.stack([np.asarray(net(clips["rgb"][:, k], training=False)) for k in range(3)])
    assert np.abs(each[0] - each[1]).max() > 0.1  # else the comparisons below say nothing
    np.testing.assert_allclose(logits(stream, clips), each.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        logits(twin(stream, consensus="max"), clips), each.max(axis=0), atol=1e-5
    )
    fixed = twin(stream, consensus="weighted", segment_weights=[1, 2, 5])
    expected = np.tensordot([0.125, 0.25, 0.625], each, axes=1)
    np.testing.assert_allclose(logits(fixed, clips), expected, atol=1e-5)


def test_order_of_segments_does_not_matter(stream, clips):
    turned = {"rgb": clips["rgb"][:, [2, 0, 1]]}
    np.testing.assert_allclose(
        softmax(logits(stream, turned)), softmax(logits(stream, clips)), atol=1e-6
    )
    most = twin(stream, consensus="max")
    np.testing.assert_array_equal(logits(most, turned), logits(most, clips))


def test_equal_segments_are_one_segment(stream, clips):
    frame = clips["rgb"][:, :1]
    alone = np.asarray(stream.get_layer("rgb_segment_net")(frame[:, 0], training=False))
    repeated = {"rgb": np.repeat(frame, 3, axis=1)}
    np.testing.assert_allclose(logits(stream, repeated), alone, atol=1e-5)


def test_learnt_consensus_adds_k_weights_and_starts_as_the_mean(stream, clips):
    learnt = build(consensus="weighted")
    assert learnt.count_params() == stream.count_params() + 3
    learnt.set_weights([*stream.get_weights(), np.zeros(3)])
    np.testing.assert_allclose(logits(learnt, clips), logits(stream, clips), atol=1e-5)
    learnt.set_weights([*stream.get_weights(), np.log([1, 2, 5])])
    fixed = twin(stream, consensus="weighted", segment_weights=[1, 2, 5])
    np.testing.assert_allclose(logits(learnt, clips), logits(fixed, clips), atol=1e-5)


def test_consensus_on_probabilities(stream, clips):
    net = stream.get_layer("rgb_segment_net")
    each = [softmax(net(clips["rgb"][:, k], training=False)) for k in range(3)]
    merged = logits(twin(stream, consensus_on="probabilities"), clips)
    np.testing.assert_allclose(softmax(merged), np.mean(each, axis=0), atol=1e-6)


def test_folded_segments_equal_separate_calls_and_take_any_number(stream, clips):
    folded = twin(stream, fold_segments=True)
    np.testing.assert_allclose(logits(folded, clips), logits(stream, clips), atol=1e-6)
    five = {"rgb": np.concatenate([clips["rgb"], clips["rgb"][:, :2]], axis=1)}
    net = stream.get_layer("rgb_segment_net")
    each = [np.asarray(net(five["rgb"][:, k], training=False)) for k in range(5)]
    np.testing.assert_allclose(logits(folded, five), np.mean(each, axis=0), atol=1e-5)


def test_batch_norm_moves_once_a_segment_unless_folded(clips):
    """Decision 30: with equal segments, one training step moves by 1 - 0.99^3, or by 1 - 0.99."""
    frame = np.repeat(clips["rgb"][:, :1], 3, axis=1)
    apart, folded = build(), build(fold_segments=True)
    folded.set_weights(apart.get_weights())
    moved = []
    for model in (apart, folded):
        model({"rgb": frame}, training=True)
        base = model.get_layer("rgb_segment_net").get_layer("rgb_xception")
        moved.append(np.asarray(base.get_layer("block1_conv1_bn").moving_mean))
    np.testing.assert_allclose(moved[0], moved[1] * (1 - 0.99**3) / 0.01, rtol=1e-3)


def test_momentum_of_batch_norm_is_an_option(stream):
    for model, momentum in ((stream, 0.99), (build(bn_momentum=0.9), 0.9)):
        base = model.get_layer("rgb_segment_net").get_layer("rgb_xception")
        assert base.get_layer("block14_sepconv2_bn").momentum == momentum


def test_scaling_is_inside_the_model(stream):
    net = stream.get_layer("rgb_segment_net")
    scaled = keras.Model(net.input, net.get_layer("rgb_rescale").output)
    image = np.zeros((1, 71, 71, 3), np.uint8)
    image[0, 0, 0] = 0, 128, 255
    np.testing.assert_allclose(scaled(image)[0, 0, 0], [-1, 1 / 255, 1], atol=1e-6)


def test_dropout_is_the_paper_s(stream):
    assert stream.get_layer("rgb_segment_net").get_layer("rgb_dropout").rate == 0.8
    net = build(dropout=0.3).get_layer("rgb_segment_net")
    assert net.get_layer("rgb_dropout").rate == 0.3


@pytest.mark.parametrize(
    "options",
    [{"consensus": "weighted"}, {"fold_segments": True, "consensus_on": "probabilities"}],
)
def test_options_are_saved(options, clips, tmp_path):
    model = build(("rgb", "flow"), **options)
    adapt(model, clips)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(loaded, clips), logits(model, clips))
    weight = loaded.get_layer("temporal_weight")
    assert isinstance(weight, keras.layers.Lambda)
    assert weight.arguments == {"weight": 1.5}


@pytest.mark.slow
def test_built_in_fusion_loads_where_vidrec_is_not_imported(tmp_path):
    """Contract: fusion_layer="rescaling" needs nothing of ours; the Lambda needs the import."""
    streams = [build((name,)) for name in ("rgb", "flow")]
    for layer in ("rescaling", "lambda"):
        multiseg_xception.fuse(*streams, layer=layer).save(tmp_path / f"{layer}.keras")
    code = (
        "import sys; sys.modules['vidrec'] = None\n"
        "import keras\n"
        f"m = keras.saving.load_model(r'{tmp_path}/rescaling.keras', safe_mode=True)\n"
        "print('parameters', m.count_params())\n"
        "try:\n"
        f"    keras.saving.load_model(r'{tmp_path}/lambda.keras', safe_mode=True)\n"
        "except (TypeError, ValueError) as error:\n"
        "    print('refused', 'scale_scores' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total = sum(stream.count_params() for stream in streams)
    assert done.stdout.split("\n")[:2] == [f"parameters {total}", "refused True"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bn_momentum": 1.0}, r"`bn_momentum` must be a number in \[0, 1\).*bn_momentum=1.0"),
        ({"dropout": 1.0}, r"`dropout` in \[0, 1\)\. Received: num_classes=5, dropout=1.0"),
        ({"consensus": "median"}, r"`consensus` must be one of .*consensus='median'"),
        ({"consensus_on": "labels"}, r"`consensus_on` must be one of .*'labels'"),
        ({"segment_weights": [1, 1, 1]}, r"goes with consensus='weighted'"),
        (
            {"consensus": "weighted", "segment_weights": [1, -1, 1]},
            r"3 numbers >= 0 .*\[1.0, -1.0, 1.0\]",
        ),
        ({"consensus": "weighted", "segment_weights": [1, 2]}, "must be 3 numbers"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_fusion_layer_is_refused(two_stream):
    streams = [two_stream.get_layer(name) for name in ("rgb_stream", "flow_stream")]
    with pytest.raises(ValueError, match=r"`fusion_layer` must be one of .*'dense'"):
        multiseg_xception.fuse(*streams, layer="dense")


def test_clips_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least 71 px. Received: size=70"):
        multiseg_xception.build(CLASSES, ClipSpec(size=70, modalities=("rgb",)))
    with pytest.raises(ValueError, match="one frame or one flow stack per segment.*=2"):
        multiseg_xception.build(CLASSES, ClipSpec(frames_per_segment=2, size=71))
