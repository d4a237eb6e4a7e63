"""Weights of BN-Inception: from the public PyTorch files' tensors, and to and from `.npz` files.

The public files are ports of one Caffe model. Theirs is BGR where ours is RGB, kernels are
(filters, channels, h, w) where ours are (h, w, channels, filters), and the classifier is left out.
A `.npz` holds one float32 array per variable, "conv1_7x7_s2/kernel" for instance.
"""

import zipfile
from pathlib import Path

import numpy as np

from vidrec.models.transfer import cross_modality_kernel

FIRST = "conv1_7x7_s2/kernel"
CLASSIFIERS = ("last_linear", "fc")  # in Cadene's file, and in the one that Caffe's was made into
NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
HOW = (
    "There is nothing to download for Keras: take the public PyTorch file "
    "(bn_inception-*.pth) and run `python preprocessing/convert_bn_inception.py <file> <name>.npz`."
)


def from_pytorch(state):
    """A PyTorch state dict's tensors under the names, and in the layout, of our variables.

    Args:
        state: dict of float arrays by names such as "conv1_7x7_s2.weight". Statistics may have the
            shape (1, C), as in files of PyTorch before 0.4.

    Returns:
        dict of float32 arrays. The classifier and the counters of batches are left out; what is
        not understood keeps its name, so that `assign` finds it.
    """
    arrays = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        value = np.asarray(value, np.float32)
        if layer in CLASSIFIERS or kind == "num_batches_tracked":
            continue
        if layer.endswith("_bn"):
            kind = NORM.get(kind, kind)
            value = value[0] if value.ndim == 2 and len(value) == 1 else value
        elif kind == "weight" and value.ndim == 4:
            kind, value = "kernel", value.transpose(2, 3, 1, 0)
        arrays[f"{layer}/{kind}"] = value
    if FIRST in arrays:
        arrays[FIRST] = arrays[FIRST][:, :, ::-1]
    return arrays


def arrays_of(model):
    """{"layer/variable": array} of all weights of a BN-Inception, as a `.npz` holds them."""
    return {name: np.array(variable) for name, variable in _variables(model).items()}


def assign(model, arrays):
    """Sets every weight of a BN-Inception, each from its array.

    Args:
        model: keras.Model of `bn_inception`.
        arrays: dict as `from_pytorch` gives it. An RGB first kernel is averaged and repeated where
            the model takes other channels; gates without any array keep what they have.

    Raises:
        ValueError: naming the arrays that are missing, left over, of another shape, or not finite;
            the model then is as it was.
    """
    variables = _variables(model)
    if not any("_se_" in name for name in arrays):
        variables = {name: value for name, value in variables.items() if "_se_" not in name}
    arrays = dict(arrays)
    kernel, channels = arrays.get(FIRST), variables[FIRST].shape[2]
    if kernel is not None and kernel.ndim == 4 and kernel.shape[2] == 3 != channels:
        arrays[FIRST] = cross_modality_kernel(kernel, channels)
    both = sorted(variables.keys() & arrays.keys())
    shapes = {name: (arrays[name].shape, tuple(variables[name].shape)) for name in both}
    wrong = {
        "missing": sorted(variables.keys() - arrays.keys()),
        "not known": sorted(arrays.keys() - variables.keys()),
        "of another shape": [f"{n} {a} for {b}" for n, (a, b) in shapes.items() if a != b],
        "not finite": [name for name in both if not np.isfinite(arrays[name]).all()],
    }
    if any(wrong.values()):
        raise ValueError(
            f"`weights` must hold each array of {model.name!r} once. Received: "
            + "; ".join(f"{what}: {_some(names)}" for what, names in wrong.items() if names)
        )
    for name in both:
        variables[name].assign(arrays[name])


def load_npz(model, path):
    """Sets every weight of a BN-Inception from a file.

    Raises:
        ValueError: if the file is no such `.npz`, or `assign` finds that it does not fit.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(
            "`weights` of BN-Inception must be None or the path of a .npz file. "
            f"{HOW} Received: weights={str(path)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"`weights` must be a file that is there. {HOW} Received: weights={str(path)!r}"
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            arrays = dict(arrays)
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a .npz of arrays ({error}). {HOW}") from error
    assign(model, arrays)


def _variables(model):
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def _some(names, most=5):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
