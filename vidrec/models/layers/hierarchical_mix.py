"""The HResidual unit's hierarchy: each window is read with the one before it as its prior (Cai and
Cai, section 3.1, equations 7 to 9). Axis letters: B batch, K windows, H W cells, C channels.
"""

import math

import keras
from keras import ops

from vidrec.models.layers.per_window_conv3d import glorot_in_each

HIERARCHIES = ("input", "output")


@keras.saving.register_keras_serializable(package="vidrec")
class HierarchicalMix(keras.layers.Layer):
    """Maps s, p = Phi(s) and the mask m of s to maps (B, K, H, W, C). Of window i:

        delta_i = (1 - m_i) p_i + m_i (p_i g_i)                       equation 9
        f_i     = max3x3(W_i p_i) + LeakyReLU(W_i delta_i)            equation 8
        out_i   = f_i + s_(i-1), with s_0 = 0                         equation 7

    s and p are (B, K, H, W, C), m is (B, K, H, W, 1) in [0, 1]; W is a matrix (C, C) and g a vector
    (C,) of each window. The maximum keeps the resolution, or the terms would not fit [H15].

    Args:
        share: bool, one W and one g for all windows [H14].
        hierarchy: what out_i adds: "input", s_(i-1), or "output", out_(i-1) [H12].
        hard_mask: bool, the mask is rounded to 0 or 1 and its gradient passed through [H17].
        leaky_slope: float >= 0.

    Raises:
        ValueError: if an argument is unknown or outside its range.
    """

    def __init__(
        self, *, share=False, hierarchy="input", hard_mask=False, leaky_slope=0.01, **kwargs
    ):
        super().__init__(**kwargs)
        if hierarchy not in HIERARCHIES or not leaky_slope >= 0:
            raise ValueError(
                f"`hierarchy` must be one of {HIERARCHIES}, and `leaky_slope` >= 0. "
                f"Received: hierarchy={hierarchy!r}, leaky_slope={leaky_slope}"
            )
        self.share, self.hierarchy = share, hierarchy
        self.hard_mask, self.leaky_slope = hard_mask, leaky_slope

    def build(self, s_shape, p_shape, m_shape):
        windows, channels = 1 if self.share else s_shape[1], s_shape[-1]
        self.kernel = self.add_weight(
            shape=(windows, channels, channels), initializer=glorot_in_each(windows), name="kernel"
        )
        self.gate = self.add_weight(  # at 1 the mask would mean nothing and not learn [H18]
            shape=(windows, channels),
            initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
            name="gate",
        )

    def call(self, s, p, m):
        f = self._peaks(self._product(p)) + ops.leaky_relu(
            self._product(self.delta(p, m)), negative_slope=self.leaky_slope
        )
        if self.hierarchy == "output":
            return ops.cumsum(f, axis=1)
        before = ops.pad(s[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
        return f + before

    def delta(self, p, m):
        """Equation 9: (B, K, H, W, C)."""
        if self.hard_mask:
            step = ops.cast(m > 0.5, m.dtype)
            m = m + ops.stop_gradient(step - m)
        return (1 - m) * p + m * (p * self.gate[:, None, None, :])

    def _product(self, x):
        """W of each window times every cell's channels."""
        windows, height, width, channels = x.shape[1:]
        flat = ops.reshape(x, (-1, windows, height * width, channels))
        return ops.reshape(ops.matmul(flat, self.kernel), (-1, *x.shape[1:]))

    def _peaks(self, x):
        """The largest of each cell's 3 x 3 neighbours."""
        images = ops.reshape(x, (-1, *x.shape[2:]))
        images = ops.max_pool(images, 3, strides=1, padding="same", data_format="channels_last")
        return ops.reshape(images, (-1, *x.shape[1:]))

    def macs(self, s_shape, p_shape, m_shape):
        """Multiply-adds: two products of a matrix and every cell's channels."""
        return 2 * math.prod(p_shape) * p_shape[-1]

    def compute_output_shape(self, s_shape, p_shape, m_shape):
        return s_shape

    def get_config(self):
        return {
            **super().get_config(),
            "share": self.share,
            "hierarchy": self.hierarchy,
            "hard_mask": self.hard_mask,
            "leaky_slope": self.leaky_slope,
        }
