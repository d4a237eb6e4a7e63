"""What T-STAM's builder refuses, and what it says then (specification, section 6)."""

import pytest

from tests.models.conftest import random_clips
from tests.models.small_tstam import CLASSES, CLIP, build
from vidrec.clip import ClipSpec
from vidrec.models import tstam

REFUSED = [
    ({"num_classes": 0}, "`num_classes` must be an integer >= 1. Received: num_classes=0"),
    ({"num_spatial": 0}, "`num_spatial` must be an integer >= 1. Received: num_spatial=0"),
    ({"map_dim": 2.5}, "`map_dim` must be an integer >= 1. Received: map_dim=2.5"),
    ({"temporal_hidden": -1}, "`temporal_hidden` must be .*-1"),
    ({"temporal_mode": "max"}, r"`temporal_mode` must be one of .*'scalar'\).*='max'"),
    ({"temporal_mode": "channel"}, "Received: map_dim=1024, temporal_hidden=256"),
    ({"spatial_agg": "max"}, "`agg` must be one of .*Received: agg='max'"),
    ({"ref_frames": 0}, "ref_frames=0"),
    ({"se_blocks": ("3z",)}, r"`se_blocks` must be among .*\('3z',\)"),
    ({"se_ratio": 0}, "`se_ratio` must be from 1 to 256"),
    ({"bn_momentum": 1.0}, r"`bn_momentum` must be a number in \[0, 1\).*bn_momentum=1.0"),
    ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
    ({"weights": "imagenet"}, "preprocessing/convert_bn_inception.py.*weights='imagenet'"),
    ({"clip": ClipSpec(size=100)}, "`clip.size` must be a multiple of 32 px.*=100"),
    ({"clip": ClipSpec(size=64, frames_per_segment=2)}, "per segment.*frames_per_segment=2"),
    ({"fusion_on": "labels"}, "'labels'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tstam.build(**{"num_classes": CLASSES, "clip": ClipSpec(size=32), **options})


def test_clips_of_another_shape_are_refused():
    stream, clips = build(num_spatial=1, se_blocks=()), random_clips(CLIP)
    for wrong in (clips["flow"], clips["rgb"][:, :, :32], clips["rgb"][:, 0]):
        with pytest.raises(ValueError, match="rgb"):
            stream({"rgb": wrong})
