"""The convolutions of VGG-16 (Simonyan and Zisserman, ICLR 2015), for any number of input channels.

Weights are those of keras.applications, whose layer names these are. They were trained on BGR
images; here they take RGB, with the first kernel's input channels turned round.
"""

import functools

import keras
from keras import layers

from vidrec.models.backbones.imagenet import VGG16
from vidrec.models.backbones.pretrained import with_weights
from vidrec.models.width import scaled

FILTERS = (64, 128, 256, 512, 512)  # of the five blocks
RGB_MEANS = (123.68, 116.779, 103.939)  # of ImageNet; subtracted from 0..255, nothing is divided


def vgg16(size, channels, *, convolutions=(2, 2, 3, 3, 3), weights=None, width=1.0, name="vgg16"):
    """VGG-16 or its first layers: (B, size, size, channels) to (B, h, w, F), after the last ReLU.

    A maximum pool stands between two blocks, none behind the last: h is size / 16 with five blocks,
    size / 8 with four. Random kernels are Glorot's, as in keras.applications: they bring values of
    some 100, which images have without a division, down to about 1, where He's would keep them.

    Args:
        size: int >= 32, px.
        channels: int >= 1. With other than 3, the first convolution stays random.
        convolutions: ints, how many of each block from the first on: (2, 2, 3, 3, 3) are all 13.
        weights: None for random, "imagenet" to download them through keras.applications, or the
            path of a weight file of its VGG16 without top.
        width: float > 0, multiplies the filters of every convolution; below 1 for small tests.
        name: str, name of the model.

    Returns:
        keras.Model whose convolutions are named "block1_conv1", ...

    Raises:
        ValueError: if `width` is no finite number > 0, or `weights` are given for another than 1.
        FileNotFoundError: if `weights` is a path and there is no such file.
        RuntimeError: if the download fails; says how to go on without it.
    """
    if weights is not None and width != 1:
        raise ValueError(f"`weights` go with width=1. Received: width={width}")
    images = x = keras.Input((size, size, channels), name=f"{name}_images")
    for block, (count, filters) in enumerate(zip(convolutions, FILTERS, strict=False), start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, name=f"block{block - 1}_pool")(x)
        for number in range(1, count + 1):
            x = layers.Conv2D(
                scaled(filters, width),
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{number}",
            )(x)
    model = keras.Model(images, x, name=name)
    if weights is not None:
        build = functools.partial(keras.applications.VGG16, include_top=False)
        _copy(with_weights(build, weights, VGG16), model)
    return model


def _copy(source, model):
    """Weights of layers of the same name, from BGR images to RGB, or to other channels."""
    for layer in model.layers:
        if layer.weights:
            kernel, bias = source.get_layer(layer.name).get_weights()
            if layer.name == "block1_conv1":
                if layer.kernel.shape[2] != 3:
                    continue
                kernel = kernel[:, :, ::-1]
            layer.set_weights([kernel, bias])
