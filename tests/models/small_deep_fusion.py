"""A small deep fusion network for tests: all layers of the full one, a sixteenth of its filters."""

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
