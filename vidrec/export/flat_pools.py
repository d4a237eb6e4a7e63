"""Pools over time, height and width as two pools of images, for runtimes that have no others.

Maxima of maxima are the maximum, and means of equally many means the mean; at a padded border the
number of values that count is a product of the axes' numbers. Axis letters: B batch, T frames, H W
pixels, C channels.
"""

import keras
from keras import layers, ops


class _Flat:
    """`call` of a 3D pool, (B, T, H, W, C) to (B, t, h, w, C)."""

    def call(self, x):
        pool = ops.max_pool if self.pool_mode == "max" else ops.average_pool
        length, *window = self.pool_size
        step, *steps = self.strides
        batch, frames, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (batch * frames, height, width, channels))
        x = pool(x, tuple(window), tuple(steps), self.padding, "channels_last")
        _, height, width, _ = ops.shape(x)
        x = ops.reshape(x, (batch, frames, height * width, channels))
        x = pool(x, (length, 1), (step, 1), self.padding, "channels_last")
        return ops.reshape(x, (batch, ops.shape(x)[1], height, width, channels))


class FlatMaxPooling3D(_Flat, layers.MaxPooling3D):
    """Keras' layer, by `max_pool` of images."""


class FlatAveragePooling3D(_Flat, layers.AveragePooling3D):
    """Keras' layer, by `average_pool` of images."""


FLAT = {
    layers.MaxPooling3D: FlatMaxPooling3D,
    layers.AveragePooling3D: FlatAveragePooling3D,
}


def flat_pools(model):
    """A model that computes the same without 3D pools.

    Args:
        model: functional keras.Model, channels last; it stays as it is.

    Returns:
        The model itself if it has no such pools, or else a copy, with copies of its weights.
    """
    if not any(type(layer) in FLAT for layer in model._flatten_layers()):
        return model
    copy = keras.models.clone_model(model, clone_function=_clone, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _clone(layer):
    return FLAT.get(type(layer), type(layer)).from_config(layer.get_config())
