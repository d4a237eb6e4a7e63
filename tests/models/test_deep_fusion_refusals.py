"""What the deep fusion network does not take: clips and options, section 6 of the specification."""

import dataclasses

import pytest

from tests.models.small_deep_fusion import CLIP, build
from vidrec.clip import ClipSpec
from vidrec.models import deep_fusion_tpn


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": ("rgb",)}, r"both modalities.*Received: clip.modalities=\('rgb',\)"),
        ({"flow_length": 5}, "even length. Received: clip.flow_length=5, .*'centre'"),
        ({"flow_position": "start"}, "frame in the centre.*clip.flow_position='start'"),
        ({"size": 80}, "multiple of 32 px. Received: clip.size=80"),
        ({"frames_per_segment": 25}, "whole windows.*frames_per_segment=25, tpn_window=8"),
        ({"frames_per_segment": 4}, "whole windows.*frames_per_segment=4, tpn_window=8"),
        (
            {"segments": 4, "frames_per_segment": 6},
            "whole segments.*clip.segments=4, clip.frames_per_segment=6, tpn_window=8",
        ),
    ],
)
def test_clips_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        build(dataclasses.replace(CLIP, **changes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tpn_window": 9}, "whole windows.*tpn_window=9"),
        ({"tpn_window": 0}, "tpn_window=0"),
        ({"tpn_levels": (1, 2, 3)}, r"divide `tpn_window`. Received: tpn_levels=\(1, 2, 3\)"),
        ({"tpn_mode": "all"}, r"`tpn_mode` must be one of \('window', 'global'\).*'all'"),
        ({"factor_activation": "tanh"}, r"one of \(None, 'relu'\).*factor_activation='tanh'"),
        ({"pool4": "none"}, "`pool4` must be one of .*pool4='none'"),
        ({"fusion_pool": True}, "`fusion_pool` must be one of .*fusion_pool=True"),
        ({"fusion_init": "he"}, "`fusion_init` must be one of .*fusion_init='he'"),
        ({"merge_mode": "mul"}, "`merge_mode` must be one of .*merge_mode='mul'"),
        ({"time_aggregation": "max"}, "`time_aggregation` must be one of .*'max'"),
        ({"mst_spatial": (1, 3)}, r"as many numbers.*mst_spatial=\(1, 3\), .*\(3, 3, 5\)"),
        ({"tpn_dropout": 1.0}, r"in \[0, 1\).*tpn_dropout=1.0, lstm_dropout=0.25"),
        ({"lstm_dropout": -0.1}, "lstm_dropout=-0.1"),
        ({"lstm_units": 0}, "`units` must be at least 1.*units=0"),
        ({"epsilon": 0.0}, "`epsilon` > 0.*epsilon=0.0"),
        ({"layer_norm": False, "normalize_cell": True}, "go with layer_norm=True"),
        ({"width": 0.0}, "`width` must be a finite number > 0. Received: width=0.0"),
        ({"weights": "imagenet"}, "`weights` go with width=1. Received: width=0.0625"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_options_and_too_few_classes():
    with pytest.raises(TypeError, match="unexpected keyword argument 'levels'"):
        build(levels=(1, 2))
    with pytest.raises(ValueError, match="`num_classes` must be at least 1.*num_classes=0"):
        deep_fusion_tpn.build(0, CLIP)


def test_weights_that_are_not_there():
    with pytest.raises(FileNotFoundError, match="path of a weight file that is there.*'vgg.h5'"):
        deep_fusion_tpn.build(3, ClipSpec(**dataclasses.asdict(CLIP)), weights="vgg.h5")
