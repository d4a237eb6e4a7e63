"""R3D and R(2+1)D: residual networks of 3D convolutions, whole or in two factors (Tran et al., "A
Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018).

In the arrangement of the public jfzhang95/pytorch-video-recognition, whose parameters Cai and Cai's
table 2 has: a unit ends in its own normalisation and ReLU, and the block normalises once more. Axis
letters: B batch, T frames, S pixels of a side, C channels.
"""

import functools

from keras import layers

from vidrec.models.layers.batch_norm import MOMENTUM, batch_norm
from vidrec.models.width import scaled

WIDTHS = (64, 128, 256, 512)  # channels of the four stages
STEM_FACTOR = 45  # channels between the factors of the first unit


def resnet3d(clips, *, factorize, layer_sizes, bn_momentum=MOMENTUM, width=1.0):
    """The network without its classes: clips (B, T, S, S, 3) to (B, 512).

    Args:
        clips: tensor.
        factorize: bool, R(2+1)D with convolutions of 1 x k x k and then k x 1 x 1, or R3D.
        layer_sizes: four ints >= 1, blocks of each stage.
        bn_momentum: float in [0, 1), of the moving statistics.
        width: float > 0, multiplies all channels.

    Returns:
        Tensor (B, 512 width), means over time and place.
    """
    norm = functools.partial(batch_norm, momentum=bn_momentum)

    def convolve(x, filters, kernel, strides, name):
        pad = tuple(k // 2 for k in kernel)
        if any(pad):  # PyTorch pads both sides; Keras' "same" would pad the end alone at stride 2
            x = layers.ZeroPadding3D(pad, name=f"{name}_pad")(x)
        x = layers.Conv3D(
            filters,
            kernel,
            strides=strides,
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)
        return layers.ReLU(name=f"{name}_relu")(norm(x, name=f"{name}_bn"))

    def unit(x, filters, kernel, strides, name, between=None):
        if not factorize:
            return convolve(x, filters, kernel, strides, name)
        between = between or factor_channels(kernel, x.shape[-1], filters)
        (t, *space), (t_stride, *space_strides) = kernel, strides
        x = convolve(x, between, (1, *space), (1, *space_strides), f"{name}_spatial")
        return convolve(x, filters, (t, 1, 1), (t_stride, 1, 1), f"{name}_temporal")

    def block(x, filters, stride, name):
        y = unit(x, filters, (3, 3, 3), (stride,) * 3, f"{name}_conv1")
        y = layers.ReLU(name=f"{name}_relu1")(norm(y, name=f"{name}_bn1"))
        y = unit(y, filters, (3, 3, 3), (1, 1, 1), f"{name}_conv2")
        y = norm(y, name=f"{name}_bn2")
        if stride > 1:
            x = unit(x, filters, (1, 1, 1), (stride,) * 3, f"{name}_downsample_conv")
            x = norm(x, name=f"{name}_downsample_bn")
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))

    widths = [scaled(channels, width) for channels in WIDTHS]
    x = unit(clips, widths[0], (3, 7, 7), (1, 2, 2), "stem", between=scaled(STEM_FACTOR, width))
    for stage, (filters, blocks) in enumerate(zip(widths, layer_sizes, strict=True), start=1):
        for number in range(1, blocks + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, filters, stride, f"stage{stage}_block{number}")
    return layers.GlobalAveragePooling3D(name="pool")(x)


def factor_channels(kernel, channels, filters):
    """Channels between two factors that have together the weights of the whole kernel, or a few
    less (section 3.5 of Tran et al.)."""
    t, height, width = kernel
    cells = height * width
    whole = t * cells * channels * filters
    return max(1, whole // (cells * channels + t * filters))
