"""Each option of HST reaches the layers that it is of."""

import inspect

import keras
import pytest

from tests.models.small_hst import build
from vidrec.models import hst

BLOCKS = [f"stage{stage}_block1" for stage in range(1, 5)]
WITHOUT_BATCH_NORM = {f"{block}_{norm}" for block in BLOCKS for norm in ("a_bn", "y_bn")}


@pytest.mark.parametrize(
    ("options", "there", "absent"),
    [
        ({"backbone": "vgg13"}, set(), {"stage1_block1_add", "stage1_block1_proj"}),
        ({"backbone": "vgg13", "shortcut": "identity"}, {"stage2_block1_add"}, set()),
        ({"shortcut": "projection"}, {"stage1_block1_proj", "stage2_block1_proj"}, set()),
        ({"shortcut": "none"}, set(), {"stage1_block1_add", "stage1_block1_proj"}),
        ({"layer_sizes": [1, 2, 1, 1]}, {"stage2_block2_act"}, {"stage1_block2_act"}),
        ({"norm": "none"}, set(), WITHOUT_BATCH_NORM),
        ({"shuffle_groups": 0}, set(), {"stage1_block1_shuffle"}),
        ({"window_merge": "mean"}, set(), {"merge_sum"}),
        ({"head_units": ()}, {"logits"}, {"fc1"}),
        ({"head_units": (6, 7)}, {"fc1", "fc2", "fc2_act"}, {"fc3"}),
        (
            {"attention_placement": "every_block"},
            {"stage1_temporal_feature", *(f"{block}_hybrid_attention" for block in BLOCKS)},
            {"hybrid_attention", "temporal_feature"},
        ),
        ({"literal": True}, {"merge_sum"}, WITHOUT_BATCH_NORM),
    ],
)
def test_layers_that_options_add_and_take(options, there, absent):
    names = {layer.name for layer in build(**options).layers}
    assert there <= names
    assert not absent & names


REACHES = [  # option, value, the ends of the layers' names, their attribute and its value
    ("inner", 16, ("phi0", "_conv1x1", "_phi"), "filters", 16),
    ("outer", 32, ("_conv3x3", "_proj", "temporal_cnn"), "filters", 32),
    ("bn_momentum", 0.7, ("_bn",), "momentum", 0.7),
    ("share_window_weights", True, ("_hres",), "share", True),
    ("window_conv", "shared3d", ("_conv3x3",), "kernel_size", (3, 3, 3)),
    ("window_conv", "shared2d", ("_conv3x3",), "kernel_size", (1, 3, 3)),
    ("hierarchy", "output", ("_hres",), "hierarchy", "output"),
    ("shuffle_groups", 4, ("_shuffle",), "groups", 4),
    ("hard_mask", True, ("_hres",), "hard_mask", True),
    ("svn_norm", "frobenius", ("svn",), "norm", "frobenius"),
    ("svn_noise_std", 0.3, ("svn",), "noise_std", 0.3),
    ("window_merge", "sum", ("merge_sum",), "scale", 4.0),
    ("attention_axis", "positions", ("hybrid_attention",), "axis", "positions"),
    ("attention_gain", False, ("hybrid_attention",), "gain", False),
    ("order", "t_inside", ("hybrid_attention",), "order", "t_inside"),
    ("fuse", "matmul", ("hybrid_attention",), "fuse", "matmul"),
    ("share_fc", True, ("hybrid_attention",), "share_fc", True),
    ("head_units", (6, 7), ("fc2",), "units", 7),
    ("leaky_slope", 0.3, ("_act",), "negative_slope", 0.3),
    ("leaky_slope", 0.3, ("_hres",), "leaky_slope", 0.3),
]
IN_EVERY_BLOCK = {  # options of layers that each block has, or that it gets
    *("window_merge", "attention_axis", "attention_gain", "order", "fuse", "share_fc"),
    "leaky_slope",
}


def values(model, ends, attribute):
    """{attribute's value} of the layers whose names end so; there is one of each end."""
    layers = [layer for layer in model.layers if layer.name.endswith(ends)]
    assert {end for end in ends for layer in layers if layer.name.endswith(end)} == set(ends)
    return {getattr(layer, attribute) for layer in layers}


@pytest.mark.parametrize(("option", "value", "ends", "attribute", "wanted"), REACHES)
def test_an_option_reaches_its_layers(option, value, ends, attribute, wanted):
    options = {"shortcut": "projection", option: value}
    assert values(build(**options), ends, attribute) == {wanted}
    if option in IN_EVERY_BLOCK:
        model = build(**options, attention_placement="every_block")
        assert values(model, ends, attribute) == {wanted}


def test_every_option_is_looked_at():
    keywords = set(inspect.signature(hst.build).parameters) - {"num_classes", "clip", "weights"}
    assert keywords == {row[0] for row in REACHES} | {
        *("backbone", "layer_sizes", "norm", "shortcut", "attention_placement", "literal")
    }


def preset(model):
    names = {layer.name for layer in model.layers}
    hybrid = model.get_layer("hybrid_attention")
    facts = "stage1_block1_a_bn" in names, "merge_sum" in names
    return *facts, hybrid.axis, hybrid.gain, hybrid.order, hybrid.fuse


def test_literal_and_default():
    assert preset(build()) == (True, False, "channels", True, "softmax_then_t", "add")
    literal = (False, True, "positions", False, "softmax_then_t", "add")
    assert preset(build(literal=True)) == literal
    given = {"norm": "none", "window_merge": "sum", "attention_axis": "positions"}
    assert preset(build(literal=True, **given, attention_gain=False)) == literal
    assert preset(build(**given, attention_gain=False)) == literal


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("norm", "batch", "'none'"),
        ("window_merge", "mean", "'sum'"),
        ("attention_axis", "channels", "'positions'"),
        ("attention_gain", True, "False"),
    ],
)
def test_what_contradicts_literal_is_refused(option, value, wanted):
    message = f"`{option}` must be None or {wanted} with literal=True. Received: {option}={value!r}"
    with pytest.raises(ValueError, match=message):
        build(literal=True, **{option: value})


def test_normalisation_has_pytorch_s_constants():
    norms = [x for x in build().layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 8
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


def test_weight_decay_reaches_every_matrix_and_kernel():
    """It knows them by the ends of their names; the gates start near 1 and are left alone."""
    for options in ({}, {"window_conv": "shared3d", "share_fc": True}):
        weights = build(**options).trainable_weights
        others = {w.name for w in weights if not w.name.endswith("kernel")}
        assert others == {"bias", "beta", "gamma", "gate"}
        assert {w.name for w in weights} - others == {"kernel", "w1_kernel", "w2_kernel"}
