"""Golden parameter counts at full size, of every registered model.

Regenerate:
    python -c "from vidrec.models import registry as r; print(r.get('<name>').build(101).summary())"
The numbers are those of the specification, section 4.7.
"""

import dataclasses

import keras
import pytest

from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception, registry

GOLDEN = {
    # name: {modalities: (parameters, trainable, tensors)} with 101 classes and the model's clip
    "multiseg_xception": {
        ("rgb",): (21_068_429, 21_013_901, 236),
        ("flow",): (21_073_325, 21_018_797, 236),
        ("rgb", "flow"): (42_141_754, 42_032_698, 472),
    },
    "deep_fusion_tpn": {("rgb", "flow"): (216_005_251, 216_005_251, 98)},
    "tstam": {
        ("rgb",): (14_821_079, 14_796_943, 508),
        ("flow",): (14_843_031, 14_818_895, 508),
        ("rgb", "flow"): (29_664_110, 29_615_838, 1016),
    },
    "vcm_sdd": {("rgb", "flow"): (85_647_114, 85_436_426, 1048)},
    "hst": {("rgb", "flow"): (35_595_588, 35_588_292, 362)},
    "conv3d_baselines": {("rgb",): (78_409_573, 78_409_573, 22)},
}


def counts(model):
    trainable = sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)
    return model.count_params(), trainable, len(model.weights)


def test_no_registered_model_is_missing_from_the_table():
    assert set(GOLDEN) == set(registry.MODELS)


@pytest.mark.parametrize(("name", "modalities"), [(n, m) for n, row in GOLDEN.items() for m in row])
def test_parameters_at_full_size(name, modalities):
    clip = dataclasses.replace(registry.get(name).DEFAULT_CLIP, modalities=modalities)
    with keras.StatelessScope(initialize_variables=False):  # shapes alone: no memory is taken
        model = registry.get(name).build(101, clip)
        assert counts(model) == GOLDEN[name][modalities]
        assert model.output_shape == (None, 101)
    keras.backend.clear_session()  # or the end of the next scope would allocate them


def test_the_base_alone_and_its_feature_map():
    net = multiseg_xception.build(101, ClipSpec(modalities=("rgb",))).get_layer("rgb_segment_net")
    base = net.get_layer("rgb_xception")
    assert counts(base)[:2] == (20_861_480, 20_806_952)
    assert (len(base.layers), sum(bool(layer.weights) for layer in base.layers)) == (132, 80)
    assert base.output_shape == (None, 7, 7, 2048)
    flow = multiseg_xception.build(101, ClipSpec(modalities=("flow",), size=71))
    base = flow.get_layer("flow_segment_net").get_layer("flow_xception")
    assert base.count_params() == 20_866_376
    assert base.output_shape == (None, 3, 3, 2048)


def test_kinetics_head():
    assert (
        multiseg_xception.build(400, ClipSpec(modalities=("rgb",), size=71)).count_params()
        == 21_681_080
    )


def test_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"\['conv3d_baselines', 'deep_fusion_tpn', .*'vcm_sdd'\].*'resnet'"
    ):
        registry.get("resnet")
