"""Weights of BN-Inception: every tensor used once, the file, and the script that makes it."""

import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import PROJECT
from tests.models.bn_inception_reference import random_state
from vidrec.models.backbones.bn_inception import bn_inception
from vidrec.models.backbones.bn_inception_weights import arrays_of, assign, from_pytorch, load_npz

SCRIPT = PROJECT / "preprocessing/convert_bn_inception.py"


@pytest.fixture(scope="module")
def state():
    return random_state(seed=3)


@pytest.fixture(scope="module")
def net():
    return bn_inception(32, 3, se_blocks=("3a",))


@pytest.fixture(scope="module")
def file(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("weights") / "bn_inception.npz"
    np.savez(path, **from_pytorch(state))
    return path


def test_names_and_layout(state):
    arrays = from_pytorch(state)
    assert len(arrays) == 69 * 6 == len(state) - 2  # without the classifier
    name = "inception_4e_double_3x3_2"
    kernel = state[f"{name}.weight"]
    assert arrays[f"{name}/kernel"].shape == (3, 3, 256, 256)
    assert arrays[f"{name}/kernel"][0, 2, 5, 7] == kernel[7, 5, 0, 2]
    assert arrays["conv1_7x7_s2/kernel"][1, 6, 0, 9] == state["conv1_7x7_s2.weight"][9, 2, 1, 6]
    for ours, theirs in {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }.items():
        np.testing.assert_array_equal(arrays[f"{name}_bn/{ours}"], state[f"{name}_bn.{theirs}"])


def test_every_variable_is_set_and_gates_are_left(state, net):
    gates = {name: value for name, value in arrays_of(net).items() if "_se_" in name}
    assign(net, from_pytorch(state))
    arrays, wanted = arrays_of(net), from_pytorch(state) | gates
    assert arrays.keys() == wanted.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, wanted[name])


def test_the_older_file_is_the_same(state):
    """Its statistics are (1, C), its classifier is "fc"; newer ones count batches."""
    older = {name.replace("last_linear", "fc"): value for name, value in state.items()}
    older |= {name: value[None] for name, value in state.items() if "_bn." in name}
    older["conv1_7x7_s2_bn.num_batches_tracked"] = np.array(5)
    wanted, found = from_pytorch(state), from_pytorch(older)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_other_channels_get_the_mean_of_the_first_kernel(state, file):
    flow = bn_inception(32, 10, weights=file)
    kernel = flow.get_layer("conv1_7x7_s2").get_weights()[0]
    mean = state["conv1_7x7_s2.weight"].mean(axis=1).transpose(1, 2, 0)
    for channel in range(10):
        np.testing.assert_allclose(kernel[:, :, channel], mean, rtol=1e-5, atol=1e-7)
    bias = flow.get_layer("conv1_7x7_s2").get_weights()[1]
    np.testing.assert_array_equal(bias, state["conv1_7x7_s2.bias"])


def test_a_trained_net_with_gates_goes_through_a_file(net, tmp_path):
    mine = arrays_of(net)
    np.savez(tmp_path / "mine.npz", **mine)
    again = bn_inception(64, 3, se_blocks=("3a",), weights=tmp_path / "mine.npz")
    for name, value in arrays_of(again).items():
        np.testing.assert_array_equal(value, mine[name])
    with pytest.raises(ValueError, match="missing: inception_3b_se_down/bias"):
        bn_inception(32, 3, se_blocks=("3a", "3b"), weights=str(tmp_path / "mine.npz"))
    with pytest.raises(ValueError, match="not known: inception_3a_se_down/bias"):
        bn_inception(32, 3, se_blocks=(), weights=tmp_path / "mine.npz")


def test_what_does_not_fit_is_named_and_nothing_is_set(state, net):
    before = arrays_of(net)
    bad = dict(state, **{"inception_9z.weight": np.zeros((1, 2))})
    del bad["conv2_3x3.bias"], bad["inception_5b_1x1_bn.running_var"]
    bad["inception_3a_3x3.weight"] = bad["inception_3a_3x3.weight"][:, :7]
    bad["inception_4a_1x1.bias"] = np.full(224, np.nan)
    with pytest.raises(ValueError, match="each array of 'bn_inception' once") as caught:
        assign(net, from_pytorch(bad))
    for text in (
        "missing: conv2_3x3/bias, inception_5b_1x1_bn/moving_variance;",
        "not known: inception_9z/weight;",
        "of another shape: inception_3a_3x3/kernel (3, 3, 7, 64) for (3, 3, 64, 64);",
        "not finite: inception_4a_1x1/bias",
    ):
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="missing: conv1.* and 409 more"):
        assign(net, {})
    for name, value in arrays_of(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_biases_need_a_net_with_biases(file):
    with pytest.raises(ValueError, match="not known: conv1_7x7_s2/bias"):
        bn_inception(32, 3, weights=file, conv_bias=False)


def test_what_is_no_such_file_is_refused_with_what_to_do(tmp_path, net):
    how = "run `python preprocessing/convert_bn_inception.py"
    for weights in ("imagenet", "bn_inception-239d2248.pth", tmp_path / "x.weights.h5"):
        with pytest.raises(ValueError, match=f"path of a .npz file.*{how}.*Received: weights="):
            load_npz(net, weights)
    with pytest.raises(FileNotFoundError, match=f"{how}.*absent.npz"):
        load_npz(net, tmp_path / "absent.npz")
    path = tmp_path / "bad.npz"
    np.savez(path, kernel=np.array([{}], dtype=object))
    for data in (path.read_bytes(), path.read_bytes()[:90], b"no zip at all", b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"bad.npz cannot be read as a .npz .*{how}"):
            load_npz(net, path)


def convert(*paths):
    return subprocess.run([sys.executable, SCRIPT, *paths], capture_output=True, text=True)


def test_the_script_is_thin_and_makes_the_file(tmp_path, state, file):
    assert len(SCRIPT.read_text().splitlines()) <= 40
    np.savez(tmp_path / "public.npz", **state)
    done = convert(tmp_path / "public.npz", tmp_path / "new/ours")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'new/ours.npz'} is ready.\n")
    with np.load(tmp_path / "new/ours.npz") as found, np.load(file) as wanted:
        assert sorted(found) == sorted(wanted)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_the_script_says_what_is_wrong(tmp_path):
    source = tmp_path / "public.npz"
    np.savez(source, **{"conv1_7x7_s2.weight": np.zeros((64, 3, 7, 7))})
    done = convert(source, tmp_path / "ours.npz")
    assert done.returncode == 2
    assert f"error: {source}: `weights` must hold each array" in done.stderr
    assert not (tmp_path / "ours.npz").exists()
