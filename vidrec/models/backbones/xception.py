"""Xception (Chollet, CVPR 2017) from keras.applications, for any number of input channels."""

import functools
import warnings

import keras

from vidrec.models.backbones.imagenet import XCEPTION
from vidrec.models.backbones.pretrained import with_weights
from vidrec.models.options import check_shares
from vidrec.models.transfer import transfer_weights

MIN_SIZE = 71  # px; keras.applications refuses less


def xception(size, channels, *, weights=None, bn_momentum=0.99, name="xception"):
    """Xception without its top: (B, size, size, channels), scaled to [-1, 1], to (B, h, w, 2048).

    Args:
        size: int >= 71, px.
        channels: int >= 1. With other than 3, weights are those of an RGB Xception, with the first
            kernel's mean over RGB repeated for every channel.
        weights: None for random, "imagenet" to download them through keras.applications, or the
            path of a weight file of an RGB Xception without top.
        bn_momentum: float in [0, 1), of the moving statistics of batch normalisation.
        name: str, name of the model.

    Returns:
        keras.Model of 132 layers, 80 of them with weights.

    Raises:
        ValueError: if `size` or `bn_momentum` is outside its range.
        FileNotFoundError: if `weights` is a path and there is no such file.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if size < MIN_SIZE:
        raise ValueError(f"`size` must be at least {MIN_SIZE} px. Received: size={size}")
    check_shares(bn_momentum=bn_momentum)
    if weights is not None and channels != 3:
        rgb = xception(size, 3, weights=weights, name=f"{name}_rgb")
        model = xception(size, channels, bn_momentum=bn_momentum, name=name)
        transfer_weights(rgb, model)
        return model
    build = functools.partial(
        keras.applications.Xception,
        include_top=False,
        input_shape=(size, size, channels),
        name=name,
    )
    with warnings.catch_warnings():
        # Flow stacks have 2L channels on purpose.
        warnings.filterwarnings("ignore", message=".*usually expects 1 or 3")
        model = with_weights(build, weights, XCEPTION)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = bn_momentum
    return model
