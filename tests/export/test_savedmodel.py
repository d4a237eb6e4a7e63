"""An exported model: what is in the folder, that it equals Keras, and that it needs no vidrec."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.export import savedmodel
from vidrec.export.savedmodel import export_savedmodel, parity
from vidrec.models import multiseg_xception

CLASSES = ["Archery", "Biking", "Ça va", "Diving"]
CLIP = ClipSpec(segments=3, size=71, flow_length=2)
FACTS = {"clip": {"size": 71}, "note": "é"}


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(2)
    return {
        name: rng.integers(0, 256, (3, *CLIP.shape(name)), dtype=np.uint8)
        for name in CLIP.modalities
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(4)
    model = multiseg_xception.build(len(CLASSES), CLIP)
    head = model.get_layer("rgb_stream").get_layer("rgb_segment_net").get_layer("rgb_logits")
    head.set_weights([1000 * head.get_weights()[0], np.array([1.0, -2.0, 0.5, 0.0])])
    folder = tmp_path_factory.mktemp("export") / "model"
    assert export_savedmodel(model, folder, classes=CLASSES, facts=FACTS) < 1e-5
    return model, folder


def test_parity_with_keras(exported, clips):
    model, folder = exported
    assert parity(model, folder, clips) < 1e-5
    other = {**clips, "rgb": 255 - clips["rgb"]}
    difference = np.abs(np.asarray(model(other)) - np.asarray(model(clips))).max()
    assert difference > 1e-3  # the comparison above could have failed


def test_named_inputs_and_outputs_with_any_batch(exported, clips):
    loaded = tf.saved_model.load(str(exported[1]))
    serve = loaded.signatures["serving_default"]
    _, inputs = serve.structured_input_signature
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "rgb": ([None, 3, 71, 71, 3], tf.uint8),
        "flow": ([None, 3, 71, 71, 4], tf.uint8),
    }
    for batch in (1, 3):
        out = serve(**{name: tf.constant(clip[:batch]) for name, clip in clips.items()})
        assert sorted(out) == ["class_id", "logits", "probabilities"]
        assert out["probabilities"].shape == (batch, 4)
        np.testing.assert_allclose(tf.reduce_sum(out["probabilities"], 1), 1, atol=1e-6)
        np.testing.assert_array_equal(out["class_id"], np.argmax(out["logits"], axis=1))


def test_assets_and_size(exported):
    model, folder = exported
    assert (folder / "assets/class_names.txt").read_text().splitlines() == CLASSES
    assert json.loads((folder / "assets/vidrec.json").read_text()) == FACTS
    assert sorted(path.name for path in folder.iterdir()) == [
        "assets",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    weights = 4 * model.count_params()
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert total < 1.1 * weights


def test_it_runs_where_vidrec_cannot_be_imported(exported, clips, tmp_path):
    """In a process of its own, with TensorFlow alone: not even Keras is imported by us."""
    model, folder = exported
    np.savez(tmp_path / "clips.npz", **clips)
    code = (
        "import sys; sys.modules['vidrec'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load(r'{folder}')\n"
        f"clips = dict(np.load(r'{tmp_path}/clips.npz'))\n"
        "serve = model.signatures['serving_default']\n"
        "out = serve(**{k: tf.constant(v) for k, v in clips.items()})\n"
        f"np.save(r'{tmp_path}/logits.npy', out['logits'])\n"
        "try:\n    import vidrec\nexcept ImportError:\n    print('vidrec is blocked')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "vidrec is blocked" in done.stdout
    served = np.load(tmp_path / "logits.npy")
    assert np.abs(served - np.asarray(model(clips, training=False))).max() < 1e-5


def test_a_stream_alone_is_exported_too(exported, clips, tmp_path):
    stream = exported[0].get_layer("flow_stream")
    export_savedmodel(stream, tmp_path / "flow", classes=CLASSES, facts={})
    assert parity(stream, tmp_path / "flow", {"flow": clips["flow"]}) < 1e-5


def test_a_model_that_does_not_agree_is_not_written(exported, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    monkeypatch.setattr(savedmodel, "parity", lambda *_: 0.25)
    with pytest.raises(RuntimeError, match=r"differs from the Keras model by 2.5e-01.*not written"):
        export_savedmodel(exported[0], folder, classes=CLASSES, facts=FACTS)
    monkeypatch.setattr(savedmodel, "parity", lambda *_: float("nan"))
    with pytest.raises(RuntimeError, match="by nan"):
        export_savedmodel(exported[0], folder, classes=CLASSES, facts=FACTS)
    assert list(tmp_path.iterdir()) == []


def test_class_names_must_fit(exported, tmp_path):
    with pytest.raises(ValueError, match="the model's 4 outputs. Received: 2 names"):
        export_savedmodel(exported[0], tmp_path / "x", classes=["a", "b"], facts={})
    assert not (tmp_path / "x").exists()
