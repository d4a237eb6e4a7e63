"""An exported model: what is in the folder, that it equals Keras, and that it needs no vidrec."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.export.conftest import CLASSES, CLIP, RECIPE
from vidrec.export import savedmodel
from vidrec.export.savedmodel import export_savedmodel, parity
from vidrec.export.video_clip import read_clip
from vidrec.extraction.video import read_frames


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(2)
    return {
        name: rng.integers(0, 256, (3, *CLIP.shape(name)), dtype=np.uint8)
        for name in CLIP.modalities
    }


@pytest.fixture(scope="module")
def frames(video):
    """uint8 (1, 12, 80, 80, 3), RGB."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in read_frames(video)])[None]


def test_parity_with_keras(model, exported, clips):
    assert parity(model, exported, clips) < 1e-5
    other = {**clips, "rgb": 255 - clips["rgb"]}
    difference = np.abs(np.asarray(model(other)) - np.asarray(model(clips))).max()
    assert difference > 1e-3  # the comparison above could have failed


def test_parity_is_that_of_the_worst_batch(model, exported, clips, monkeypatch):
    broken = type("Broken", (), {"input": model.input})()

    def call(self, batch, training):
        return model(batch) + (0.5 if batch["rgb"].shape[0] == 1 else 0.0)

    monkeypatch.setattr(type(broken), "__call__", call, raising=False)
    one = {name: clip[:1] for name, clip in clips.items()}
    largest = max(1, np.abs(np.asarray(model(one)) + 0.5).max())
    assert parity(broken, exported, clips) < 1e-5
    assert parity(broken, exported, one, clips) == pytest.approx(0.5 / largest, rel=1e-3)


def test_named_inputs_and_outputs_with_any_batch(loaded, clips):
    serve = loaded.signatures["serving_default"]
    _, inputs = serve.structured_input_signature
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "rgb": ([None, None, 71, 71, 3], tf.uint8),
        "flow": ([None, None, 71, 71, 8], tf.uint8),
    }
    for batch in (1, 3):
        out = serve(**{name: tf.constant(clip[:batch]) for name, clip in clips.items()})
        assert sorted(out) == ["class_id", "logits", "probabilities"]
        assert out["probabilities"].shape == (batch, 4)
        np.testing.assert_allclose(tf.reduce_sum(out["probabilities"], 1), 1, atol=1e-6)
        np.testing.assert_array_equal(out["class_id"], np.argmax(out["logits"], axis=1))


def test_raw_frames_give_what_the_file_gives(model, loaded, frames, video):
    _, inputs = loaded.signatures["frames"].structured_input_signature
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "video": ([1, None, None, None, 3], tf.uint8)
    }
    out = loaded.signatures["frames"](video=tf.constant(frames))
    assert {name: tuple(x.shape) for name, x in out.items()} == {
        "probabilities": (1, 4),
        "class_id": (1,),
    }
    clip, _ = read_clip(video, RECIPE)
    expected = RECIPE.probabilities(model(clip, training=False)).numpy()
    assert 0.3 < expected.max() < 0.999
    np.testing.assert_allclose(out["probabilities"][0], expected, atol=0.05)  # of the JPG between
    assert out["class_id"][0] == expected.argmax()


def test_raw_frames_that_are_too_few_are_refused(loaded, frames):
    with pytest.raises(tf.errors.InvalidArgumentError, match="`video` must have at least 5 frames"):
        loaded.signatures["frames"](video=tf.constant(frames[:, :4]))


def test_a_request_of_tensorflow_serving(loaded, clips):
    """Its REST interface takes {"instances": [{<input>: nested lists}]}, a dict for each video, and
    gives {"predictions": [{<output>: ...}]}; types are those of the signature."""
    serve = loaded.signatures["serving_default"]
    _, inputs = serve.structured_input_signature
    body = json.dumps(
        {"instances": [{n: clip[i].tolist() for n, clip in clips.items()} for i in range(2)]}
    )
    rows = json.loads(body)["instances"]
    given = {
        name: tf.constant([row[name] for row in rows], spec.dtype) for name, spec in inputs.items()
    }
    out = serve(**given)
    expected = serve(**{name: tf.constant(clip[:2]) for name, clip in clips.items()})
    np.testing.assert_array_equal(out["logits"], expected["logits"])
    answer = {"predictions": [{n: x[i].numpy().tolist() for n, x in out.items()} for i in range(2)]}
    assert json.loads(json.dumps(answer)) == answer


def test_assets_card_and_size(model, exported):
    assert (exported / "assets/class_names.txt").read_text().splitlines() == [*CLASSES]
    facts = json.loads((exported / "assets/vidrec.json").read_text())
    assert facts["clip"]["flow_length"] == 4
    assert facts["note"] == "é"
    assert (exported / "MODEL_CARD.md").read_text().startswith("# A card, ")
    assert sorted(path.name for path in exported.iterdir()) == [
        "MODEL_CARD.md",
        "assets",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    weights = 4 * model.count_params()
    total = sum(path.stat().st_size for path in exported.rglob("*") if path.is_file())
    assert total < 1.1 * weights


def test_it_runs_where_vidrec_cannot_be_imported(model, exported, loaded, clips, frames, tmp_path):
    """In a process of its own, with TensorFlow alone: not even Keras is imported by us."""
    np.savez(tmp_path / "clips.npz", **clips)
    np.save(tmp_path / "frames.npy", frames)
    code = (
        "import sys; sys.modules['vidrec'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load(r'{exported}')\n"
        f"clips = dict(np.load(r'{tmp_path}/clips.npz'))\n"
        "serve = model.signatures['serving_default']\n"
        "out = serve(**{k: tf.constant(v) for k, v in clips.items()})\n"
        f"np.save(r'{tmp_path}/logits.npy', out['logits'])\n"
        f"video = tf.constant(np.load(r'{tmp_path}/frames.npy'))\n"
        "out = model.signatures['frames'](video=video)\n"
        f"np.save(r'{tmp_path}/probabilities.npy', out['probabilities'])\n"
        "try:\n    import vidrec\nexcept ImportError:\n    print('vidrec is blocked')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "vidrec is blocked" in done.stdout
    served = np.load(tmp_path / "logits.npy")
    expected = np.asarray(model(clips, training=False))
    np.testing.assert_allclose(served, expected, rtol=1e-5, atol=1e-5)
    probabilities = np.load(tmp_path / "probabilities.npy")
    here = loaded.signatures["frames"](video=tf.constant(frames))
    np.testing.assert_allclose(probabilities, here["probabilities"], atol=1e-5)


def test_a_stream_alone_is_exported_too(model, clips, tmp_path):
    stream = model.get_layer("flow_stream")
    export_savedmodel(stream, tmp_path / "flow", classes=CLASSES, facts={})
    assert parity(stream, tmp_path / "flow", clips) < 1e-5
    loaded = tf.saved_model.load(str(tmp_path / "flow"))
    assert list(loaded.signatures) == ["serving_default"]  # without a recipe


def test_a_model_that_does_not_agree_is_not_written(model, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    monkeypatch.setattr(savedmodel, "parity", lambda *_: 2e-4)
    with pytest.raises(RuntimeError, match=r"differs from the Keras model by 2.0e-04.*not written"):
        export_savedmodel(model, folder, classes=CLASSES, facts={})
    monkeypatch.setattr(savedmodel, "parity", lambda *_: float("nan"))
    with pytest.raises(RuntimeError, match="by nan"):
        export_savedmodel(model, folder, classes=CLASSES, facts={})
    assert list(tmp_path.iterdir()) == []


def test_class_names_must_fit(model, tmp_path):
    with pytest.raises(ValueError, match="the model's 4 outputs. Received: 2 names"):
        export_savedmodel(model, tmp_path / "x", classes=["a", "b"], facts={})
    assert not (tmp_path / "x").exists()
