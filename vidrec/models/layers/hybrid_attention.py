"""Hybrid spatial-temporal attention: what the frames show weighs what moves (Cai and Cai, section
3.3, equations 13 to 17). Axis letters: B batch, H W cells, C channels.
"""

import math

import keras
from keras import ops

from vidrec.models.layers.attention import softmax_over
from vidrec.models.layers.same_videos import check_same
from vidrec.models.options import check_choices

AXES = {"channels": 3, "positions": (1, 2)}
ORDERS = ("softmax_then_t", "t_inside")
FUSIONS = ("add", "matmul")


def split(maps):
    """Equations 13 and 14: (B, H, W, C) to two branches (B, H / 2, W / 2, 2C).

    Each 2 x 2 square of cells becomes one cell; its upper two are b1, its lower two b2, so that no
    value is lost [H24].
    """
    height, width, channels = maps.shape[1:]
    squares = ops.reshape(maps, (-1, height // 2, 2, width // 2, 2, channels))
    squares = ops.transpose(squares, (0, 2, 1, 3, 4, 5))  # (B, upper or lower, h, w, 2, C)
    halves = ops.reshape(squares, (-1, 2, height // 2, width // 2, 2 * channels))
    return halves[:, 0], halves[:, 1]


def expand(branch):
    """Equation 16: (B, H / 2, W / 2, 2C) to (B, H, W, C).

    Each cell becomes a 2 x 2 square of a quarter of its channels, and each channel is there twice:
    the channels' redundancy that the paper wants, without weights [H28].
    """
    height, width, channels = branch.shape[1:]
    squares = ops.reshape(branch, (-1, height, width, 2, 2, channels // 4))
    squares = ops.transpose(squares, (0, 1, 3, 2, 4, 5))
    maps = ops.reshape(squares, (-1, 2 * height, 2 * width, channels // 4))
    return ops.repeat(maps, 2, axis=-1)


@keras.saving.register_keras_serializable(package="vidrec")
class HybridAttention(keras.layers.Layer):
    """lambda and T, both (B, H, W, C), to T weighted, (B, H, W, C), in float32 whatever the policy.

        b1, b2  = split(lambda)                                       equations 13, 14
        b_final = expand(dense(max3x3(b))) of each                    equations 15, 16
        A       = softmax(mat(W1 b1_final, W2 b2_final) / sqrt(C))
        out     = A T                                                 equation 17

    Args:
        axis: of the softmax, "channels" at each cell or "positions" in each channel. Over
            positions, flow that is the same everywhere leaves nothing of the frames [H32].
        gain: bool, A times the length of that axis, so that its mean is 1 [H33].
        order: "softmax_then_t", as the text has it, or "t_inside", the softmax of the scores times
            T, as the formula is printed [H31].
        fuse: what mat is: "add", their sum, as the formula's second line has it, or "matmul", each
            channel's matrix product H x H of two square maps, as PyTorch's of (B, C, H, W) [H29].
        share_fc: bool, one dense layer for both branches [H27].

    Raises:
        ValueError: if an argument is unknown, the maps' H or W is odd, C no multiple of 2, or H not
            W for "matmul", or `rgb` and `flow` are not of as many videos, which would be broadcast.
    """

    def __init__(
        self,
        *,
        axis="channels",
        gain=True,
        order="softmax_then_t",
        fuse="add",
        share_fc=False,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        known = {"axis": tuple(AXES), "order": ORDERS, "fuse": FUSIONS}
        check_choices(known, axis=axis, order=order, fuse=fuse)
        self.axis, self.gain, self.order = axis, gain, order
        self.fuse, self.share_fc = fuse, share_fc

    def build(self, maps_shape, temporal_shape):
        _, height, width, channels = maps_shape
        if height % 2 or width % 2 or channels % 2 or maps_shape[1:] != temporal_shape[1:]:
            raise ValueError(
                "The maps must be of an even height, width and number of channels, and of the "
                f"temporal feature's shape. Received: {maps_shape} and {temporal_shape}"
            )
        if self.fuse == "matmul" and height != width:
            raise ValueError(f"fuse='matmul' takes square maps. Received: {maps_shape}")
        names = ("fc",) if self.share_fc else ("fc1", "fc2")
        self.dense = [
            keras.layers.Dense(2 * channels, dtype=self.dtype_policy, name=name) for name in names
        ]
        for dense in self.dense:
            dense.build((None, 2 * channels))
        self.kernels = [
            self.add_weight(shape=(channels, channels), initializer="glorot_uniform", name=name)
            for name in ("w1_kernel", "w2_kernel")
        ]

    def call(self, maps, temporal):
        check_same(maps.shape, temporal.shape)
        logits = self.logits(maps)
        # A product would broadcast a single video; stacking refuses, by the backend's own message.
        temporal = ops.sum(ops.stack([temporal, ops.zeros_like(logits)]), axis=0)
        if self.order == "t_inside":
            return self._softmax(logits * temporal)
        return self._softmax(logits) * temporal

    def branches(self, maps):
        """Equations 13 to 16: b1_final and b2_final, (B, H, W, C)."""
        final = []
        for branch, dense in zip(split(maps), (list(self.dense) * 2)[:2], strict=True):
            branch = ops.max_pool(branch, 3, strides=1, padding="same", data_format="channels_last")
            final.append(expand(dense(branch)))
        return final

    def logits(self, maps):
        """What the softmax of equation 17 takes, before T: float32 (B, H, W, C)."""
        b1, b2 = self.branches(ops.cast(maps, "float32"))
        first, second = self.kernels
        b1, b2 = ops.matmul(b1, first), ops.matmul(b2, second)
        fused = b1 + b2 if self.fuse == "add" else ops.einsum("bhkc,bkwc->bhwc", b1, b2)
        return fused / max(1, maps.shape[-1]) ** 0.5

    def scores(self, maps):
        """A without T and without gain, float32 (B, H, W, C), which sums to 1 over `axis`."""
        return softmax_over(self.logits(maps), AXES[self.axis])

    def _softmax(self, x):
        length = x.shape[3] if self.axis == "channels" else x.shape[1] * x.shape[2]
        return softmax_over(x, AXES[self.axis]) * (length if self.gain else 1)

    def macs(self, maps_shape, temporal_shape):
        """Multiply-adds: two dense layers, 2C to 2C at a quarter of the cells, W1 and W2, and the
        product of the maps if it is one."""
        *_, width, channels = maps_shape
        product = width if self.fuse == "matmul" else 0
        return math.prod(maps_shape) * (4 * channels + product)

    def compute_output_shape(self, maps_shape, temporal_shape):
        return maps_shape

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "gain": self.gain,
            "order": self.order,
            "fuse": self.fuse,
            "share_fc": self.share_fc,
        }
