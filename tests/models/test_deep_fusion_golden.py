"""Golden numbers of the deep fusion network at full size: parameters, shapes, multiplications.

They are those of the specification, sections 1.7, 3 and 5; of the whole network:
    python -c "from vidrec.models import registry as r;
               r.get('deep_fusion_tpn').build(101).summary(expand_nested=True)"
Here the networks are built without their values: 216 million take 8 s and 2 GB.
"""

import math

import numpy as np
import pytest

from tests.models.conftest import random_clips
from vidrec.clip import ClipSpec
from vidrec.models import deep_fusion_tpn
from vidrec.models.macs import count_macs, macs_by_layer


@pytest.fixture
def outline(outline):
    """Builds the network with variables that have shapes and no values."""

    def build(num_classes=101, clip=deep_fusion_tpn.DEFAULT_CLIP, **options):
        return outline(deep_fusion_tpn.build, num_classes, clip, **options)

    return build


def part(model, name):
    """A layer, or one of a sub-model by "<sub-model>/<layer>"."""
    for step in name.split("/"):
        model = model.get_layer(step)
    return model


def test_parameters_of_the_whole_and_of_every_part(outline):
    model = outline()
    assert model.count_params() == 216_005_251
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == 216_005_251
    parts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert parts == {
        "spatial_vgg16": 14_714_688,
        "temporal_vgg9": 5_278_336,
        "temporal_mst3d": 12_061_696 + 7_865_344 + 12_061_696 + 7_865_344,
        "fusion_conv3d": 14_156_288,
        "bi_ln_lstm": 141_981_356,
        "logits": 20_503,
    }
    blocks = {}
    for layer in model.get_layer("temporal_mst3d").layers:
        for block in ("block4_mst", "block5_conv3d_1", "block5_mst", "block5_conv3d_2"):
            if layer.name.startswith(f"{block}_"):
                blocks[block] = blocks.get(block, 0) + layer.count_params()
    assert list(blocks.values()) == [12_061_696, 7_865_344, 12_061_696, 7_865_344]
    assert sorted(blocks) == sorted(
        ["block4_mst", "block5_conv3d_1", "block5_mst", "block5_conv3d_2"]
    )


def test_shapes(outline):
    model = outline()
    assert {name: tuple(x.shape) for name, x in model.input.items()} == {
        "rgb": (None, 24, 224, 224, 3),
        "flow": (None, 24, 224, 224, 8),
    }
    shapes = {
        "rgb_unfold": (24, 14, 14, 512),
        "flow_unfold": (24, 28, 28, 512),
        "temporal_mst3d/block4_mst": (24, 28, 28, 1536),
        "temporal_mst3d/block4_pool": (24, 14, 14, 1536),
        "temporal_mst3d/block5_conv3d_1_temporal": (24, 14, 14, 512),
        "temporal_mst3d/block5_mst": (24, 14, 14, 1536),
        "temporal_mst3d/block5_conv3d_2_temporal": (24, 14, 14, 512),
        "fusion_concat": (24, 14, 14, 1024),
        "fusion_conv3d": (24, 14, 14, 512),
        "fusion_pool": (24, 7, 7, 512),
        "tpn_level1": (3, 7, 7, 512),
        "tpn_level2": (6, 7, 7, 512),
        "tpn_level4": (12, 7, 7, 512),
        "tpn_concat": (3, 7, 7, 7, 512),
        "tpn_flatten": (3, 175_616),
        "bi_ln_lstm": (3, 202),
        "time_mean": (202,),
        "logits": (101,),
    }
    assert {name: tuple(part(model, name).output.shape[1:]) for name in shapes} == shapes
    assert part(model, "fusion_conv3d").kernel.shape == (3, 3, 3, 1024, 512)


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        (215_986_981, {"num_classes": 11}),
        (215_986_778, {"num_classes": 10}),
        (220_199_555, {"mst_spatial": (3, 3, 5)}),
        (228_588_163, {"mst_spatial": (3, 5, 5)}),
        (241_171_075, {"mst_spatial": (3, 5, 7)}),
        (211_810_947, {"mst_spatial": (3, 3, 3)}),
        (94_378_627, {"tpn_mode": "global"}),
        (242_742_915, {"factorize_3dcnn": False}),
        (216_005_251, {"pool4": "before_mst", "fusion_pool": "before"}),
        (216_005_251 + 2 * 202, {"normalize_candidate": True}),
        (216_005_251 + 2 * 202, {"normalize_cell": True}),
        (216_005_251 - 2 * 606, {"layer_norm": False}),
        (216_005_251 - 101 * 101, {"merge_mode": "sum"}),
    ],
)
def test_parameters_of_variants(outline, parameters, options):
    assert outline(**options).count_params() == parameters


def test_parameters_of_one_direction(outline):
    def of_one(**options):
        return outline(**options).get_layer("bi_ln_lstm").forward_layer.count_params()

    assert of_one() == 70_990_678
    assert of_one(layer_norm=False) == 70_990_072
    assert of_one(normalize_candidate=True, normalize_cell=True) == 70_990_678 + 404
    assert 2 * of_one(tpn_mode="global") == 20_354_732


def test_at_64_px(outline):
    clip = ClipSpec(
        segments=1, frames_per_segment=24, size=64, flow_length=4, flow_position="centre"
    )
    model = outline(clip=clip)
    assert model.count_params() == 85_691_011
    assert model.get_layer("tpn_flatten").output.shape == (None, 3, 14_336)


def test_multiplications_of_one_clip(outline):
    found = macs_by_layer(outline(), deep_fusion_tpn.DEFAULT_CLIP, depth=1)
    assert found == {
        "spatial_vgg16": 368_319_135_744,
        "temporal_vgg9": 294_100_402_176,
        "temporal_mst3d": 357_606_359_040,
        "fusion_conv3d": 66_588_770_304,
        "bi_ln_lstm": 425_938_008,
        "logits": 20_402,
    }
    assert sum(found.values()) == 1_087_040_625_674


@pytest.mark.parametrize(
    ("total", "options"),
    [
        (1_212_819_414_026, {"factorize_3dcnn": False}),
        (1_086_757_156_650, {"tpn_mode": "global"}),
        (1_235_015_670_794, {"mst_spatial": (3, 5, 5)}),
        (1_037_715_610_634, {"mst_spatial": (3, 3, 3)}),
    ],
)
def test_multiplications_of_variants(outline, total, options):
    assert count_macs(outline(**options)) == total


def test_pool4_before_the_first_mst_quarters_its_work(outline):
    def first(**options):
        found = macs_by_layer(outline(**options).get_layer("temporal_mst3d"))
        return sum(macs for name, macs in found.items() if name.startswith("block4_mst"))

    assert first() == 226_895_069_184
    assert first(pool4="before_mst") == 226_895_069_184 / 4


@pytest.mark.slow
def test_the_whole_network_runs():
    """864 MB of weights and 10 s a clip on two cores."""
    model = deep_fusion_tpn.build(101)
    assert (model.count_params(), len(model.weights)) == (216_005_251, 98)
    clips = random_clips(deep_fusion_tpn.DEFAULT_CLIP, 1)
    logits = np.asarray(model(clips, training=False))
    assert logits.shape == (1, 101)
    assert np.isfinite(logits).all()
    assert logits.std() > 0.01
