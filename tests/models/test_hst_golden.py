"""Golden numbers of HST at full size: parameters beside the paper's, shapes, multiplications.

They are those of the specification, sections 2.2, 4.1 and 5; of the whole network:
    python -c "from vidrec.models import hst; hst.build(51).summary()"
Here the networks are built without their values.
"""

import numpy as np
import pytest

from tests.models.conftest import random_clips
from tests.models.parameters import deviation, trainable
from vidrec.models import hst
from vidrec.models.macs import macs_by_layer

PAPER = {"resnet21": 35.54, "vgg13": 24.1}  # millions, tables 2 and 4
CLASSES = {"resnet21": 51, "vgg13": 101}  # HMDB51 and UCF101


@pytest.fixture
def outline(outline):
    """Builds the network with variables that have shapes and no values."""

    def build(backbone="resnet21", **options):
        return outline(hst.build, CLASSES[backbone], backbone=backbone, **options)

    return build


@pytest.mark.parametrize(
    ("backbone", "learnt", "statistics", "tensors", "percent"),
    [
        ("resnet21", 35_537_042, 7_296, 362, -0.01),
        ("vgg13", 24_480_446, 4_992, 252, 1.58),
    ],
)
def test_parameters(outline, backbone, learnt, statistics, tensors, percent):
    model = outline(backbone)
    assert trainable(model) == learnt
    assert model.count_params() == learnt + statistics
    assert len(model.weights) == tensors
    assert deviation(model, PAPER[backbone]) == percent
    if backbone == "resnet21":
        assert round(learnt / 1e6, 2) == PAPER[backbone]


@pytest.mark.parametrize(
    ("options", "resnet21", "vgg13"),
    [  # (parameters, per cent of the paper's) of each column
        ({"norm": "none"}, (35_529_746, -0.03), (24_475_454, 1.56)),
        (
            {"norm": "none", "share_window_weights": True},
            (34_976_466, -1.59),
            (24_096_894, -0.01),
        ),
        (
            {"norm": "none", "shortcut": "projection"},
            (35_826_962, 0.81),
            (24_681_918, 2.41),
        ),
        (
            {"norm": "none", "shortcut": "projection", "share_window_weights": True},
            (35_273_682, -0.75),
            (24_303_358, 0.84),
        ),
        ({"norm": "none", "head_units": (1024, 1024)}, (36_579_346, 2.92), (25_525_054, 5.91)),
        ({"norm": "none", "layer_sizes": (4, 7, 7, 3)}, (39_228_820, 10.38), None),
        ({"norm": "none", "window_conv": "shared3d"}, (6_095_250, -82.85), (4_336_062, -82.01)),
        ({"norm": "none", "window_conv": "shared2d"}, (3_293_586, -90.73), (2_419_134, -89.96)),
        ({"literal": True}, (35_529_746, -0.03), (24_475_454, 1.56)),
        ({"attention_placement": "every_block"}, (36_280_658, 2.08), (24_927_230, 3.43)),
    ],
)
def test_parameters_of_variants(outline, options, resnet21, vgg13):
    for backbone, wanted in (("resnet21", resnet21), ("vgg13", vgg13)):
        if wanted:
            model = outline(backbone, **options)
            assert (trainable(model), deviation(model, PAPER[backbone])) == wanted


def test_parameters_of_every_part(outline):
    parts = {
        "omega": 12,
        "phi0": 1_792,
        "stage1_block1_conv1x1": 4_160,
        "stage1_block2_conv1x1": 8_256,
        "stage1_block1_phi": 36_928,
        "stage1_block1_mask": 577,
        "stage1_block1_hres": 33_280,
        "stage1_block1_conv3x3": 1_770_496,
        "stage1_block1_proj": 8_320,
        "temporal_cnn": 896,
        "spatial_attention": 32_896,
        "hybrid_attention": 164_352,
        "fc1": 132_096,
    }
    for backbone, logits in (("resnet21", 52_275), ("vgg13", 103_525)):
        model = outline(backbone)
        wanted = {**parts, "logits": logits}
        if backbone == "vgg13":
            del wanted["stage1_block1_proj"]
        assert {name: model.get_layer(name).count_params() for name in wanted} == wanted


def test_phi_of_1x1_in_the_first_unit_of_each_stage(outline):
    """As section 4 may be read: eight of nine weights less in four kernels."""
    less = 4 * 8 * 64 * 64
    assert trainable(outline("resnet21")) - less == 35_405_970
    assert trainable(outline("vgg13")) - less == 24_349_374


def test_shapes(outline):
    model = outline()
    assert {name: tuple(x.shape) for name, x in model.input.items()} == {
        "rgb": (None, 16, 224, 224, 3),
        "flow": (None, 16, 224, 224, 2),
    }
    shapes = {
        "omega": (16, 224, 224, 3),
        "phi0": (16, 112, 112, 64),
        "svn": (8, 112, 112, 64),
        "stage1_block4_act": (8, 112, 112, 128),
        "stage2_block6_act": (8, 56, 56, 128),
        "stage3_block6_act": (8, 28, 28, 128),
        "stage4_block3_act": (8, 14, 14, 128),
        "spatial_attention": (14, 14, 128),
        "temporal_feature": (14, 14, 128),
        "hybrid_attention": (14, 14, 128),
        "pool": (128,),
        "fc1": (1024,),
        "logits": (51,),
    }
    assert {name: model.get_layer(name).output.shape[1:] for name in shapes} == shapes
    assert model.get_layer("stage1_block1_conv3x3").kernel.shape == (8, 3, 3, 192, 128)
    units = [layer.name for layer in model.layers if layer.name.endswith("_hres")]
    assert [sum(name.startswith(f"stage{s}_") for name in units) for s in range(1, 5)] == [
        4,
        6,
        6,
        3,
    ]


@pytest.mark.parametrize(
    ("backbone", "total", "windows"),
    [
        ("resnet21", 164_216_497_152, 136_311_734_272),
        ("vgg13", 137_521_712_128, 114_732_040_192),
    ],
)
def test_multiplications_of_one_clip(outline, backbone, total, windows):
    found = macs_by_layer(outline(backbone))
    assert sum(found.values()) == total
    per_window = [n for name, n in found.items() if name.endswith(("_hres", "_conv3x3"))]
    assert sum(per_window) == windows
    outside = {name: n for name, n in found.items() if "_block" not in name}
    assert outside == {
        "omega": 16 * 224 * 224 * 9,
        "phi0": 16 * 112 * 112 * 27 * 64,
        "temporal_cnn": 16 * 14 * 14 * 6 * 128,
        "spatial_attention": 14 * 14 * 256 * 128,
        "hybrid_attention": 14 * 14 * 4 * 128 * 128,
        "fc1": 128 * 1024,
        "logits": 1024 * CLASSES[backbone],
    }


def test_a_matrix_product_of_maps_is_work(outline):
    assert macs_by_layer(outline(fuse="matmul"))["hybrid_attention"] == (
        14 * 14 * (4 * 128 + 14) * 128
    )


def test_no_layer_s_work_is_forgotten(outline):
    """Each layer with weights works, but those that normalise."""
    model = outline(attention_placement="every_block", share_window_weights=True)
    found = macs_by_layer(model)
    idle = {layer.name for layer in model.layers if layer.weights} - set(found)
    assert idle == {layer.name for layer in model.layers if layer.name.endswith("_bn")}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet21", "vgg13"])
def test_the_whole_network_runs(backbone):
    model = hst.build(101, backbone=backbone)
    clips = random_clips(hst.DEFAULT_CLIP, 1)
    logits = np.asarray(model(clips, training=False))
    assert logits.shape == (1, 101)
    assert np.isfinite(logits).all()
    assert logits.std() > 1e-4
