"""A small two-stream model, exported, and a drawn video that several tests look at. Read only."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from vidrec.clip import ClipSpec
from vidrec.datasets import synthetic
from vidrec.export.recipe import ClipRecipe
from vidrec.export.savedmodel import export_savedmodel
from vidrec.extraction.engines import FlowSettings
from vidrec.models import multiseg_xception

CLASSES = ("Archery", "Biking", "Ça va", "Diving")
CLIP = ClipSpec(segments=3, size=71, flow_length=4)
RECIPE = ClipRecipe(clip=CLIP, flow=FlowSettings(), short_side=75)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Folder of AVI files of 12 frames, 80 x 80 px, such as <class>/v_<class>_g02_c01.avi."""
    root = tmp_path_factory.mktemp("videos")
    spec = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=12, size=80)
    synthetic.write_videos(root, spec)
    return root


@pytest.fixture(scope="session")
def video(drawn):
    """Path of one of them."""
    return drawn / "GreenChecksOrbit/v_GreenChecksOrbit_g02_c01.avi"


@pytest.fixture(scope="module")
def odd():
    """A model of an operation that no other runtime has, and a clip."""
    rgb = keras.Input((2, 4, 4, 3), dtype="uint8", name="rgb")
    x = ops.erfinv(ops.mean(ops.cast(rgb, "float32"), axis=(1, 2, 3)) / 256)
    clip = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4, 3), dtype=np.uint8)
    return keras.Model({"rgb": rgb}, x, name="odd"), {"rgb": clip}


@pytest.fixture(scope="session")
def model():
    """Random weights, and scores that tell clips apart."""
    keras.utils.set_random_seed(4)
    model = multiseg_xception.build(len(CLASSES), CLIP, fold_segments=True)
    for modality in CLIP.modalities:
        network = model.get_layer(f"{modality}_stream").get_layer(f"{modality}_segment_net")
        head = network.get_layer(f"{modality}_logits")
        kernel, bias = head.get_weights()
        head.set_weights([30000 * kernel, bias + 0.1 * len(modality)])
    return model


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """The folder of the SavedModel."""
    facts = {**RECIPE.facts(), "partial": [[7, 9], [1203, 13320]], "note": "é"}
    folder = tmp_path_factory.mktemp("exported") / "1"
    options = {"classes": CLASSES, "facts": facts, "recipe": RECIPE}
    assert export_savedmodel(model, folder, **options, card=lambda x: f"# A card, {x:.0e}") < 1e-5
    return folder


@pytest.fixture(scope="session")
def loaded(exported):
    """The SavedModel as TensorFlow loads it."""
    return tf.saved_model.load(str(exported))
