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
    """uint8 clips of two videos: coarse patterns, unlike from segment to segment."""
    rng = np.random.default_rng(7)
    found = {}
    for name in CLIP.modalities:
        frames, side, _, channels = CLIP.shape(name)
        coarse = rng.integers(0, 256, (2, frames, 9, 9, channels), dtype=np.uint8)
        found[name] = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :side, :side]
    return found


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
