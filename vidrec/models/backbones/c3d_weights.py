"""Weights of C3D: from the public PyTorch files' tensors, and to and from `.npz` files.

The public files are ports of the Caffe model that was trained on Sports-1M. They differ in names;
their kernels are (filters, channels, t, h, w) where ours are (t, h, w, channels, filters), and
their fc6 reads the last maps channel by channel where ours reads them cell by cell. Caffe's images
are BGR where ours are RGB; a file does not say whether its port kept that. MMAction2 feeds
OpenMMLab's with RGB (`to_bgr=False`, means 104, 117, 128): what was trained there goes with `--rgb`
of the converter. The classifier is left out. A `.npz` holds one float32 array per variable,
"conv3a/kernel" for instance.
"""

import math

import keras
import numpy as np

from vidrec.models.backbones import weight_arrays
from vidrec.models.backbones.c3d import CONVOLUTIONS, DENSE

FIRST, LAST, FLAT = "conv1/kernel", "conv5b/kernel", "fc6/kernel"
LAYERS = (*(name for block in CONVOLUTIONS.values() for name in block), *DENSE)
NUMBERED = dict(  # in a file whose layers are called features.0, ... classifier.3
    zip(
        [f"features.{n}" for n in (0, 3, 6, 8, 11, 13, 16, 18)] + ["classifier.0", "classifier.3"],
        LAYERS,
        strict=True,
    )
)
CLASSIFIERS = ("fc8", "classifier.6", "fc_cls", "cls_head.fc_cls")
HOW = (
    "Take a public PyTorch file of C3D on Sports-1M (c3d.pickle, for instance) and run "
    "`python preprocessing/convert_c3d.py <file> <name>.npz`."
)


def from_pytorch(state, *, bgr=True):
    """A PyTorch state dict's tensors under the names, and in the layout, of our variables.

    Args:
        state: dict of float arrays by names such as "conv3a.weight", "features.6.weight" or
            "backbone.conv3a.conv.weight".
        bgr: bool, the file's network takes BGR, as Caffe's does, not RGB.

    Returns:
        dict of float32 arrays, without the classifier; what is not understood keeps its name, so
        that `assign` finds it.
    """
    arrays = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        layer = layer.removeprefix("module.").removeprefix("backbone.").removesuffix(".conv")
        if layer in CLASSIFIERS:
            continue
        layer = NUMBERED.get(layer, {"conv1a": "conv1", "conv2a": "conv2"}.get(layer, layer))
        value = np.asarray(value, np.float32)
        if kind == "weight":
            kind = "kernel"
            value = value.transpose(2, 3, 4, 1, 0) if value.ndim == 5 else value.T
        arrays[f"{layer}/{kind}"] = value
    if bgr and FIRST in arrays:
        arrays[FIRST] = arrays[FIRST][..., ::-1, :]
    if FLAT in arrays and LAST in arrays:
        arrays[FLAT] = _by_cell(arrays[FLAT], arrays[LAST].shape[-1])
    return arrays


def arrays_of(model):
    """{"layer/variable": array} of C3D's weights but its classes', as a `.npz` holds them."""
    return weight_arrays.arrays_of(_features(model))


def assign(model, arrays):
    """Sets every weight of C3D but its classes', each from its array.

    Args:
        model: keras.Model, C3D of `conv3d_baselines`.
        arrays: dict as `from_pytorch` gives it.

    Raises:
        ValueError: naming the arrays that are missing, left over, of another shape (fc6 at another
            size than 112 px), or not finite; the model then is as it was.
    """
    weight_arrays.assign(_features(model), arrays, first=FIRST)


def load_npz(model, path):
    """Sets every weight of C3D but its classes' from a file.

    Raises:
        ValueError: if the file is no such `.npz`, or `assign` finds that it does not fit.
        FileNotFoundError: if there is no such file.
    """
    assign(model, weight_arrays.read_npz(path, network="C3D", how=HOW))


def _features(model):
    """The same layers without the classes."""
    return keras.Model(model.input, model.get_layer(LAYERS[-1]).output, name=model.name)


def _by_cell(kernel, channels):
    """fc6's rows from (channels, h, w) to (h, w, channels); of no square, as they are."""
    rows, units = kernel.shape
    side = math.isqrt(rows // channels)
    if side * side * channels != rows:
        return kernel
    return kernel.reshape(channels, side, side, units).transpose(1, 2, 0, 3).reshape(rows, units)
