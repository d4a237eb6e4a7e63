"""A 3 x 3 x 3 convolution whose kernel differs from window to window (Cai and Cai, tables 1 and 3).

The kernel's depth reaches over a window and its two neighbours. One convolution per window is a
2D one of three windows' channels: a single grouped convolution would be 14 to 28 times as slow
backwards on a CPU. Axis letters: B batch, K windows, H W cells, C channels, F filters.
"""

import math

import keras
from keras import ops


def glorot_in_each(windows):
    """Glorot's uniform start of each of `windows` kernels that are stacked in one variable, whose
    first axis Keras takes for places of one kernel."""
    return keras.initializers.VarianceScaling(windows, mode="fan_avg", distribution="uniform")


@keras.saving.register_keras_serializable(package="vidrec")
class PerWindowConv3D(keras.layers.Layer):
    """Maps (B, K, H, W, C) to (B, K, H, W, F); zeros stand before the first window, behind the last
    and around the maps.

    Its kernel (K, 3, 3, 3 C, F) has window, height, width, then C channels of the window before, of
    the window itself and of the next one; its bias is (K, F).

    Args:
        filters: int >= 1, F.

    Raises:
        ValueError: if it is not.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"`filters` must be at least 1. Received: filters={filters}")
        self.filters = filters

    def build(self, shape):
        windows, channels = shape[1], shape[-1]
        self.kernel = self.add_weight(
            shape=(windows, 3, 3, 3 * channels, self.filters),
            initializer=glorot_in_each(windows),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(windows, self.filters), initializer="zeros", name="bias")

    def call(self, maps):
        windows = maps.shape[1]
        padded = ops.unstack(ops.pad(maps, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0))), axis=1)
        # Unstacked, not sliced: the gradient of a slice is as large as the whole kernel.
        kernels = ops.unstack(ops.convert_to_tensor(self.kernel), windows)
        found = [
            ops.conv(
                ops.concatenate(padded[window : window + 3], axis=-1),
                kernel,
                padding="same",
                data_format="channels_last",
            )
            for window, kernel in enumerate(kernels)
        ]
        return ops.stack(found, axis=1) + self.bias[:, None, None, :]

    def macs(self, shape):
        """Multiply-adds: those of 3 x 3 x 3 cells, the zeros around the maps among them."""
        return 27 * math.prod(shape) * self.filters

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
