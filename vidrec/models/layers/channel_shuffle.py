"""Channel shuffle, which lets groups of channels exchange what they hold (Zhang et al.,
"ShuffleNet", CVPR 2018; Cai and Cai, section 3.1). C channels.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="vidrec")
class ChannelShuffle(keras.layers.Layer):
    """Tensor (..., C) to (..., C): the first channel of every group, then the second of each, ...

    Args:
        groups: int >= 1 that divides C; 8 groups of 64 channels give 0, 8, 16, ..., 56, 1, 9, ...

    Raises:
        ValueError: if it does not.
    """

    def __init__(self, groups, **kwargs):
        super().__init__(**kwargs)
        if groups < 1:
            raise ValueError(f"`groups` must be at least 1. Received: groups={groups}")
        self.groups = groups

    def build(self, shape):
        if shape[-1] % self.groups:
            raise ValueError(
                "`groups` must divide the channels. "
                f"Received: groups={self.groups}, {shape[-1]} channels"
            )

    def call(self, x):
        *lengths, channels = x.shape
        inner = [-1 if length is None else length for length in lengths]
        x = ops.reshape(x, (*inner, self.groups, channels // self.groups))
        return ops.reshape(ops.swapaxes(x, -1, -2), (*inner, channels))

    def macs(self, shape):
        """Multiply-adds: none, values change places."""
        return 0

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}
