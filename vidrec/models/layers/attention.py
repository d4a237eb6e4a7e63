"""Attention pooling over frames and over the cells of a feature map (Shi et al. 2021, section 3).

The scores that the softmax takes are made by convolutions of the model; these layers have no
weights, and work in float32 whatever the policy. Axis letters: B batch, T frames, H W cells, D
features, A channels of the temporal scores, J spatial models.
"""

import math

import keras
from keras import ops

TEMPORAL_MODES = ("mean", "channel")
SPATIAL_AGGS = ("sum_ref", "sum", "mean")


def softmax_over(logits, axes):
    """Softmax over one axis or several together; their lengths may be unknown, or 1."""
    powers = ops.exp(logits - ops.stop_gradient(ops.max(logits, axis=axes, keepdims=True)))
    return powers / ops.sum(powers, axis=axes, keepdims=True)


@keras.saving.register_keras_serializable(package="vidrec")
class TemporalAttentionPool(keras.layers.Layer):
    """Equations 2 and 3: features (B, T, D) weighted by frame, summed to (B, D).

    Each of the A channels of the logits (B, T, A) has its softmax over the frames.

    Args:
        mode: "mean" weights a frame by the average of its A shares. "channel" weights each feature
            by its own share, for which D must be A.

    Raises:
        ValueError: if `mode` is unknown, or "channel" is given other features than logits.
    """

    def __init__(self, mode="mean", dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        if mode not in TEMPORAL_MODES:
            raise ValueError(f"`mode` must be one of {TEMPORAL_MODES}. Received: mode={mode!r}")
        self.mode = mode

    def build(self, features_shape, logits_shape):
        if self.mode == "channel" and features_shape[-1] != logits_shape[-1]:
            raise ValueError(
                "mode='channel' needs as many features as logits per frame. "
                f"Received: {features_shape[-1]} features, {logits_shape[-1]} logits"
            )

    def call(self, features, logits):
        if self.mode == "mean":
            return ops.einsum("bt,btd->bd", self.scores(logits), features)
        return ops.sum(softmax_over(logits, 1) * features, axis=1)

    def scores(self, logits):
        """Logits (B, T, A) to the frames' shares (B, T), which sum to 1 over T."""
        return ops.mean(softmax_over(ops.cast(logits, "float32"), 1), axis=-1)

    def macs(self, features_shape, logits_shape):
        """Multiply-adds: each feature is weighted once."""
        return math.prod(features_shape)

    def compute_output_shape(self, features_shape, logits_shape):
        return (features_shape[0], features_shape[-1])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable(package="vidrec")
class SpatialAttentionPool(keras.layers.Layer):
    """Equations 6 and 7: features (B, T, H, W, D) weighted by cell, summed to (B, J, D).

    Each of the J channels of the logits (B, T, H, W, J) has its softmax over the cells of a frame.

    Args:
        agg: how the frames are joined. "sum" grows with T, as the equation has it; "mean" divides
            by T; "sum_ref" is the mean times `ref_frames`: the sum when T is `ref_frames`, and
            independent of T otherwise.
        ref_frames: int >= 1.

    Raises:
        ValueError: if an argument is unknown or outside its range.
    """

    def __init__(self, agg="sum_ref", ref_frames=6, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        if agg not in SPATIAL_AGGS or ref_frames < 1:
            raise ValueError(
                f"`agg` must be one of {SPATIAL_AGGS} and `ref_frames` at least 1. "
                f"Received: agg={agg!r}, ref_frames={ref_frames}"
            )
        self.agg, self.ref_frames = agg, ref_frames

    def call(self, features, logits):
        pooled = ops.einsum("bthwj,bthwd->bjd", self.scores(logits), features)
        if self.agg == "sum":
            return pooled
        frames = ops.cast(ops.shape(features)[1], pooled.dtype)
        return pooled * ((self.ref_frames if self.agg == "sum_ref" else 1) / frames)

    def scores(self, logits):
        """Logits (B, T, H, W, J) to the cells' shares, which sum to 1 over H and W."""
        return softmax_over(ops.cast(logits, "float32"), (2, 3))

    def macs(self, features_shape, logits_shape):
        """Multiply-adds: each feature is weighted J times."""
        return math.prod(features_shape) * logits_shape[-1]

    def compute_output_shape(self, features_shape, logits_shape):
        return (features_shape[0], logits_shape[-1], features_shape[-1])

    def get_config(self):
        return {**super().get_config(), "agg": self.agg, "ref_frames": self.ref_frames}
