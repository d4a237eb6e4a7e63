"""Weights of a network as arrays by name, "<layer>/<variable>", in `.npz` files.

What is made of a public PyTorch file lies in such a file, so that PyTorch is needed only once.
"""

import zipfile
from pathlib import Path

import numpy as np

from vidrec.models.transfer import cross_modality_kernel

NORM = {  # batch normalisation's arrays, as PyTorch and as Keras call them
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def arrays_of(model):
    """{"layer/variable": array} of all weights of a network, as a `.npz` holds them."""
    return {name: np.array(variable) for name, variable in _variables(model).items()}


def assign(model, arrays, *, first, optional=None):
    """Sets every weight of a network, each from its array.

    Args:
        model: keras.Model of layers alone.
        arrays: dict of float32 arrays. An RGB first kernel is averaged and repeated where the model
            takes other channels.
        first: name of the first kernel, (h, w, C, filters).
        optional: part of the names of weights that keep what they have if no array is named so.

    Raises:
        ValueError: naming the arrays that are missing, left over, of another shape, or not finite;
            the model then is as it was.
    """
    variables = _variables(model)
    if optional and not any(optional in name for name in arrays):
        variables = {name: value for name, value in variables.items() if optional not in name}
    arrays = dict(arrays)
    kernel, channels = arrays.get(first), variables[first].shape[2]
    if kernel is not None and kernel.ndim == 4 and kernel.shape[2] == 3 != channels:
        arrays[first] = cross_modality_kernel(kernel, channels)
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


def read_npz(path, *, network, how):
    """The arrays of a file.

    Args:
        path: path of a `.npz`.
        network: str, whose weights they are, for messages.
        how: str, how to come by such a file, for messages.

    Returns:
        dict of arrays by name.

    Raises:
        ValueError: if the file is no such `.npz`.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(
            f"`weights` of {network} must be None or the path of a .npz file. "
            f"{how} Received: weights={str(path)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"`weights` must be a file that is there. {how} Received: weights={str(path)!r}"
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a .npz of arrays ({error}). {how}") from error


def _variables(model):
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def _some(names, most=5):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
