"""RGB and flow of one network must be of the same videos, which no backend checks by itself."""

import keras
from keras import ops


def check_same(rgb_shape, flow_shape, *, axis=0, what="videos"):
    """Refuses tensors of both modalities that differ along an axis, where both lengths are known.

    A batch of one beside a batch of several would be broadcast.

    Args:
        rgb_shape, flow_shape: tuples of int or None.
        axis: int.
        what: str, what the axis counts.

    Raises:
        ValueError: if the lengths differ.
    """
    lengths = rgb_shape[axis], flow_shape[axis]
    if None not in lengths and lengths[0] != lengths[1]:
        raise ValueError(
            f"`rgb` and `flow` must hold the same {what}. "
            f"Received: {lengths[0]} and {lengths[1]} of them"
        )


@keras.saving.register_keras_serializable(package="vidrec")
class SameVideos(keras.layers.Layer):
    """Stacks the scores of RGB and flow, each (B, ..., N), to (2, B, ..., N).

    Raises:
        ValueError: if they are of unlike numbers of videos. Where only a graph that runs knows
            these, the backend refuses to stack them.
    """

    def call(self, rgb, flow):
        check_same(rgb.shape, flow.shape)
        return ops.stack([rgb, flow])

    def compute_output_shape(self, rgb_shape, flow_shape):
        return (2, *rgb_shape)
