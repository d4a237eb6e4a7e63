"""Every registered model goes through its three kinds of files and comes back as it was.

What is loaded must agree to a thousandth of what another clip changes.
"""

import dataclasses
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.models.conftest import CLASSES, logits
from tests.models.small import NETWORKS, SMALL
from vidrec.export import savedmodel
from vidrec.models import conv3d_baselines, deep_fusion_tpn, hst, registry, saved, vcm_sdd
from vidrec.models.outline import without_values
from vidrec.models.weight_files import load_weights

LARGE = {f"{model}-{kind}" for model in ("multiseg_xception", "tstam") for kind in ("flow", "pair")}
READER = """
import pathlib, sys
import keras, numpy as np
from vidrec.models.saved import load_model

for line in sys.stdin:
    folder = pathlib.Path(line.strip())
    model = load_model(folder / "model.keras")
    with np.load(folder / "clips.npz") as clips:
        out = model({name: clips[name] for name in model.input}, training=False)
    np.save(folder / "logits.npy", out)
    keras.backend.clear_session()
    print("loaded", flush=True)
"""


def test_no_registered_model_is_left_out():
    assert set(SMALL) == set(registry.MODELS)
    late = {
        name
        for name, module in registry.MODELS.items()
        if hasattr(module, "fuse") and "weights" in inspect.signature(module.fuse).parameters
    }
    assert {name for name, kinds in SMALL.items() if "pair" in kinds} == late
    assert set(SMALL["hst"]) == set(hst.LAYER_SIZES)
    assert set(SMALL["conv3d_baselines"]) == set(conv3d_baselines.NETWORKS)


def but_slow(slow):
    return [pytest.param(name, marks=[pytest.mark.slow] * slow(name)) for name in NETWORKS]


@pytest.fixture(scope="module", params=but_slow(lambda name: name in LARGE))
def case(request):
    """A network, clips, their logits, and how far others may be from them."""
    small = NETWORKS[request.param]
    model, clips = small.make()
    wanted = logits(model, clips)
    changed = logits(model, {name: 255 - clip for name, clip in clips.items()})
    tolerance = np.abs(changed - wanted).max() / 1000
    assert tolerance > 1e-5  # else what is below could not fail
    return small, model, clips, wanted, tolerance


@pytest.fixture(scope="module")
def read_elsewhere():
    """Loads what lies in a folder in another process, which has only imported the loader."""
    with subprocess.Popen(
        [sys.executable, "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:

        def read(folder):
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "loaded\n"
            return np.load(folder / "logits.npy")

        yield read
        process.stdin.close()


def test_a_keras_file_is_loaded_in_safe_mode_by_another_process(case, read_elsewhere, tmp_path):
    _, model, clips, wanted, tolerance = case
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "clips.npz", **clips)
    np.testing.assert_allclose(read_elsewhere(tmp_path), wanted, atol=tolerance)
    (tmp_path / "model.keras").unlink()  # up to 170 MB


def test_weights_go_into_a_new_network(case, tmp_path):
    small, model, clips, wanted, tolerance = case
    model.save_weights(tmp_path / "model.weights.h5")
    other = small.build()
    assert np.abs(logits(other, clips) - wanted).max() > 10 * tolerance
    load_weights(other, tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(logits(other, clips), wanted)
    (tmp_path / "model.weights.h5").unlink()


def export_and_compare(small, model, folder, clips):
    """Largest difference of logits between a model and its SavedModel."""
    classes = [f"class {n}" for n in range(CLASSES)]
    facts = {"clip": dataclasses.asdict(small.clip)}
    savedmodel.export_savedmodel(model, folder, classes=classes, facts=facts)
    return savedmodel.parity(model, folder, clips)


@pytest.mark.parametrize(
    "case", but_slow(lambda name: name.startswith(("multiseg", "tstam"))), indirect=True
)
def test_a_savedmodel_gives_the_same(case, tmp_path):
    small, model, clips, _, tolerance = case
    assert export_and_compare(small, model, tmp_path / "model", clips) < tolerance


BOTH = (True, False)
OPTIONS = {  # each value by itself, of those that choose layers
    "multiseg_xception": {
        "consensus": ("max", "weighted"),
        "segment_weights": ((1, 2, 3),),
        "consensus_on": ("probabilities",),
        "fold_segments": (True,),
        "fusion_layer": ("rescaling",),
    },
    "tstam": {"temporal_mode": ("scalar",), "fusion_on": ("scores",), "partial_bn": (True,)},
    "hst": hst.CHOICES | {"literal": BOTH, "share_fc": BOTH},
    "vcm_sdd": vcm_sdd.CHOICES | {"stc": BOTH, "mff": BOTH, "shared_head": BOTH},
    "deep_fusion_tpn": deep_fusion_tpn.CHOICES | {"layer_norm": BOTH, "factorize_3dcnn": BOTH},
    "conv3d_baselines": {"column": ("resnet21", "vgg13")},
}


@pytest.mark.parametrize("model", registry.MODELS)
def test_what_any_option_is_made_of_is_let_through(model):
    """By the list of what may be in a `.keras` file, which a model may outgrow."""
    build = list(SMALL[model].values())[-1].build
    for option, values in OPTIONS[model].items():
        for value in values:
            more = {"consensus": "weighted"} if option == "segment_weights" else {}
            with without_values():
                network = build(**{option: value}, **more)
            saved.check_description(keras.saving.serialize_keras_object(network), option)
