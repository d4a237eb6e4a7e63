"""What the converters of public weights say of files that they cannot read."""

import importlib.util
import pickle
import sys
import types

import numpy as np
import pytest

from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def public_weights():
    """The module, which lies beside scripts and not in a package."""
    path = PROJECT / "preprocessing/public_weights.py"
    spec = importlib.util.spec_from_file_location("public_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arrays_of_a_file(public_weights, tmp_path):
    np.savez(tmp_path / "whole.npz", kernel=np.arange(3))
    assert public_weights.read(tmp_path / "whole.npz")["kernel"].tolist() == [0, 1, 2]


def broken_torch(*_, **__):
    raise pickle.UnpicklingError("invalid load key")


class SafetensorError(Exception):
    """As that of safetensors, of which it is no kind that Python has."""


def broken_safetensors(path):
    raise SafetensorError("header too large")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cut.npz", "BadZipFile: "),
        ("text.npz", "ValueError: "),
        ("some.pth", "UnpicklingError: invalid load key"),
        ("some.safetensors", "SafetensorError: header too large"),
    ],
)
def test_damaged_files_are_named(public_weights, tmp_path, monkeypatch, capsys, name, kind):
    for module, functions in {
        "torch": {"load": broken_torch},
        "safetensors": {},
        "safetensors.numpy": {"load_file": broken_safetensors},
    }.items():
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**functions))
    source = tmp_path / name
    np.savez(tmp_path / "whole.npz", kernel=np.arange(3))
    whole = (tmp_path / "whole.npz").read_bytes()
    source.write_bytes(whole[:-30] if name.startswith("cut") else b"<html>404 Not Found</html>")
    parser = public_weights.arguments("")
    given = parser.parse_args([str(source), str(tmp_path / "ours")])
    with pytest.raises(SystemExit) as caught:
        public_weights.convert(parser, given, None, lambda net, state: None, lambda net: {})
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert f"error: {source}: cannot be read as a {source.suffix} of weights ({kind}" in said
    assert not (tmp_path / "ours.npz").exists()


def test_files_that_are_not_there_are_named(public_weights, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.npz"):
        public_weights.read(tmp_path / "absent.npz")
