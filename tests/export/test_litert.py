"""LiteRT files of every network: what is in them, and that they give what Keras gives."""

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.models.conftest import logits
from tests.models.small import NETWORKS
from vidrec.export import litert
from vidrec.export.litert import export_litert

NAMES = [  # the streams of flow are in the pairs
    pytest.param(name, marks=pytest.mark.slow) if name.startswith(("multiseg", "tstam")) else name
    for name in NETWORKS
    if not name.endswith("-flow")
]


@pytest.fixture(scope="module")
def vcm_sdd():
    return NETWORKS["vcm_sdd-joint"].make()


@pytest.fixture(scope="module")
def c3d():
    return NETWORKS["conv3d_baselines-c3d"].make()


def runner_of(path):
    return litert.interpreter_of(path.read_bytes()).get_signature_runner("serving_default")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_what_keras_gives(name, tmp_path):
    model, clips = NETWORKS[name].make()
    found = export_litert(model, tmp_path / "x.tflite", clips=clips)
    assert (found.clips, found.same_class) == (2, 1.0)
    # Of this T-STAM Keras' own logits are 1e-4 from those in float64, of these parts.
    near = 5e-4 if name.startswith("tstam") else 2e-5
    assert found.difference < near  # or none: sums of few terms may have the same order
    weights = 4 * model.count_params()
    assert found.size == (tmp_path / "x.tflite").stat().st_size
    assert 0.97 * weights < found.size < 1.02 * weights + 100_000
    run = runner_of(tmp_path / "x.tflite")
    other = {n: 255 - clip[:1] for n, clip in clips.items() if n in model.input}
    theirs, ours = run(**other)["logits"], logits(model, other)
    np.testing.assert_allclose(theirs, ours, atol=near * max(1, np.abs(ours).max()))
    assert np.abs(theirs - logits(model, clips)[0]).max() > 1e-2


def test_named_inputs_and_outputs_of_one_clip(vcm_sdd, tmp_path):
    """The network takes any batch and length; the file takes one clip, as long as those given."""
    model, clips = vcm_sdd
    assert model.input["rgb"].shape[:2] == (None, None)
    export_litert(model, tmp_path / "x.tflite", clips=clips)
    run = runner_of(tmp_path / "x.tflite")
    assert {n: (x["shape"].tolist(), x["dtype"]) for n, x in run.get_input_details().items()} == {
        "rgb": ([1, 6, 64, 64, 3], np.uint8),
        "flow": ([1, 6, 64, 64, 4], np.uint8),
    }
    out = run(**{name: clip[1:] for name, clip in clips.items()})
    assert {n: (x.shape, x.dtype) for n, x in out.items()} == {
        "logits": ((1, 5), np.float32),
        "probabilities": ((1, 5), np.float32),
        "class_id": ((1,), np.int32),
    }
    np.testing.assert_allclose(out["probabilities"], tf.nn.softmax(out["logits"]), atol=1e-6)
    assert out["class_id"] == np.argmax(logits(model, clips)[1])


@pytest.mark.parametrize(
    ("name", "quantize", "share", "furthest"),
    [
        ("vcm_sdd-joint", "float16", 0.60, 0.02),
        ("vcm_sdd-joint", "dynamic", 0.40, 0.1),
        pytest.param("multiseg_xception-rgb", "dynamic", 0.27, 0.1, marks=pytest.mark.slow),
        ("conv3d_baselines-c3d", "dynamic", 0.60, 0.1),  # its 3D convolutions stay as they are
        ("conv3d_baselines-r3d", "float16", 0.55, 0.02),
    ],
)
def test_quantised_files_are_smaller_and_near(name, quantize, share, furthest, tmp_path):
    model, clips = NETWORKS[name].make()
    found = export_litert(model, tmp_path / "x.tflite", clips=clips, quantize=quantize)
    assert found.size == (tmp_path / "x.tflite").stat().st_size
    assert found.size < share * 4 * model.count_params()
    assert 1e-5 < found.difference < furthest


def test_nothing_to_quantise_is_said(tmp_path):
    model, clips = NETWORKS["conv3d_baselines-r3d"].make()
    with pytest.raises(ValueError, match=r"changes nothing in 'r3d_resnet21'.*Take 'float16'"):
        export_litert(model, tmp_path / "x.tflite", clips=clips, quantize="dynamic")
    assert list(tmp_path.iterdir()) == []


def test_the_model_stays_as_it_was(c3d, tmp_path):
    model, clips = c3d
    before, layers = logits(model, clips), [*model.layers]
    export_litert(model, tmp_path / "x.tflite", clips=clips)
    np.testing.assert_array_equal(logits(model, clips), before)
    assert model.layers == layers
    assert all(len(layer._inbound_nodes) == 1 for layer in layers)  # `layer.output` is one


def test_an_operation_that_litert_has_not(odd, tmp_path):
    model, clips = odd
    with pytest.raises(RuntimeError) as caught:
        export_litert(model, tmp_path / "x.tflite", clips=clips)
    assert str(caught.value) == (
        "'odd' cannot be converted to LiteRT, which has no Erfinv. Nothing was written to "
        f"{tmp_path / 'x.tflite'}. The SavedModel that `vidrec export` writes has all operations "
        "of TensorFlow."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_is_not_written(c3d, tmp_path, monkeypatch):
    model, clips = c3d
    path = tmp_path / "x.tflite"
    path.write_bytes(b"the last one")
    other, _ = NETWORKS["conv3d_baselines-c3d"].make(seed=4)
    flat_pools = litert.flat_pools
    monkeypatch.setattr(litert, "flat_pools", lambda _: flat_pools(other))
    with pytest.raises(RuntimeError, match=r"In LiteRT the model differs .* not written to .*x.tf"):
        export_litert(model, path, clips=clips)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(path.name, b"the last one")]
    found = export_litert(model, path, clips=clips, quantize="dynamic")  # said, not refused
    assert found.difference > 1e-3

    path.unlink()
    overflown = dataclasses.replace(found, difference=float("inf"))
    monkeypatch.setattr(litert, "compare", lambda *_, **__: overflown)
    with pytest.raises(RuntimeError, match="differs from the Keras model by inf"):
        export_litert(model, path, clips=clips, quantize="float16")
    assert list(tmp_path.iterdir()) == []


def test_arguments(vcm_sdd, tmp_path):
    model, clips = vcm_sdd
    with pytest.raises(ValueError, match=r"one of \('none', 'float16', 'dynamic'\). Received: .*8"):
        export_litert(model, tmp_path / "x", clips=clips, quantize="int8")
    with pytest.raises(ValueError, match=r"`clips` must be uint8 of shapes"):
        export_litert(model, tmp_path / "x", clips={"rgb": clips["rgb"]})
    assert list(tmp_path.iterdir()) == []


def test_the_interpreter_of_tensorflow_serves_too(c3d, tmp_path, monkeypatch):
    model, clips = c3d
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    made = []
    monkeypatch.setattr(litert.tf.lite, "Interpreter", recorded(tf.lite.Interpreter, made))
    assert export_litert(model, tmp_path / "x.tflite", clips=clips).difference < 2e-5  # or none
    assert len(made) == 1

    monkeypatch.setattr(litert.tf.lite, "Interpreter", None)
    with pytest.raises(
        ImportError, match=r"no LiteRT interpreter.* pip install 'vidrec\[litert\]'"
    ):
        export_litert(model, tmp_path / "x.tflite", clips=clips)


def recorded(function, calls):
    def call(**arguments):
        calls.append(arguments)
        return function(**arguments)

    return call


def test_the_package_of_litert_comes_first(c3d, monkeypatch, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    model, clips = c3d
    monkeypatch.setattr(litert.tf.lite, "Interpreter", None)
    assert export_litert(model, tmp_path / "x.tflite", clips=clips).same_class == 1.0


def test_longer_clips_make_a_file_of_longer_clips(vcm_sdd, tmp_path):
    model, clips = vcm_sdd
    clips = {name: np.concatenate([clip[:1], 255 - clip[1:]], 1) for name, clip in clips.items()}
    found = export_litert(model, tmp_path / "x.tflite", clips=clips)
    assert (found.clips, found.same_class) == (1, 1.0)
    assert found.difference < 2e-5
    details = runner_of(tmp_path / "x.tflite").get_input_details()
    assert details["flow"]["shape"].tolist() == [1, 12, 64, 64, 4]
