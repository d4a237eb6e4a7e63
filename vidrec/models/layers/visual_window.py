"""Spatial visual window: pairs of frames merged and normalised by how alike they are (Cai and Cai,
section 3.1, equations 2 to 6). Axis letters: B batch, T frames, H W cells, C channels.
"""

import keras
from keras import ops

NORMS = ("mean", "frobenius")


@keras.saving.register_keras_serializable(package="vidrec")
class SpatialVisualWindow(keras.layers.Layer):
    """Maps (B, T, H, W, C) of T frames to T / 2 windows of two, (B, T / 2, H, W, C).

    Of the maps A and B of a window, in float32 whatever the policy:

        xi    = A + B                                                 equation 2
        u     = |A - B|                                               equation 3
        sigma = (|A - u|^2 + |B - u|^2) / 2                           equation 4
        s     = (xi - u) / sqrt(sigma + epsilon)                      equation 5

    u and sigma are one number per video and window. The windows stay apart on their own axis where
    equation 6 lays them end to end as channels: the same numbers.

    Args:
        epsilon: float > 0.
        norm: what | | is: "mean", over the map's cells and channels, or "frobenius", with which
            sigma grows with the map and s vanishes [H9].
        noise_std: float >= 0. In training, epsilon is more by the absolute value of a normal draw
            of this deviation, one per video and window; less than 0 might leave no root [H10].

    Raises:
        ValueError: if an argument is outside its range, or T is odd.
    """

    def __init__(self, *, epsilon=1e-5, norm="mean", noise_std=0.0, **kwargs):
        super().__init__(**kwargs)
        if norm not in NORMS:
            raise ValueError(f"`norm` must be one of {NORMS}. Received: norm={norm!r}")
        if not epsilon > 0 or not noise_std >= 0:
            raise ValueError(
                "`epsilon` must be > 0 and `noise_std` >= 0. "
                f"Received: epsilon={epsilon}, noise_std={noise_std}"
            )
        self.epsilon, self.norm, self.noise_std = epsilon, norm, noise_std
        self.seeds = keras.random.SeedGenerator() if noise_std else None

    def build(self, shape):
        if shape[1] is None or shape[1] % 2:
            raise ValueError(f"Windows take two frames each. Received: T={shape[1]}")

    def call(self, maps, training=False):
        maps = ops.cast(maps, "float32")
        first, second = maps[:, ::2], maps[:, 1::2]  # not by six axes, which LiteRT cannot cut
        norm = self._norm
        u = norm(first - second, 1)
        sigma = 0.5 * (norm(first - u, 2) + norm(second - u, 2))
        epsilon = self.epsilon
        if training and self.noise_std:
            draws = keras.random.normal(ops.shape(sigma), stddev=self.noise_std, seed=self.seeds)
            epsilon = epsilon + ops.abs(draws)
        s = (first + second - u) / ops.sqrt(sigma + epsilon)
        return ops.cast(s, self.compute_dtype)

    def _norm(self, x, power):
        """|x| or |x|^2 of maps (B, T / 2, H, W, C): (B, T / 2, 1, 1, 1)."""
        axes = (2, 3, 4)
        if self.norm == "mean":
            return ops.mean(ops.abs(x) if power == 1 else x * x, axis=axes, keepdims=True)
        squares = ops.sum(x * x, axis=axes, keepdims=True)
        # The root of nothing has no gradient.
        return ops.sqrt(ops.maximum(squares, 1e-30)) if power == 1 else squares

    def macs(self, shape):
        """Multiply-adds: none is counted of a normalisation."""
        return 0

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] // 2, *shape[2:])

    def get_config(self):
        own = {"epsilon": self.epsilon, "norm": self.norm, "noise_std": self.noise_std}
        return {**super().get_config(), **own}
