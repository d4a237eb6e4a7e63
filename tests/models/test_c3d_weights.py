"""Weights of C3D: parity with the public net, every tensor used once, and the script."""

import dataclasses
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.models import c3d_reference
from tests.models.c3d_reference import NAMED, NUMBERED, OPENMMLAB, random_state
from tests.models.small_conv3d import CLIP, build
from vidrec.models import conv3d_baselines
from vidrec.models.backbones.c3d_weights import arrays_of, assign, from_pytorch, load_npz

SCRIPT = PROJECT / "preprocessing/convert_c3d.py"
FULL = dataclasses.replace(CLIP, size=112)


@pytest.fixture(scope="module")
def state():
    return random_state(seed=3)


@pytest.fixture(scope="module")
def net():
    return build(clip=FULL, width=1 / 16)


@pytest.fixture(scope="module")
def file(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("weights") / "c3d.npz"
    np.savez(path, **from_pytorch(state))
    return path


def test_it_computes_what_the_public_net_computes(state, net):
    assign(net, from_pytorch(state))
    rng = np.random.default_rng(5)
    clips = rng.integers(0, 256, (2, 16, 112, 112, 3), dtype=np.uint8)
    bgr = clips[..., ::-1].astype(np.float32) - np.array([90, 98, 102], np.float32)
    wanted = c3d_reference.forward(state, bgr.transpose(0, 4, 1, 2, 3))
    found = np.asarray(keras.Model(net.input, net.get_layer("fc7").output)({"rgb": clips}))
    assert wanted.std() > 1
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * wanted.max())


def test_names_and_layout(state):
    arrays = from_pytorch(state)
    assert len(arrays) == 2 * 10 == len(state) - 2  # without the classifier
    kernel = state["conv4a.weight"]
    assert arrays["conv4a/kernel"].shape == (3, 3, 3, 16, 32)
    assert arrays["conv4a/kernel"][0, 1, 2, 5, 7] == kernel[7, 5, 0, 1, 2]
    assert arrays["conv1/kernel"][0, 1, 2, 0, 3] == state["conv1.weight"][3, 2, 0, 1, 2]  # red
    flat = state["fc6.weight"].reshape(256, 32, 1, 4, 4)
    assert arrays["fc6/kernel"].reshape(4, 4, 32, 256)[1, 2, 9, 100] == flat[100, 9, 0, 1, 2]
    np.testing.assert_array_equal(arrays["fc7/kernel"], state["fc7.weight"].T)
    np.testing.assert_array_equal(arrays["fc7/bias"], state["fc7.bias"])


def test_a_file_of_an_rgb_network(state):
    bgr, rgb = from_pytorch(state), from_pytorch(state, bgr=False)
    np.testing.assert_array_equal(rgb["conv1/kernel"], bgr["conv1/kernel"][:, :, :, ::-1])
    for name in bgr.keys() - {"conv1/kernel"}:
        np.testing.assert_array_equal(rgb[name], bgr[name])


@pytest.mark.parametrize("names", [NUMBERED, OPENMMLAB, [f"module.{name}" for name in NAMED]])
def test_other_public_files_have_other_names(state, names):
    wanted, found = from_pytorch(state), from_pytorch(random_state(seed=3, names=names))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_every_variable_but_the_classes_is_set(state, net, file):
    other = build(clip=FULL, width=1 / 16, weights=file)
    arrays, wanted = arrays_of(other), from_pytorch(state)
    assert arrays.keys() == wanted.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, wanted[name])
    before = net.get_layer("logits").get_weights()
    load_npz(net, str(file))
    np.testing.assert_array_equal(net.get_layer("logits").get_weights()[0], before[0])


def test_a_trained_net_goes_through_a_file(net, tmp_path):
    mine = arrays_of(net)
    np.savez(tmp_path / "mine.npz", **mine)
    again = build(clip=FULL, width=1 / 16, weights=tmp_path / "mine.npz")
    for name, value in arrays_of(again).items():
        np.testing.assert_array_equal(value, mine[name])


def test_what_does_not_fit_is_named_and_nothing_is_set(state, net):
    before = arrays_of(net)
    bad = dict(state, **{"conv9.weight": np.zeros((1, 2))})
    del bad["conv2.bias"]
    bad["conv3a.weight"] = bad["conv3a.weight"][:, :7]
    bad["fc7.bias"] = np.full(256, np.nan)
    with pytest.raises(ValueError, match="each array of 'c3d_resnet21' once") as caught:
        assign(net, from_pytorch(bad))
    for text in (
        "missing: conv2/bias;",
        "not known: conv9/kernel;",
        "of another shape: conv3a/kernel (3, 3, 3, 7, 16) for (3, 3, 3, 8, 16);",
        "not finite: fc7/bias",
    ):
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="missing: conv1/bias.* and 15 more"):
        assign(net, {})
    for name, value in arrays_of(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_last_layer_that_is_no_square_keeps_its_order():
    state = random_state(seed=1)
    state["fc6.weight"] = state["fc6.weight"][:, : 32 * 15]
    arrays = from_pytorch(state)
    np.testing.assert_array_equal(arrays["fc6/kernel"], state["fc6.weight"].T)


def test_another_size_has_another_fc6(file):
    with pytest.raises(ValueError, match=r"fc6/kernel \(512, 256\) for \(288, 256\)"):
        build(width=1 / 16, weights=file)  # 64 px


@pytest.mark.parametrize("column", [("c3d", "vgg13"), ("r3d", "resnet21")])
def test_weights_are_of_c3d_alone(file, column):
    with pytest.raises(ValueError, match="`weights` must be None for this network"):
        build(*column, weights=file)


def test_what_is_no_such_file_is_refused_with_what_to_do(net, tmp_path):
    how = "run `python preprocessing/convert_c3d.py"
    for weights in ("imagenet", "c3d.pickle", tmp_path / "x.weights.h5"):
        with pytest.raises(ValueError, match=f"path of a .npz file.*{how}.*Received: weights="):
            load_npz(net, weights)
    with pytest.raises(FileNotFoundError, match=f"{how}.*absent.npz"):
        load_npz(net, tmp_path / "absent.npz")
    path = tmp_path / "bad.npz"
    np.savez(path, kernel=np.array([{}], dtype=object))
    for data in (path.read_bytes(), b"no zip at all", b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"bad.npz cannot be read as a .npz .*{how}"):
            load_npz(net, path)


def convert(*arguments):
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_script_is_thin():
    assert len(SCRIPT.read_text().splitlines()) <= 40


@pytest.mark.slow
def test_the_script_says_what_is_wrong(tmp_path):
    source = tmp_path / "public.npz"
    np.savez(source, **{"conv1.weight": np.zeros((64, 3, 3, 3, 3))})
    done = convert(source, tmp_path / "ours.npz")
    assert done.returncode == 2
    assert f"error: {source}: `weights` must hold each array" in done.stderr
    assert not (tmp_path / "ours.npz").exists()
    if importlib.util.find_spec("torch") is None:
        done = convert(tmp_path / "c3d.pickle", tmp_path / "ours.npz")
        assert done.returncode == 2
        assert "c3d.pickle needs PyTorch to be read: pip install torch" in done.stderr


@pytest.mark.slow
def test_the_script_makes_the_file(tmp_path):
    """78 million weights, as the public file has them."""
    state = random_state(seed=4, divisor=1)
    np.savez(tmp_path / "public.npz", **state)
    done = convert(tmp_path / "public.npz", tmp_path / "new/ours")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'new/ours.npz'} is ready.\n")
    net = conv3d_baselines.build(51, weights=tmp_path / "new/ours.npz")
    wanted = from_pytorch(state)
    for name, value in arrays_of(net).items():
        np.testing.assert_array_equal(value, wanted[name])
