"""Golden numbers of VCM-SDD at full size: those of the specification, sections 2, 4.4 and 5.

Regenerate:
    python -c "from vidrec.models import registry as r; r.get('vcm_sdd').build(400).summary()"
    python experiments/benchmarks/models.py
Here the networks are built without their values.
"""

import dataclasses
import math

import pytest

from vidrec.clip import ClipSpec
from vidrec.models import vcm_sdd
from vidrec.models.macs import count_macs, macs_by_layer

CLIP = vcm_sdd.DEFAULT_CLIP


@pytest.fixture
def outline(outline):
    """Builds the network with variables that have shapes and no values."""

    def build(num_classes=400, clip=CLIP, **options):
        return outline(vcm_sdd.build, num_classes, clip, **options)

    return build


def counts(model):
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return trainable, model.count_params() - trainable


# Trainable parameters with 400 and 600 classes, section 5.
VARIANTS = {
    "full": ({}, 86_661_728, 87_481_328),
    "no STC": ({"stc": False}, 86_661_472, 87_481_072),
    "no MFF": ({"mff": False}, 86_661_728, 87_481_328),
    "neither": ({"stc": False, "mff": False}, 86_661_472, 87_481_072),
    "shared head": ({"shared_head": True}, 85_842_128, 86_251_928),
    "2 flow channels": ({"flow_length": 1}, 86_636_640, 87_456_240),
    "shared geometry": ({"share_geometry": True}, 86_661_600, 87_481_200),
    "projections": (
        {"mff_projections": True},
        86_661_728 + 8 * 2048**2,
        87_481_328 + 8 * 2048**2,
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters(outline, name):
    options, *wanted = VARIANTS[name]
    options = dict(options)
    clip = dataclasses.replace(CLIP, flow_length=options.pop("flow_length", 5))
    model = outline(400, clip, **options)
    trainable, other = counts(model)
    heads = 1 if "shared_head" in options else 2
    assert [trainable, trainable + heads * 200 * 2049] == wanted
    assert other == 210_688
    assert model.output_shape == (None, 400)


class Coloured(ClipSpec):
    """Flow as a coloured image, which no clip of ours has."""

    def channels(self, modality):
        return 3


@pytest.mark.parametrize(("classes", "trainable"), [(400, 86_639_776), (600, 87_459_376)])
def test_flow_of_three_channels(outline, classes, trainable):
    """Row V21."""
    model = outline(classes, Coloured(**dataclasses.asdict(CLIP)))
    assert counts(model) == (trainable, 210_688)


def test_the_clip_of_the_paper():
    assert dataclasses.asdict(CLIP) == {  # rows V21, V25
        "segments": 1,
        "frames_per_segment": 6,
        "size": 224,
        "modalities": ("rgb", "flow"),
        "flow_length": 5,
        "flow_position": "centre",
        "flow_step": 1,
    }


def test_parameters_of_kinetics_600_and_of_every_part(outline):
    model = outline(600)
    assert counts(model) == (87_481_328, 210_688)
    parts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert parts == {
        "rgb_backbone": 42_500_160 + 105_344,
        "flow_backbone": 42_522_112 + 105_344,
        "rgb_stc": 128,
        "flow_stc": 128,
        "rgb_head": 2049 * 600,
        "flow_head": 2049 * 600,
    }


def test_the_other_variant_has_biases(outline):
    assert counts(outline(stride_in_3x3=False)) == (86_661_728 + 2 * 52_672, 210_688)


def test_shapes_and_names(outline):
    model = outline()
    assert {name: (tuple(x.shape), x.dtype) for name, x in model.input.items()} == {
        "rgb": ((None, None, 224, 224, 3), "uint8"),
        "flow": ((None, None, 224, 224, 10), "uint8"),
    }
    for modality in ("rgb", "flow"):
        maps = model.get_layer(f"{modality}_features").output
        mixed, shares = model.get_layer(f"{modality}_stc").output
        assert maps.shape == mixed.shape == (None, 6, 7, 7, 2048)
        assert shares.shape == (294, 294)
        assert model.get_layer(f"{modality}_avg").output.shape == (None, 2048)
        assert model.get_layer(f"{modality}_head").output.shape == (None, 400)
    shapes = [x.shape for x in model.get_layer("mff").output]
    assert shapes == [(None, 6, 7, 7, 2048)] * 2 + [(None, 8, 294, 294)] * 2
    assert model.get_layer("scores").output.shape == (2, None, None, 400)
    assert len(model.weights) == 2 * (104 * 5 + 2 + 2)


def test_multiply_adds_of_a_segment(outline):
    parts = macs_by_layer(outline(), CLIP, depth=1)
    assert {name: round(n / 1e9, 3) for name, n in parts.items()} == {
        "rgb_backbone": 46.796,
        "flow_backbone": 48.448,
        "rgb_stc": 0.177,
        "flow_stc": 0.177,
        "mff": 0.531,
        "rgb_head": 0.001,
        "flow_head": 0.001,
    }
    assert sum(parts.values()) == 96_131_302_912
    stc = 294 * 294 * 2048
    assert parts["rgb_stc"] - stc == 294 * 128
    assert round(2 * stc / 1e9, 3) == 0.354
    assert round(2 * 20_184 * 2048 / 1e9, 3) == 0.083  # were only neighbours multiplied


def test_multiply_adds_of_projections(outline):
    """Two score matrices, two weighted sums, and eight products of 2,048 by 2,048."""
    found = macs_by_layer(outline(mff_projections=True), CLIP, depth=1)["mff"]
    assert found == 10_573_086_720 == 294 * 2048 * (4 * 294 + 8 * 2048)


@pytest.mark.parametrize(("segments", "gmac"), [(1, 96.13), (8, 769), (16, 1538)])
def test_multiply_adds_of_a_test(outline, segments, gmac):
    model = outline(101)
    found = count_macs(model, dataclasses.replace(CLIP, segments=segments)) / 1e9
    assert round(found, 2 if segments == 1 else 0) == gmac


def test_what_the_paper_s_gflops_count(outline):
    """RGB's backbone alone, of one segment, in torchvision's variant (row V30)."""
    image = count_macs(outline().get_layer("rgb_backbone"))
    assert round(6 * image / 1e9, 1) == 46.8
    other = count_macs(outline(stride_in_3x3=False).get_layer("rgb_backbone"))
    assert round(6 * other / 1e9, 2) == 45.41
