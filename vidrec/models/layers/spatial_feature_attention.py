"""Spatial feature attention: two maps fused and weighted by place (Cai and Cai, section 3.2,
equations 10 to 12). Axis letters: B batch, H W cells, C channels.
"""

import keras
from keras import ops

from vidrec.models.layers.attention import softmax_over


@keras.saving.register_keras_serializable(package="vidrec")
class SpatialFeatureAttention(keras.layers.Layer):
    """The maps s1 and s2, (B, 2, H, W, C), to lambda, (B, H, W, C), in float32 whatever the policy.

        gamma  = GELU(s1) GELU(s2)                                    equation 10
        beta   = softmax of gamma over the H W cells                  equation 11
        lambda = f(beta, gamma), a dense layer of both, 2C to C       equation 12

    The GELU is exact and nothing is dropped [H21]; each channel has its own softmax [H22].
    """

    def __init__(self, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)

    def build(self, shape):
        channels = shape[-1]
        self.dense = keras.layers.Dense(channels, dtype=self.dtype_policy, name="dense")
        self.dense.build((None, 2 * channels))

    def call(self, maps):
        gamma = self.fused(maps)
        beta = softmax_over(gamma, (1, 2))
        return self.dense(ops.concatenate([beta, gamma], axis=-1))

    def fused(self, maps):
        """Equation 10: gamma, float32 (B, H, W, C)."""
        gelu = ops.gelu(ops.cast(maps, "float32"), approximate=False)
        return gelu[:, 0] * gelu[:, 1]

    def scores(self, maps):
        """Equation 11: beta, float32 (B, H, W, C), which sums to 1 over H and W."""
        return softmax_over(self.fused(maps), (1, 2))

    def macs(self, shape):
        """Multiply-adds: the dense layer's, of beta and gamma at each cell."""
        batch, _, height, width, channels = shape
        return batch * height * width * 2 * channels * channels

    def compute_output_shape(self, shape):
        return (shape[0], *shape[2:])
