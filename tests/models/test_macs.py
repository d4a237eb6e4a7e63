"""Multiply-adds: small cases by hand, and the specifications' numbers at full size.

Regenerate those of every registered model:
    python experiments/benchmarks/models.py
Big networks are built without their values, as in test_golden.py.
"""

import dataclasses

import keras
import pytest
from keras import layers, ops

from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception, registry, tstam
from vidrec.models.backbones.bn_inception import bn_inception
from vidrec.models.layers.attention import SpatialAttentionPool, TemporalAttentionPool
from vidrec.models.layers.ln_lstm import LayerNormLSTMCell
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments
from vidrec.models.macs import count_macs, macs_by_layer

CLIP = ClipSpec(segments=4, size=6, modalities=("rgb",))


def of_layer(layer, *shapes):
    """MAC of a layer on one element of such shapes."""
    inputs = [keras.Input(shape) for shape in shapes]
    return count_macs(keras.Model(inputs, layer(*inputs)))


@pytest.mark.parametrize(
    ("macs", "layer", "shape"),
    [
        (5 * 4 * 7 * (3 * 2 * 6), layers.Conv2D(7, (3, 2), padding="same"), (5, 4, 6)),
        (2 * 2 * 7 * (3 * 2 * 6), layers.Conv2D(7, (3, 2), strides=2), (5, 4, 6)),
        (5 * 4 * 8 * (3 * 3 * 3), layers.Conv2D(8, 3, padding="same", groups=2), (5, 4, 6)),
        (3 * 7 * (2 * 6), layers.Conv1D(7, 2), (4, 6)),
        (2 * 3 * 4 * 7 * (3 * 1 * 1 * 6), layers.Conv3D(7, (3, 1, 1)), (4, 3, 4, 6)),
        (4 * 12 * 3, layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same"), (4, 6)),
        (3 * 2 * 12 * (3 * 3), layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 4, 6)),
        (3 * 2 * (3 * 3 * 6 + 6 * 7), layers.SeparableConv2D(7, 3), (5, 4, 6)),
        (2 * (4 * 6 + 6 * 7), layers.SeparableConv1D(7, 4), (5, 6)),
        (6 * 7, layers.Dense(7), (6,)),
        (5 * 6 * 7, layers.Dense(7, use_bias=False), (5, 6)),
        (3 * 4 * (6 * 5 + 5 * 5), layers.LSTM(5), (3, 6)),
        (3 * 4 * (6 * 5 + 5 * 5), layers.RNN(LayerNormLSTMCell(5)), (3, 6)),
        (2 * 3 * 4 * (6 * 5 + 5 * 5), layers.Bidirectional(layers.LSTM(5)), (3, 6)),
        (0, layers.BatchNormalization(), (5, 6)),
        (0, layers.LayerNormalization(), (5, 6)),
        (0, layers.AveragePooling2D(2), (6, 6, 3)),
        (0, layers.Dropout(0.5), (6,)),
    ],
)
def test_layers_by_hand(macs, layer, shape):
    assert of_layer(layer, shape) == macs


def test_attention_by_hand():
    assert of_layer(TemporalAttentionPool(), (3, 5), (3, 7)) == 3 * 5
    assert of_layer(TemporalAttentionPool("channel"), (3, 5), (3, 5)) == 3 * 5
    assert of_layer(SpatialAttentionPool(), (3, 2, 4, 5), (3, 2, 4, 7)) == 3 * 2 * 4 * 5 * 7


def image_net():
    images = keras.Input((6, 6, 3), name="images")
    maps = layers.Conv2D(5, 3, name="conv")(images)
    top = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(2, name="dense")])
    top.name = "top"
    return keras.Model(images, top(maps), name="net")


WORK = {"conv": 4 * 4 * 5 * 27, "top/dense": 5 * 2}  # of image_net


def test_a_shared_network_counts_each_time_it_is_called():
    clips, net = keras.Input((4, 6, 6, 3), name="rgb"), image_net()
    scores = [net(frame) for frame in ops.unstack(clips, 4, axis=1)]
    model = keras.Model({"rgb": clips}, layers.Dense(3, name="logits")(layers.Average()(scores)))
    wanted = {f"net/{name}": 4 * macs for name, macs in WORK.items()} | {"logits": 2 * 3}
    assert macs_by_layer(net) == WORK
    assert macs_by_layer(model) == macs_by_layer(model, CLIP) == wanted
    assert macs_by_layer(model, depth=1) == {"net": 4 * sum(WORK.values()), "logits": 6}
    assert macs_by_layer(model, depth=2) == {
        "net/conv": 4 * WORK["conv"],
        "net/top": 4 * WORK["top/dense"],
        "logits": 6,
    }
    assert count_macs(model) == sum(wanted.values())


def test_a_folded_network_counts_each_frame_and_the_clip_says_how_many():
    clips = keras.Input((None, 6, 6, 3), name="rgb")
    scores = UnfoldSegments()(image_net()(FoldSegments()(clips)), clips)
    lstm = layers.LSTM(5, name="lstm")(scores)
    model = keras.Model({"rgb": clips}, lstm)
    for frames in (1, 4, 25):
        clip = dataclasses.replace(CLIP, segments=frames)
        found = macs_by_layer(model, clip)
        assert found.pop("lstm") == frames * 4 * (2 * 5 + 5 * 5)
        assert found == {f"net/{name}": frames * macs for name, macs in WORK.items()}
    with pytest.raises(ValueError, match=r"'rgb' is open .* `clip` must say how long. .*clip=None"):
        count_macs(model)


def test_the_model_is_as_before_and_its_variables_still_wait_for_values(outline):
    model = outline(tstam.build, 5, ClipSpec(size=32, modalities=("rgb",)))
    before = {layer.name: len(layer._inbound_nodes) for layer in model._flatten_layers()}
    assert count_macs(model, ClipSpec(size=32)) > 0
    assert {layer.name: len(layer._inbound_nodes) for layer in model._flatten_layers()} == before
    assert {weight._value for weight in model.weights} == {None}


class Scale(layers.Layer):
    """With a weight, or without and then with a product of its own."""

    def __init__(self, weights, **kwargs):
        super().__init__(**kwargs)
        self.has_weights = weights

    def build(self, shape):
        if self.has_weights:
            self.scale = self.add_weight(shape=shape[1:], name="scale")

    def call(self, x):
        return x * self.scale if self.has_weights else ops.einsum("bc,bd->bcd", x, x)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (Scale(weights=True, name="own"), r"'own', a .*test_macs.Scale"),
        (Scale(weights=False, name="own"), r"'own', a .*test_macs.Scale"),
        (layers.PReLU(name="prelu"), r"'prelu', a keras.*\.PReLU"),
        (layers.Lambda(lambda x: ops.matmul(x, ops.transpose(x)), name="any"), r"'any', .*Lambda"),
        (lambda x: ops.matmul(x, ops.ones((6, 2))), r"'matmul.*Matmul"),
        (lambda x: layers.Dot(1, name="dot")([x, x]), r"'dot', .*Dot"),
    ],
)
def test_what_is_not_known_is_refused(layer, named):
    x = keras.Input((6,))
    net = keras.Model(x, layer(layers.Dense(6)(x)))
    with pytest.raises(ValueError, match="must be one whose multiply-adds are known.*" + named):
        count_macs(net)


def test_an_unknown_layer_is_named_with_the_models_around_it():
    x = keras.Input((3, 6))
    inner = keras.Model(x, layers.PReLU(name="prelu")(x), name="inner")
    with pytest.raises(ValueError, match="Received: 'inner/prelu', a "):
        count_macs(keras.Model(x, inner(x)))
    with pytest.raises(ValueError, match=r"\['LayerNormLSTMCell', 'LSTMCell'\].*with a GRUCell"):
        of_layer(layers.GRU(4), (3, 6))
    with pytest.raises(ValueError, match="Received: 'time_distributed', a keras"):
        of_layer(layers.TimeDistributed(layers.Dense(2), name="time_distributed"), (3, 6))


def test_a_clip_that_does_not_fit_is_refused():
    model = keras.Model(x := keras.Input((None, 6, 6, 3), name="rgb"), layers.Dense(2)(x))
    with pytest.raises(ValueError, match=r"fit the model's input 'rgb', \(None, None, 6, 6, 3\)"):
        count_macs(model, dataclasses.replace(CLIP, size=8))
    with pytest.raises(ValueError, match=r"have the model's input 'rgb'.*\('flow',\)"):
        count_macs(model, dataclasses.replace(CLIP, modalities=("flow",)))
    with pytest.raises(ValueError, match="`depth` must be None or at least 1. Received: depth=0"):
        macs_by_layer(model, CLIP, depth=0)
    with pytest.raises(ValueError, match="functional or Sequential. Received: a Dense"):
        count_macs(layers.Dense(2))


def test_shapes_that_depend_on_values_are_refused():
    x = keras.Input((6,))
    model = keras.Model(x, ops.nonzero(x))
    with pytest.raises(ValueError, match="'nonzero.*' gives stay open"):
        count_macs(model)


GOLDEN = {
    # name: {modalities: {segments: MAC}} with 101 classes and the model's clip
    "multiseg_xception": {
        ("rgb",): {3: 3 * 4_551_037_920},
        ("flow",): {3: 3 * 4_611_361_536},
        ("rgb", "flow"): {3: 27_487_198_368},
    },
    "deep_fusion_tpn": {("rgb", "flow"): {1: 1_087_040_625_674}},
    "tstam": {
        ("rgb",): {6: 13_136_386_304, 25: 54_733_632_896},
        ("flow",): {6: 14_788_581_632, 25: 61_617_780_096},
        ("rgb", "flow"): {6: 27_924_967_936, 25: 116_351_412_992},
    },
    "vcm_sdd": {  # the similarity of STC is computed once a batch
        ("rgb", "flow"): {1: 96_130_078_208, 8: 769_040_098_816, 16: 1_538_080_122_368}
    },
    "hst": {("rgb", "flow"): {1: 164_216_548_352}},
    "conv3d_baselines": {("rgb",): {1: 38_547_378_176}},
}


def test_no_registered_model_is_missing_from_the_table():
    assert set(GOLDEN) == set(registry.MODELS)


@pytest.mark.parametrize(("name", "modalities"), [(n, m) for n, row in GOLDEN.items() for m in row])
def test_models_at_full_size(outline, name, modalities):
    module = registry.get(name)
    clip = dataclasses.replace(module.DEFAULT_CLIP, modalities=modalities)
    model = outline(module.build, 101, clip)
    for segments, macs in GOLDEN[name][modalities].items():
        assert count_macs(model, dataclasses.replace(clip, segments=segments)) == macs


@pytest.mark.parametrize("options", [{}, {"fold_segments": True}, {"consensus": "max"}])
def test_segments_of_xception(outline, options):
    """The specification's section 5, and 299 px; folding the segments changes nothing."""
    for size, segment in ((224, 4_551_037_920), (299, 8_355_562_344)):
        clip = ClipSpec(size=size, modalities=("rgb",))
        assert count_macs(outline(multiseg_xception.build, 101, clip, **options), clip) == (
            3 * segment
        )


def test_learnt_consensus_is_work(outline):
    clip = ClipSpec(size=71, modalities=("rgb",))
    model = outline(multiseg_xception.build, 101, clip, consensus="weighted")
    assert macs_by_layer(model, clip, depth=1)["rgb_consensus"] == 3 * 101


@pytest.mark.parametrize(
    ("macs", "channels", "options"),
    [
        (2_031_576_064, 3, {"se_blocks": ()}),
        (2_032_215_424, 3, {}),
        (2_307_581_312, 10, {}),
    ],
)
def test_bn_inception_of_one_image(outline, macs, channels, options):
    assert count_macs(outline(bn_inception, 224, channels, **options)) == macs
    rounded = {3: 2.0322 if not options else 2.0316, 10: 2.3076}[channels]
    assert round(macs / 1e9, 4) == rounded  # as the specification has it


@pytest.mark.parametrize(("modality", "stream"), [("rgb", 13.135), ("flow", 14.787)])
def test_tstam_s_parts(outline, modality, stream):
    """The specification counts convolutions and dense layers; the weighted sums of attention are
    J h w D + D a frame more, 0.009 % of the stream."""
    clip = tstam.DEFAULT_CLIP.only(modality)
    model = outline(tstam.build, 101, clip)
    parts = macs_by_layer(model, clip, depth=1)
    total = sum(parts.values())
    pools = parts.pop(f"{modality}_t_pool"), parts.pop(f"{modality}_s_pool")
    assert pools == (6 * 1024, 6 * 4 * 49 * 1024)
    assert round(sum(parts.values()) / 1e9, 3) == stream
    assert sum(parts.values()) == total - 1_210_368
    backbone, logits = parts.pop(f"{modality}_bn_inception"), parts.pop(f"{modality}_logits")
    assert backbone == 6 * {"rgb": 2_032_215_424, "flow": 2_307_581_312}[modality]
    assert logits == 4 * 1024 * 101
    head = 49 * 1024 * 1024 + 1024 * 256 + 4 * 49 * (1024 * 512 + 5 * 5 * 512)
    assert sum(parts.values()) == 6 * head
    assert (head, round(head / 1e9, 4)) == (156_911_616, 0.1569)
