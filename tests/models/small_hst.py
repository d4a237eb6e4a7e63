"""A small HST for tests: one block a stage, an eighth of the channels, 64 px."""

import numpy as np

from vidrec.clip import ClipSpec
from vidrec.models import hst

CLASSES = 5
CLIP = ClipSpec(segments=1, frames_per_segment=16, size=64, flow_length=1)
SMALL = {"inner": 8, "outer": 16, "layer_sizes": (1, 1, 1, 1), "head_units": (12,)}


def build(clip=CLIP, **options):
    return hst.build(CLASSES, clip, **{**SMALL, **options})


def twin(model, **options):
    """A model with other options and the same weights."""
    other = build(**options)
    other.set_weights(model.get_weights())
    return other


def widen(model):
    """Larger last kernels: new ones give logits that differ by hundredths."""
    for name in ("fc1", "logits"):
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel * 5)
    return model


def normal(rng, *shape):
    """Values for a layer, float32."""
    return rng.normal(size=shape).astype(np.float32)


def peaks(x):
    """Maximum of 3 x 3 cells of (H, W, C)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return views.max(axis=(-2, -1))
