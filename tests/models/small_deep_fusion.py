"""A small deep fusion network for tests: all layers of the full one, a sixteenth of its filters."""

import numpy as np

from vidrec.clip import ClipSpec
from vidrec.models import deep_fusion_tpn

CLASSES = 5
CLIP = ClipSpec(segments=1, frames_per_segment=24, size=64, flow_length=4, flow_position="centre")


def build(clip=CLIP, **options):
    return deep_fusion_tpn.build(CLASSES, clip, **{"width": 1 / 16, "lstm_units": 6, **options})


def twin(model, **options):
    """A model with other options and the same weights."""
    other = build(**options)
    other.set_weights(model.get_weights())
    return other


def random_clips(videos=2, clip=CLIP, seed=7):
    """uint8 clips: coarse patterns, unlike from moment to moment."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in clip.modalities:
        moments, side, _, channels = clip.shape(name)
        cells = -(-side // 8)
        coarse = rng.integers(0, 256, (videos, moments, cells, cells, channels), dtype=np.uint8)
        found[name] = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :side, :side]
    return found


def logits(model, clips):
    return np.asarray(model(clips, training=False))
