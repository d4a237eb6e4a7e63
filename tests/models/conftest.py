"""Small models that several tests look at: the smallest size that Xception takes, few classes."""

import keras
import numpy as np
import pytest

from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception

CLASSES = 5
CLIP = ClipSpec(segments=3, size=71, flow_length=2)


@pytest.fixture(scope="session")
def clips():
    """Clips of two videos."""
    return random_clips(CLIP)


@pytest.fixture(scope="session")
def two_stream(clips):
    model = multiseg_xception.build(CLASSES, CLIP)
    adapt(model, clips)
    return model


@pytest.fixture
def policy(request):
    """The precision that `request.param` names, for one test."""
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def outline():
    """Builds a network with variables that have shapes and no values."""

    def make(build, *args, **options):
        with keras.StatelessScope(initialize_variables=False):
            return build(*args, **options)

    yield make
    keras.backend.clear_session()  # forgets that the variables wait for values


def random_clips(clip, videos=2, seed=7):
    """uint8 clips: coarse patterns, unlike from frame to frame."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in clip.modalities:
        frames, side, _, channels = clip.shape(name)
        cells = -(-side // 8)
        coarse = rng.integers(0, 256, (videos, frames, cells, cells, channels), dtype=np.uint8)
        found[name] = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :side, :side]
    return found


def logits(model, clips):
    """A model's logits (B, N), as a NumPy array; it takes what it knows of the clips."""
    return np.asarray(model({name: clips[name] for name in model.input}, training=False))


def adapt(model, clips):
    """Fits the moving statistics to the clips: with those of a new model, all scores are alike."""
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model({name: clips[name] for name in model.input}, training=True)
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum
