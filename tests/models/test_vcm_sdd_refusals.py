"""What VCM-SDD's builder and model refuse, and what they say then (specification, section 6)."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import random_clips
from tests.models.small_vcm_sdd import CLASSES, CLIP, build
from vidrec.clip import ClipSpec
from vidrec.models import vcm_sdd
from vidrec.models.layers.clip_segments import CutSegments

REFUSED = [
    ({"num_classes": 0}, "`num_classes` must be an integer >= 1. Received: num_classes=0"),
    ({"num_classes": 2.5}, "`num_classes` must be an integer >= 1. Received: num_classes=2.5"),
    ({"num_heads": 0}, "`num_heads` must be an integer >= 1. Received: num_heads=0"),
    ({"num_heads": 6}, "`num_heads` must divide the 2048 features. Received: num_heads=6"),
    ({"num_heads": 8, "width": 1 / 512}, "must divide the 4 features. Received: num_heads=8"),
    ({"radius": 0}, "`radius` must be an integer >= 1. Received: radius=0"),
    ({"geom_eps": 0.0}, "`geom_eps` must be a finite number > 0. Received: geom_eps=0.0"),
    ({"neighbourhood": "l1"}, r"`neighbourhood` must be one of \('chebyshev', .*='l1'"),
    ({"self_loops": False, "clip": "one cell"}, r"more than one cell. .*\(1, 1, 1\)"),
    ({"attn_scale": "dim"}, r"`attn_scale` must be one of \('fro', 'sqrt_dim'\).*='dim'"),
    ({"literal_eq12": True, "mff_projections": True}, "literal_eq12=True uses one score matrix"),
    ({"fuse": "max"}, r"`fuse` must be one of \('logits', 'probs'\). Received: fuse='max'"),
    ({"flow_init": "rgb"}, r"`flow_init` must be one of \('mean_rgb', 'random'\).*='rgb'"),
    ({"blocks": (1, 1)}, r"`blocks` must be four integers >= 1. Received: blocks=\(1, 1\)"),
    ({"blocks": 3}, "`blocks` must be four integers >= 1. Received: blocks=3"),
    ({"width": -1, "num_heads": 4}, "`width` must be a finite number > 0. Received: width=-1"),
    ({"width": float("nan")}, "`width` must be a finite number > 0. Received: width=nan"),
    ({"bn_momentum": 1.0}, r"`bn_momentum` must be a number in \[0, 1\).*bn_momentum=1.0"),
    ({"weights": "imagenet"}, "preprocessing/convert_resnet101.py.*weights='imagenet'"),
    (
        {"weights": "resnet101.npz", "stride_in_3x3": False},
        "stride_in_3x3=False must be None, 'imagenet' or .*weights='resnet101.npz'",
    ),
    ({"clip": ClipSpec(size=31, frames_per_segment=6)}, "`clip.size` must be at least 32 px.*=31"),
    ({"clip": CLIP.only("rgb")}, r"takes both modalities.*clip.modalities=\('rgb',\)"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_options_out_of_range_are_refused(options, message):
    options = {"num_classes": CLASSES, "clip": CLIP, "blocks": (1, 1, 1, 1), **options}
    if options["clip"] == "one cell":
        options["clip"] = ClipSpec(size=32, frames_per_segment=1)
    with pytest.raises(ValueError, match=message):
        vcm_sdd.build(**options)


OF_STC = {
    "geom_eps": 0.1,
    "radius": 1,
    "neighbourhood": "manhattan",
    "self_loops": False,
    "stc_residual": True,
    "share_geometry": True,
}
OF_MFF = {
    "num_heads": 4,
    "attn_scale": "sqrt_dim",
    "mff_residual": True,
    "mff_projections": True,
    "literal_eq12": True,
}
WITHOUT_USE = [("stc", *option) for option in OF_STC.items()]
WITHOUT_USE += [("mff", *option) for option in OF_MFF.items()]


@pytest.mark.parametrize(("part", "name", "value"), WITHOUT_USE)
def test_options_of_a_part_that_is_off_are_refused(part, name, value):
    message = f"`{name}` is of no use with {part}=False and must be .*Received: {name}={value!r}"
    with pytest.raises(ValueError, match=message):
        build(**{part: False, name: value})


def test_what_is_not_used_is_not_checked():
    build(mff=False, width=1 / 512)  # 4 features, which 8 heads do not divide


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def clips():
    """Two videos of two segments each."""
    return random_clips(dataclasses.replace(CLIP, segments=2))


def part(clips, rgb, flow):
    """Parts of the clips: (videos, frames) of each modality."""
    cut = {"rgb": rgb, "flow": flow}
    return {name: clips[name][:videos, :frames] for name, (videos, frames) in cut.items()}


WRONG = {
    "8 frames": ((2, 8), (2, 8), "`rgb` must have whole segments of 6 frames. Received: 8 frames"),
    "7 of flow": ((2, 6), (2, 7), "`flow` must have whole segments of 6 frames. Received: 7 fr"),
    "no frames": ((2, 0), (2, 0), "`rgb` must have whole segments of 6 frames. Received: 0 frames"),
    "1 rgb": ((1, 6), (2, 6), "must hold the same videos. Received: 1 and 2 of them"),
    "1 flow": ((2, 12), (1, 12), "must hold the same videos. Received: 2 and 1 of them"),
    "more flow": ((2, 6), (2, 12), "must hold the same frames. Received: 6 and 12 of them"),
    "as many in all": ((1, 12), (2, 6), "must hold the same videos. Received: 1 and 2 of them"),
}


@pytest.mark.parametrize("name", WRONG)
def test_clips_that_do_not_go_together_are_refused(model, clips, name):
    rgb, flow, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        model(part(clips, rgb, flow), training=False)


@pytest.fixture(scope="module", params=[True, False], ids=["mff", "no mff"])
def graph(request):
    """The model as a function that knows nothing of lengths, as a SavedModel is."""
    model = build(mff=request.param)
    signature = {k: tf.TensorSpec(x.shape, tf.uint8, k) for k, x in model.input.items()}
    return tf.function(lambda clip: model(clip, training=False), input_signature=[signature])


@pytest.mark.parametrize("name", WRONG)
def test_they_are_refused_where_a_graph_runs(graph, clips, name):
    """By the backend; which operation it was, says what must hold."""
    rgb, flow, _ = WRONG[name]
    said = {
        "8 frames": "must_be_segments_of_6|of_as_many_videos_in_segments_of_6",
        "7 of flow": "flow_must_be_of_as_many_videos_in_segments_of_6",
        "1 rgb": "flow_must_be_of_as_many_videos_in_segments_of_6",
        "1 flow": "flow_must_be_of_as_many_videos_in_segments_of_6",
        "more flow": "flow_must_be_of_as_many_segments|Shapes of all inputs must match",
        "as many in all": "flow_must_be_of_as_many_videos|Shapes of all inputs must match",
        "no frames": "Incompatible shapes",
    }
    clip = {k: tf.constant(x) for k, x in part(clips, rgb, flow).items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=said[name]):
        graph(clip)


def test_three_videos_of_eight_frames_are_not_four_of_six(graph):
    clip = random_clips(dataclasses.replace(CLIP, frames_per_segment=8), videos=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="segments_of_6"):
        graph({k: tf.constant(x) for k, x in clip.items()})


def test_clips_of_another_shape_are_refused(model, clips):
    for name, wrong in {
        "rgb": clips["rgb"][:, :, :32],
        "flow": clips["flow"][..., :3],
    }.items():
        with pytest.raises(ValueError, match=name):
            model({**clips, name: wrong})
    with pytest.raises(ValueError, match="rgb"):
        model({**clips, "rgb": clips["rgb"][:, 0]})


def test_segments_are_cut_in_order():
    rgb = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 4, 3), dtype=np.uint8)
    flow = np.random.default_rng(1).integers(0, 256, (2, 6, 4, 4, 2), dtype=np.uint8)
    for found, clip in zip(CutSegments(3)(rgb, flow), (rgb, flow), strict=True):
        assert found.shape == (2, 2, 3, 4, 4, clip.shape[-1])
        np.testing.assert_array_equal(found[1, 1], clip[1, 3:])
    with pytest.raises(ValueError, match="`frames` must be at least 1. Received: frames=0"):
        CutSegments(0)
    assert CutSegments(3).get_config()["frames"] == 3
    shapes = CutSegments(3).compute_output_shape((None, None, 4, 4, 3), (2, 6, 4, 4, 2))
    assert shapes == ((None, None, 3, 4, 4, 3), (2, 2, 3, 4, 4, 2))
