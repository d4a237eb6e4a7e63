"""T-STAM small enough to compute: 64 px, so 2 x 2 cells, three frames, five classes."""

import numpy as np

from tests.models.conftest import adapt
from vidrec.clip import ClipSpec
from vidrec.models import tstam

CLASSES, FRAMES = 5, 3
CLIP = ClipSpec(segments=FRAMES, size=64, flow_length=2)


def build(modality="rgb", clip=CLIP, **options):
    return tstam.build(CLASSES, clip.only(modality), **options)


def liven(model, clips):
    """Statistics of these clips, attention that is not even, and logits of about 1."""
    adapt(model, clips)
    for layer in model._flatten_layers():
        if layer.name.endswith("_t_conv") or layer.name.endswith("_logits"):
            kernel, bias = layer.get_weights()
            scale = 0.1 if layer.name.endswith("_logits") else 1.0
            rng = np.random.default_rng(len(bias))
            layer.set_weights([rng.normal(0, scale, kernel.shape), rng.normal(0, 0.1, bias.shape)])
