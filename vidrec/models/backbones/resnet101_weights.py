"""Weights of ResNet-101: torchvision's from a `.npz`, and those of keras.applications.

Two nets bear the name. torchvision's halves its maps in the 3x3 convolutions, has no biases, and
was trained on RGB in units of a standard deviation; its kernels are (filters, channels, h, w) where
ours are (h, w, channels, filters). That of keras.applications halves in the 1x1 before, has biases
and takes BGR from which a mean is subtracted: its first kernel is turned round here, to take RGB.
"""

import functools
import re
from pathlib import Path

import keras
import numpy as np

from vidrec.models.backbones import weight_arrays
from vidrec.models.backbones.imagenet import RESNET101
from vidrec.models.backbones.pretrained import with_weights
from vidrec.models.backbones.weight_arrays import NORM, arrays_of

__all__ = ["arrays_of", "assign", "from_torchvision", "load"]

FIRST = "conv1_conv/kernel"
HOW = (
    "Keras has weights of the variant with stride_in_3x3=False only; for this one take "
    "torchvision's file (resnet101-*.pth) and run "
    "`python preprocessing/convert_resnet101.py <file> <name>.npz`."
)
STEM = {"conv1": "conv1_conv", "bn1": "conv1_bn"}
BLOCK = re.compile(r"layer(\d+)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))")


def from_torchvision(state):
    """A torchvision state dict's tensors under the names, and in the layout, of our variables.

    Args:
        state: dict of float arrays by names such as "layer1.0.conv2.weight".

    Returns:
        dict of float32 arrays. The classifier and the counters of batches are left out; what is
        not understood keeps its name, so that `assign` finds it.
    """
    arrays = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        value = np.asarray(value, np.float32)
        if layer == "fc" or kind == "num_batches_tracked":
            continue
        layer = _our_name(layer)
        if layer.endswith("_bn"):
            kind = NORM.get(kind, kind)
        elif kind == "weight" and value.ndim == 4:
            kind, value = "kernel", value.transpose(2, 3, 1, 0)
        arrays[f"{layer}/{kind}"] = value
    return arrays


def assign(model, arrays):
    """Sets every weight of a ResNet-101, each from its array.

    Args:
        model: keras.Model of `resnet101`.
        arrays: dict as `from_torchvision` gives it. An RGB first kernel is averaged and repeated
            where the model takes other channels.

    Raises:
        ValueError: naming the arrays that are missing, left over, of another shape, or not finite;
            the model then is as it was.
    """
    weight_arrays.assign(model, arrays, first=FIRST)


def load(model, weights, *, stride_in_3x3):
    """Sets every weight of a ResNet-101.

    Args:
        model: keras.Model of `resnet101`.
        weights: the path of a `.npz` of preprocessing/convert_resnet101.py; with
            stride_in_3x3=False "imagenet", or the path of an `.h5` of keras.applications without
            top.
        stride_in_3x3: bool, which of the two nets `model` is.

    Raises:
        ValueError: if the weights are of the other net, or do not fit.
        FileNotFoundError: if `weights` is a path and there is no such file.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if stride_in_3x3:
        assign(model, weight_arrays.read_npz(weights, network="this ResNet-101", how=HOW))
        return
    if weights != "imagenet" and Path(weights).suffix != ".h5":
        raise ValueError(
            "`weights` of ResNet-101 with stride_in_3x3=False must be None, 'imagenet' or the path "
            f"of an .h5 file of keras.applications. Received: weights={str(weights)!r}"
        )
    build = functools.partial(keras.applications.ResNet101, include_top=False)
    arrays = arrays_of(with_weights(build, weights, RESNET101))
    arrays[FIRST] = arrays[FIRST][:, :, ::-1]
    assign(model, arrays)


def _our_name(layer):
    """ "layer1.0.conv2" to "conv2_block1_2_conv": the names of keras.applications."""
    match = BLOCK.fullmatch(layer)
    if not match:
        return STEM.get(layer, layer)
    stage, block, kind, number, shortcut = match.groups()
    if shortcut is not None:
        kind, number = ("conv", "bn")[int(shortcut)], 0
    return f"conv{int(stage) + 1}_block{int(block) + 1}_{number}_{kind}"
