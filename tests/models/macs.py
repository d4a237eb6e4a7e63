"""Multiply-adds counted from the shapes of the layers, normalisation and pooling left out."""

import math

import keras


def macs(model):
    """{layer's name: multiply-adds} of convolutions and dense layers, for one element of the batch.

    An axis of unknown length, such as the frames of a clip, counts once.
    """
    return {
        layer.name: math.prod(n or 1 for n in layer.output.shape[1:-1]) * math.prod(kernel.shape)
        for layer in model._flatten_layers()
        if isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Dense))
        for kernel in [layer.kernel]
    }
