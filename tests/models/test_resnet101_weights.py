"""Weights of ResNet-101: every tensor used once, the files, and the script that makes one."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.models.resnet101_reference import random_state
from vidrec.models.backbones.resnet101 import resnet101
from vidrec.models.backbones.resnet101_weights import arrays_of, assign, from_torchvision, load

SCRIPT = PROJECT / "preprocessing/convert_resnet101.py"
SMALL = {"blocks": (2, 1, 1, 1), "width": 1 / 8}


@pytest.fixture(scope="module")
def state():
    return random_state(seed=3, blocks=(2, 1, 1, 1), base=8)


@pytest.fixture(scope="module")
def net():
    return resnet101(32, 3, **SMALL)


@pytest.fixture(scope="module")
def file(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("weights") / "resnet101.npz"
    np.savez(path, **from_torchvision(state))
    return path


def test_names_and_layout(state):
    arrays = from_torchvision(state)
    norms = sum("num_batches_tracked" in name for name in state)
    assert len(arrays) == len(state) - norms - 2 == 20 * 5  # without counters and classifier
    kernel = state["layer3.0.conv2.weight"]
    assert arrays["conv4_block1_2_conv/kernel"].shape == (3, 3, 32, 32)
    assert arrays["conv4_block1_2_conv/kernel"][0, 2, 5, 7] == kernel[7, 5, 0, 2]
    assert arrays["conv1_conv/kernel"][1, 6, 0, 7] == state["conv1.weight"][7, 0, 1, 6]  # RGB
    pairs = {
        "conv1_bn": "bn1",
        "conv2_block2_3_bn": "layer1.1.bn3",
        "conv5_block1_0_bn": "layer4.0.downsample.1",
    }
    for ours, theirs in pairs.items():
        for kind, name in {
            "gamma": "weight",
            "beta": "bias",
            "moving_mean": "running_mean",
            "moving_variance": "running_var",
        }.items():
            np.testing.assert_array_equal(arrays[f"{ours}/{kind}"], state[f"{theirs}.{name}"])
    np.testing.assert_array_equal(
        arrays["conv5_block1_0_conv/kernel"][0, 0].T,
        state["layer4.0.downsample.0.weight"][:, :, 0, 0],
    )


def test_every_variable_is_set(state, net):
    assign(net, from_torchvision(state))
    arrays, wanted = arrays_of(net), from_torchvision(state)
    assert arrays.keys() == wanted.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, wanted[name])


def test_names_fit_the_whole_net():
    state = random_state(base=1)
    with keras.StatelessScope(initialize_variables=False):
        net = resnet101(32, 3, width=1 / 64)
    shapes = {f"{x.name}/{w.name}": tuple(w.shape) for x in net.layers for w in x.weights}
    keras.backend.clear_session()
    assert {name: a.shape for name, a in from_torchvision(state).items()} == shapes
    assert len(shapes) == 104 * 5


def test_other_channels_get_the_mean_of_the_first_kernel(state, file):
    flow = resnet101(32, 10, weights=file, **SMALL)
    kernel = flow.get_layer("conv1_conv").get_weights()[0]
    mean = state["conv1.weight"].mean(axis=1).transpose(1, 2, 0)
    assert kernel.shape == (7, 7, 10, 8)
    for channel in range(10):
        np.testing.assert_allclose(kernel[:, :, channel], mean, rtol=1e-5, atol=1e-7)


def test_a_trained_net_goes_through_a_file(net, tmp_path):
    mine = arrays_of(net)
    np.savez(tmp_path / "mine.npz", **mine)
    again = resnet101(64, 3, weights=str(tmp_path / "mine.npz"), **SMALL)
    for name, value in arrays_of(again).items():
        np.testing.assert_array_equal(value, mine[name])


def test_what_does_not_fit_is_named_and_nothing_is_set(state, net):
    before = arrays_of(net)
    bad = dict(state, **{"layer9.weight": np.zeros((1, 2))})
    del bad["layer1.0.conv2.weight"], bad["bn1.running_var"]
    bad["layer1.1.conv2.weight"] = bad["layer1.1.conv2.weight"][:, :7]
    bad["layer2.0.bn1.bias"] = np.full(16, np.nan)
    with pytest.raises(ValueError, match="each array of 'resnet101' once") as caught:
        assign(net, from_torchvision(bad))
    for text in (
        "missing: conv1_bn/moving_variance, conv2_block1_2_conv/kernel;",
        "not known: layer9/weight;",
        "of another shape: conv2_block2_2_conv/kernel (3, 3, 7, 8) for (3, 3, 8, 8);",
        "not finite: conv3_block1_1_bn/beta",
    ):
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="missing: conv1_bn.* and 95 more"):
        assign(net, {})
    for name, value in arrays_of(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_weights_of_the_other_variant_are_refused(file):
    with pytest.raises(ValueError, match="conv1_conv/bias"):  # it has none
        assign(resnet101(32, 3, stride_in_3x3=False, **SMALL), dict(np.load(file)))
    with pytest.raises(ValueError, match="path of an .h5 file of keras.applications.*101.npz"):
        resnet101(32, 3, stride_in_3x3=False, weights=file, **SMALL)


def test_what_is_no_such_file_is_refused_with_what_to_do(tmp_path, net):
    how = "stride_in_3x3=False only.*run `python preprocessing/convert_resnet101.py"
    for weights in ("imagenet", "resnet101-cd907fc2.pth", tmp_path / "x.weights.h5"):
        with pytest.raises(ValueError, match=f"path of a .npz file.*{how}.*Received: weights="):
            load(net, weights, stride_in_3x3=True)
    with pytest.raises(FileNotFoundError, match=f"{how}.*absent.npz"):
        load(net, tmp_path / "absent.npz", stride_in_3x3=True)
    with pytest.raises(FileNotFoundError, match="a weight file that is there.*absent.h5"):
        load(net, tmp_path / "absent.h5", stride_in_3x3=False)
    path = tmp_path / "bad.npz"
    path.write_bytes(b"no zip at all")
    with pytest.raises(ValueError, match="bad.npz cannot be read as a .npz .*convert_resnet101"):
        load(net, path, stride_in_3x3=True)


def test_weights_of_keras_applications_are_turned_to_rgb(monkeypatch, tmp_path):
    """Whatever its function gives goes into every layer of the same name."""
    source = resnet101(32, 3, stride_in_3x3=False, **SMALL)
    asked = []

    def theirs(include_top, weights):
        asked.append((include_top, weights))
        return source

    monkeypatch.setattr(keras.applications, "ResNet101", theirs)
    source.save_weights(tmp_path / "notop.weights.h5")
    for weights in ("imagenet", str(tmp_path / "notop.weights.h5")):
        net = resnet101(32, 3, stride_in_3x3=False, weights=weights, **SMALL)
        assert asked.pop() == (False, weights)
        wanted = arrays_of(source)
        wanted["conv1_conv/kernel"] = wanted["conv1_conv/kernel"][:, :, ::-1]
        for name, value in arrays_of(net).items():
            np.testing.assert_array_equal(value, wanted[name])
    flow = resnet101(32, 4, stride_in_3x3=False, weights="imagenet", **SMALL)
    mean = arrays_of(source)["conv1_conv/kernel"].mean(axis=2)
    np.testing.assert_allclose(arrays_of(flow)["conv1_conv/kernel"][:, :, 3], mean, atol=1e-7)


def test_a_failed_download_says_how_to_go_on(monkeypatch, net):
    def fails(**_):
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "ResNet101", fails)
    with pytest.raises(RuntimeError, match="no network.*resnet101_weights_tf_dim.*notop.h5"):
        load(net, "imagenet", stride_in_3x3=False)


def convert(*paths):
    return subprocess.run([sys.executable, SCRIPT, *paths], capture_output=True, text=True)


@pytest.mark.slow
def test_the_script_makes_the_file(tmp_path):
    """At full size, 170 MB."""
    state = random_state(seed=4)
    np.savez(tmp_path / "public.npz", **state)
    done = convert(tmp_path / "public.npz", tmp_path / "new/ours")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'new/ours.npz'} is ready.\n")
    wanted = from_torchvision(state)
    with np.load(tmp_path / "new/ours.npz") as found:
        assert sorted(found) == sorted(wanted)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_the_script_is_thin():
    assert len(SCRIPT.read_text().splitlines()) <= 40


@pytest.mark.slow
def test_the_script_says_what_is_wrong(tmp_path):
    source = tmp_path / "public.npz"
    np.savez(source, **{"conv1.weight": np.zeros((64, 3, 7, 7))})
    done = convert(source, tmp_path / "ours.npz")
    assert done.returncode == 2
    assert f"error: {source}: `weights` must hold each array" in done.stderr
    assert not (tmp_path / "ours.npz").exists()
