"""What HST does not take: clips and options, section 6 of the specification."""

import dataclasses

import pytest

from tests.models.small_hst import CLIP, build
from vidrec.models import hst


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": ("rgb",)}, r"both modalities.*Received: clip.modalities=\('rgb',\)"),
        ({"modalities": ("flow",)}, r"both modalities.*Received: clip.modalities=\('flow',\)"),
        ({"frames_per_segment": 15}, "multiple of 4 frames.*Received: 15 frames"),
        ({"frames_per_segment": 2}, "multiple of 4 frames.*Received: 2 frames"),
        ({"frames_per_segment": 18}, "two halves. Received: 18 frames"),
        ({"size": 80}, "multiple of 32. Received: clip.size=80"),
        ({"size": 16}, "multiple of 32. Received: clip.size=16"),
    ],
)
def test_clips_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        build(dataclasses.replace(CLIP, **changes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backbone": "resnet50"},
            r"`backbone` must be one of \('resnet21', 'vgg13'\).*'resnet50'",
        ),
        ({"layer_sizes": (4, 6, 6)}, r"four stages. Received: layer_sizes=\(4, 6, 6\)"),
        ({"layer_sizes": (4, 6, 0, 3)}, r"integers >= 1. Received: layer_sizes=\(4, 6, 0, 3\)"),
        (
            {"layer_sizes": 4},
            "`layer_sizes` must be a list of integers >= 1. Received: layer_sizes=4",
        ),
        (
            {"layer_sizes": (4, 6.0, 6, 3)},
            r"`layer_sizes` must be a list of integers.*\(4, 6.0, 6, 3\)",
        ),
        ({"inner": 10}, "multiples of 4. Received: inner=10, outer=16"),
        ({"outer": 0}, "`outer` must be an integer >= 1. Received: outer=0"),
        ({"inner": 8.0}, "`inner` must be an integer >= 1. Received: inner=8.0"),
        ({"inner": 12}, "divides `inner`. Received: shuffle_groups=8, inner=12"),
        ({"shuffle_groups": -1}, "shuffle_groups=-1"),
        ({"shuffle_groups": 2.0}, "0 or an integer.*Received: shuffle_groups=2.0"),
        ({"hard_mask": "no"}, "`hard_mask` must be True or False. Received: hard_mask='no'"),
        ({"share_window_weights": 1}, "`share_window_weights` must be True or False.*=1"),
        ({"share_fc": "yes"}, "`share_fc` must be True or False"),
        ({"attention_gain": 128}, "`attention_gain` must be True or False"),
        ({"literal": "false"}, "`literal` must be True or False. Received: literal='false'"),
        ({"norm": "layer"}, r"`norm` must be one of \('batch', 'none'\).*norm='layer'"),
        ({"shortcut": True}, "`shortcut` must be one of .*shortcut=True"),
        ({"shortcut": None}, r"`shortcut` must be one of \('backbone', .*shortcut=None"),
        ({"window_conv": "grouped"}, "`window_conv` must be one of .*window_conv='grouped'"),
        ({"hierarchy": "both"}, r"`hierarchy` must be one of \('input', 'output'\)"),
        ({"svn_norm": "l2"}, r"`svn_norm` must be one of \('mean', 'frobenius'\).*'l2'"),
        ({"svn_noise_std": -1.0}, "`svn_noise_std` must be a finite number >= 0.*=-1.0"),
        ({"window_merge": "max"}, "`window_merge` must be one of .*window_merge='max'"),
        ({"attention_placement": "twice"}, "`attention_placement` must be one of .*'twice'"),
        ({"attention_axis": 1}, "`attention_axis` must be one of .*attention_axis=1"),
        ({"order": "t_first"}, "`order` must be one of .*order='t_first'"),
        ({"fuse": "sum"}, r"`fuse` must be one of \('add', 'matmul'\)"),
        ({"head_units": (0,)}, r"`head_units` must be a list of integers >= 1.*head_units=\(0,\)"),
        ({"head_units": 64}, "`head_units` must be a list of integers >= 1.*head_units=64"),
        ({"leaky_slope": -0.1}, "`leaky_slope` must be a finite number >= 0"),
        ({"leaky_slope": "0.1"}, "`leaky_slope` must be a finite number >= 0.*leaky_slope='0.1'"),
        ({"bn_momentum": 1.0}, r"`bn_momentum` must be a number in \[0, 1\).*bn_momentum=1.0"),
        ({"bn_momentum": 0.9, "norm": "none"}, "`bn_momentum` must be None for a network without"),
        ({"weights": "imagenet"}, "no public weights: `weights` must be None.*weights='imagenet'"),
        ({"weights": "mine.weights.h5"}, "streams.joint.init.run.*weights='mine.weights.h5'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_options_and_too_few_classes():
    with pytest.raises(TypeError, match="unexpected keyword argument 'frames'"):
        build(frames=16)
    with pytest.raises(ValueError, match="`num_classes` must be an integer >= 1.*num_classes=0"):
        hst.build(0, CLIP)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_what_nothing_normalises_outgrows_float16(policy):
    for options in ({"norm": "none"}, {"literal": True}):
        with pytest.raises(ValueError, match="bfloat16 or float32.*Received: 'mixed_float16'"):
            build(**options)
