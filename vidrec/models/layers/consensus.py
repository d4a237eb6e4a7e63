"""Segment consensus: K score vectors become one (Qiao et al. 2021, section 3.4.1).

Axis letters: B batch, K segments, N classes.
"""

import math

import keras
from keras import layers, ops

CONSENSUS = ("mean", "max", "weighted")


def merge_segments(scores, mode="mean", *, segment_weights=None, name="consensus"):
    """Merges the scores of K segments in float32, with built-in layers unless weights are learnt.

    Args:
        scores: list of K tensors (B, N), or one tensor (B, K, N) whose K may be unknown.
        mode: "mean" (the paper's choice), "max", or "weighted".
        segment_weights: for "weighted": K numbers >= 0, normalised to sum 1, or None to learn them.
        name: str, name of the layer that gives the result.

    Returns:
        float32 (B, N).

    Raises:
        ValueError: if `mode` is unknown, or the weights do not fit the segments.
    """
    if mode not in CONSENSUS:
        raise ValueError(f"`consensus` must be one of {CONSENSUS}. Received: consensus={mode!r}")
    if segment_weights is not None and mode != "weighted":
        raise ValueError(
            "`segment_weights` goes with consensus='weighted'. "
            f"Received: consensus={mode!r}, segment_weights={segment_weights}"
        )
    apart = isinstance(scores, list)
    if mode == "weighted":
        segments = len(scores) if apart else scores.shape[1]
        if segments is None:
            raise ValueError("consensus='weighted' needs a known number of segments.")
        if segment_weights is None:
            stacked = ops.stack(scores, axis=1) if apart else scores
            return WeightedConsensus(dtype="float32", name=name)(stacked)
        shares = _normalised(segment_weights, segments)
        parts = scores if apart else ops.unstack(scores, segments, axis=1)
        parts = [
            layers.Rescaling(share, dtype="float32", name=f"{name}_weight_{k}")(part)
            for k, (share, part) in enumerate(zip(shares, parts, strict=True), start=1)
        ]
        return layers.Add(dtype="float32", name=name)(parts) if segments > 1 else parts[0]
    if not apart:
        pool = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[mode]
        return pool(dtype="float32", name=name)(scores)
    if len(scores) == 1:
        return layers.Identity(dtype="float32", name=name)(scores[0])
    merge = {"mean": layers.Average, "max": layers.Maximum}[mode]
    return merge(dtype="float32", name=name)(scores)


def _normalised(weights, segments):
    weights = [float(weight) for weight in weights]
    if len(weights) != segments or min(weights) < 0 or sum(weights) == 0:
        raise ValueError(
            f"`segment_weights` must be {segments} numbers >= 0 that do not sum to 0. "
            f"Received: segment_weights={weights}"
        )
    return [weight / sum(weights) for weight in weights]


@keras.saving.register_keras_serializable(package="vidrec")
class WeightedConsensus(keras.layers.Layer):
    """Learnt weighted average over segments, (B, K, N) to (B, N).

    K weights pass through a softmax, so they sum to 1; all start at 0, which is the average.
    """

    def build(self, shape):
        self.segment_logits = self.add_weight(
            shape=(shape[1],), initializer="zeros", name="segment_logits"
        )

    def macs(self, shape):
        """Multiply-adds: each score is weighted once."""
        return math.prod(shape)

    def call(self, scores):
        return ops.einsum("bkn,k->bn", scores, ops.softmax(self.segment_logits))
