"""BN-Inception with squeeze-and-excitation gates, for any number of input channels.

Ioffe and Szegedy, "Batch Normalization", ICML 2015, as the public Caffe model has it, whose weights
much of action recognition starts from; gates of Hu et al., "Squeeze-and-Excitation Networks", CVPR
2018, after each of its ten blocks. Layers are named as in the public nets.
"""

import functools
from typing import NamedTuple

import keras
from keras import layers

from vidrec.models.backbones.bn_inception_weights import load_npz
from vidrec.models.layers.frozen_norm import FrozenBatchNormalization
from vidrec.models.options import check_shares

RGB_MEANS = (128.0, 117.0, 104.0)  # subtracted from 0..255; nothing is divided
EPSILON = 1e-5  # of batch normalisation, in Caffe and PyTorch


class Block(NamedTuple):
    """Filters of an inception block's four branches, which are concatenated in this order."""

    conv1: int | None
    conv3: tuple[int, int]  # reduction, 3x3
    double: tuple[int, int]  # reduction, 3x3 twice
    pool: tuple[str, int | None]  # kind, projection; None passes the pool through
    stride: int = 1


BLOCKS = {
    "3a": Block(64, (64, 64), (64, 96), ("avg", 32)),
    "3b": Block(64, (64, 96), (64, 96), ("avg", 64)),
    "3c": Block(None, (128, 160), (64, 96), ("max", None), stride=2),
    "4a": Block(224, (64, 96), (96, 128), ("avg", 128)),
    "4b": Block(192, (96, 128), (96, 128), ("avg", 128)),
    "4c": Block(160, (128, 160), (128, 160), ("avg", 128)),
    "4d": Block(96, (128, 192), (160, 192), ("avg", 128)),
    "4e": Block(None, (128, 192), (192, 256), ("max", None), stride=2),
    "5a": Block(352, (192, 320), (160, 224), ("avg", 128)),
    "5b": Block(352, (192, 320), (192, 224), ("max", 128)),
}
SE_BLOCKS = tuple(BLOCKS)


def bn_inception(
    size,
    channels,
    *,
    weights=None,
    se_blocks=SE_BLOCKS,
    se_ratio=16,
    conv_bias=True,
    bn_momentum=0.9,
    partial_bn=False,
    name="bn_inception",
):
    """BN-Inception without its top: (B, size, size, channels) to (B, size/32, size/32, 1024).

    Images are RGB from 0 to 255 with `RGB_MEANS` subtracted; the public nets take BGR, and their
    first kernel is turned round when it is converted. Flow is codes minus 128.

    Args:
        size: int, px, a multiple of 32.
        channels: int >= 1. With other than 3, weights are those of an RGB net, with the first
            kernel's mean over RGB repeated for every channel.
        weights: None for random, or the path of a `.npz` that preprocessing/convert_bn_inception.py
            writes. It has no gates, which stay random: they begin near 0.5.
        se_blocks: names of the blocks with a gate, of "3a" to "5b"; () for the plain net.
        se_ratio: int >= 1, channels per hidden unit of a gate.
        conv_bias: bool, bias of the convolutions, which the public weights have although batch
            normalisation follows.
        bn_momentum: float in [0, 1), of the moving statistics.
        partial_bn: bool, only the first batch normalisation moves its statistics.
        name: str, name of the model.

    Returns:
        keras.Model whose blocks end in the layers "inception_3a_output" to "inception_5b_output".

    Raises:
        ValueError: if an option is outside its range, or the file's arrays do not fit.
        FileNotFoundError: if `weights` is a path and there is no such file.
    """
    if size < 32 or size % 32:
        raise ValueError(f"`size` must be a multiple of 32 px. Received: size={size}")
    if not set(se_blocks) <= set(BLOCKS):
        raise ValueError(
            f"`se_blocks` must be among {SE_BLOCKS}. Received: se_blocks={tuple(se_blocks)}"
        )
    if not 1 <= se_ratio <= 256:
        raise ValueError(
            "`se_ratio` must be from 1 to 256, the channels of the first gate. "
            f"Received: se_ratio={se_ratio}"
        )
    check_shares(bn_momentum=bn_momentum)
    norm = functools.partial(layers.BatchNormalization, momentum=bn_momentum, epsilon=EPSILON)
    frozen = functools.partial(FrozenBatchNormalization, epsilon=EPSILON) if partial_bn else norm
    conv = functools.partial(_conv, norm=frozen, bias=conv_bias)

    images = keras.Input((size, size, channels), name=f"{name}_images")
    x = _conv(images, "conv1", "7x7_s2", 64, 7, stride=2, norm=norm, bias=conv_bias)
    x = _pool(x, "pool1_3x3_s2", "max", stride=2)
    x = conv(x, "conv2", "3x3_reduce", 64, 1)
    x = conv(x, "conv2", "3x3", 192, 3)
    x = _pool(x, "pool2_3x3_s2", "max", stride=2)
    for block, filters in BLOCKS.items():
        ratio = se_ratio if block in se_blocks else None
        x = _inception(x, f"inception_{block}", filters, conv, ratio)
    model = keras.Model(images, x, name=name)
    if weights is not None:
        load_npz(model, weights)
    return model


def _inception(x, name, block, conv, se_ratio):
    """One block; `se_ratio` None is a block without gate."""
    branches = []
    if block.conv1:
        branches.append(conv(x, name, "1x1", block.conv1, 1))
    reduction, filters = block.conv3
    y = conv(x, name, "3x3_reduce", reduction, 1)
    branches.append(conv(y, name, "3x3", filters, 3, stride=block.stride))
    reduction, filters = block.double
    y = conv(x, name, "double_3x3_reduce", reduction, 1)
    y = conv(y, name, "double_3x3_1", filters, 3)
    branches.append(conv(y, name, "double_3x3_2", filters, 3, stride=block.stride))
    kind, filters = block.pool
    y = _pool(x, f"{name}_pool", kind, stride=block.stride)
    branches.append(conv(y, name, "pool_proj", filters, 1) if filters else y)
    if se_ratio is None:
        return layers.Concatenate(name=f"{name}_output")(branches)
    return _gate(layers.Concatenate(name=f"{name}_concat")(branches), name, se_ratio)


def _gate(x, name, ratio):
    """Squeeze and excitation: each channel times a number in (0, 1) that all channels decide."""
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_pool")(x)
    y = layers.Dense(channels // ratio, activation="relu", name=f"{name}_se_down")(y)
    y = layers.Dense(channels, activation="sigmoid", name=f"{name}_se_up")(y)
    return layers.Multiply(name=f"{name}_output")([x, y])


def _conv(x, block, part, filters, kernel, *, norm, bias, stride=1):
    name = f"{block}_{part}"
    padding = "same"
    if stride > 1:  # Caffe pads both sides; Keras' "same" would pad the end alone here
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=bias, name=name)(x)
    x = norm(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{block}_relu_{part.removesuffix('_s2')}")(x)


def _pool(x, name, kind, *, stride):
    if (
        kind == "avg"
    ):  # counts the zeros around the map, as Caffe does; Keras' "same" leaves them out
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        return layers.AveragePooling2D(3, strides=1, name=name)(x)
    # Of an even length, "same" at stride 2 is what Caffe's rounding up gives.
    return layers.MaxPooling2D(3, strides=stride, padding="same", name=name)(x)
