"""VCM-SDD small enough to compute: 64 px, so 2 x 2 cells of 256 features, four blocks in all."""

import numpy as np

from tests.models.conftest import adapt
from vidrec.clip import ClipSpec
from vidrec.models import vcm_sdd

CLASSES, FRAMES, NODES = 5, 6, 24
CLIP = ClipSpec(
    segments=1, frames_per_segment=FRAMES, size=64, flow_length=2, flow_position="centre"
)


def build(clip=CLIP, **options):
    return vcm_sdd.build(CLASSES, clip, **{"blocks": (1, 1, 1, 1), "width": 1 / 8, **options})


def liven(model, clips):
    """Statistics of these clips, and attention by place that is not even."""
    adapt(model, clips)
    for layer in model.layers:
        if layer.name.endswith("stc"):
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])


def segments(clips, chosen):
    """Some of the segments of clips (B, K * 6, ...), in that order."""
    frames = [FRAMES * k + t for k in chosen for t in range(FRAMES)]
    return {name: clip[:, frames] for name, clip in clips.items()}
