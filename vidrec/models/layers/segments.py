"""Segments folded into the batch and out of it again, for any number of segments at run time.

Where a clip has one segment, its T frames take the place of the segments. Axis letters: B batch,
K segments, H W pixels, C channels, N classes.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="vidrec")
class FoldSegments(keras.layers.Layer):
    """(B, K, H, W, C) to (B * K, H, W, C); K may be unknown until run time."""

    def call(self, clip):
        return ops.reshape(clip, (-1, *clip.shape[2:]))

    def compute_output_shape(self, shape):
        return (None, *shape[2:])


@keras.saving.register_keras_serializable(package="vidrec")
class UnfoldSegments(keras.layers.Layer):
    """What a network made of folded segments, scores (B * K, N) or maps (B * K, H, W, C), back to
    (B, K, ...), with K read from the clip (B, K, ...) they came from."""

    def call(self, features, clip):
        return ops.reshape(features, (-1, ops.shape(clip)[1], *features.shape[1:]))

    def compute_output_shape(self, features_shape, clip_shape):
        return (clip_shape[0], clip_shape[1], *features_shape[1:])
