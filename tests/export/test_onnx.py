"""ONNX files of every network: what is in them, and that they give what Keras gives."""

import sys

import keras
import numpy as np
import pytest
from keras import ops

from tests.models.conftest import logits, random_clips
from tests.models.small import NETWORKS
from vidrec.export import onnx as onnx_export
from vidrec.export.onnx import export_onnx
from vidrec.models.layers.fusion import fuse_streams

SLOW = {"multiseg_xception-rgb", "tstam-rgb", "deep_fusion_tpn-joint", "hst-resnet21"}
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in NETWORKS
    if name in SLOW or not name.startswith(("multiseg_xception", "tstam"))
]


@pytest.fixture(scope="module")
def runtime():
    for package in ("tf2onnx", "onnx"):
        pytest.importorskip(package, reason="needs the extra onnx")
    return pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def vcm_sdd():
    return NETWORKS["vcm_sdd-joint"].make()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_what_keras_gives(name, runtime, tmp_path):
    """Of any batch, and of clips that are longer where the network takes them."""
    model, clips = NETWORKS[name].make()
    path = tmp_path / "x.onnx"
    found = export_onnx(model, path, clips=clips)
    assert (found.clips, found.same_class, found.size) == (2, 1.0, path.stat().st_size)
    near = 5e-4 if name.startswith("tstam") else 2e-5  # see test_litert.py
    assert found.difference < near
    weights = 4 * model.count_params()
    assert 0.97 * weights < found.size < 1.02 * weights + 200_000

    open_length = all(x.shape[1] is None for x in model.input.values())
    repeats = 2 if open_length else 1
    other = {
        n: np.concatenate([255 - clips[n], clips[n][:1]]).repeat(repeats, axis=1)
        for n in model.input
    }
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (theirs,), ours = session.run(["logits"], other), logits(model, other)
    np.testing.assert_allclose(theirs, ours, atol=near * max(1, np.abs(ours).max()))
    assert np.abs(theirs[0] - logits(model, clips)[0]).max() > 1e-2


@pytest.mark.parametrize("on", ["scores", "probabilities"])
def test_two_fused_streams_are_one_file(on, runtime, tmp_path):
    """Of small networks: tf2onnx takes 7 GB for 80 MB of weights."""
    clip, streams = NETWORKS["tstam-pair"].clip, []
    for seed, name in enumerate(clip.modalities):
        image = keras.Input(clip.shape(name), dtype="uint8", name=name)
        means = ops.mean(ops.cast(image, "float32"), axis=(1, 2, 3)) / 50
        start = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        scores = keras.layers.Dense(5, kernel_initializer=start, name=f"{name}_head")(means)
        streams.append(keras.Model({name: image}, scores))
    model = fuse_streams(*streams, weights=(1, 3), on=on)
    clips = random_clips(clip)
    export_onnx(model, tmp_path / "x.onnx", clips=clips)
    session = runtime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["logits"], clips)
    np.testing.assert_allclose(theirs, logits(model, clips), atol=1e-5)
    assert np.ptp(theirs, axis=1).min() > 0.1


def test_named_inputs_and_outputs(vcm_sdd, runtime, tmp_path):
    model, clips = vcm_sdd
    export_onnx(model, tmp_path / "x.onnx", clips=clips)
    session = runtime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    assert {x.name: (x.shape[2:], x.type) for x in session.get_inputs()} == {
        "rgb": ([64, 64, 3], "tensor(uint8)"),
        "flow": ([64, 64, 4], "tensor(uint8)"),
    }
    names = [x.name for x in session.get_outputs()]
    out = dict(zip(names, session.run(names, clips), strict=True))
    assert {n: (x.shape, x.dtype) for n, x in out.items()} == {
        "logits": ((2, 5), np.float32),
        "probabilities": ((2, 5), np.float32),
        "class_id": ((2,), np.int32),
    }
    np.testing.assert_allclose(out["probabilities"], ops.softmax(out["logits"]), atol=1e-6)
    np.testing.assert_array_equal(out["class_id"], logits(model, clips).argmax(axis=1))


@pytest.mark.parametrize("package", ["tf2onnx.handler", "onnx", "onnxruntime"])
def test_a_missing_package_is_named(package, vcm_sdd, tmp_path, monkeypatch, request):
    if package != "onnx":
        request.getfixturevalue("runtime")
    model, clips = vcm_sdd
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"{package}.*Install them: pip install 'vidrec\[onnx\]'"
    ):
        export_onnx(model, tmp_path / "x.onnx", clips=clips)
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_onnx_has_not(odd, runtime, tmp_path):
    model, clips = odd
    with pytest.raises(RuntimeError) as caught:
        export_onnx(model, tmp_path / "x.onnx", clips=clips)
    assert str(caught.value) == (
        "'odd' cannot be converted to ONNX: it has no Erfinv. Nothing was written to "
        f"{tmp_path / 'x.onnx'}. The SavedModel that `vidrec export` writes has all operations of "
        "TensorFlow."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_is_told(vcm_sdd, runtime, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyError("some shape")

    model, clips = vcm_sdd
    monkeypatch.setattr(onnx_export, "_convert", fail)
    with pytest.raises(
        RuntimeError, match=r"'vcm_sdd' cannot be .* to ONNX: 'some shape'. Nothing"
    ):
        export_onnx(model, tmp_path / "x.onnx", clips=clips)


def test_a_file_that_differs_is_not_written(runtime, tmp_path, monkeypatch):
    model, clips = NETWORKS["conv3d_baselines-c3d"].make()
    other, _ = NETWORKS["conv3d_baselines-c3d"].make(seed=4)
    with_names = onnx_export._with_names
    monkeypatch.setattr(onnx_export, "_with_names", lambda _: with_names(other))
    with pytest.raises(RuntimeError, match=r"In ONNX the model differs .* not written to .*x.onnx"):
        export_onnx(model, tmp_path / "x.onnx", clips=clips)
    assert list(tmp_path.iterdir()) == []


def test_clips_must_fit(vcm_sdd, runtime, tmp_path):
    model, clips = vcm_sdd
    with pytest.raises(ValueError, match=r"`clips` must be uint8 of shapes"):
        export_onnx(model, tmp_path / "x", clips={"rgb": clips["rgb"]})
