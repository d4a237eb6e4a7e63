"""Weights of BN-Inception: from the public PyTorch files' tensors, and to and from `.npz` files.

The public files are ports of one Caffe model. Theirs is BGR where ours is RGB, kernels are
(filters, channels, h, w) where ours are (h, w, channels, filters), and the classifier is left out.
A `.npz` holds one float32 array per variable, "conv1_7x7_s2/kernel" for instance.
"""

import numpy as np

from vidrec.models.backbones import weight_arrays
from vidrec.models.backbones.weight_arrays import NORM, arrays_of

__all__ = ["arrays_of", "assign", "from_pytorch", "load_npz"]

FIRST = "conv1_7x7_s2/kernel"
CLASSIFIERS = ("last_linear", "fc")  # in Cadene's file, and in the one that Caffe's was made into
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
    weight_arrays.assign(model, arrays, first=FIRST, optional="_se_")


def load_npz(model, path):
    """Sets every weight of a BN-Inception from a file.

    Raises:
        ValueError: if the file is no such `.npz`, or `assign` finds that it does not fit.
        FileNotFoundError: if there is no such file.
    """
    assign(model, weight_arrays.read_npz(path, network="BN-Inception", how=HOW))
