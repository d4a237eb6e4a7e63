"""Weights from one network to another of the same shape, across modalities where they differ.

Cross-modality initialisation (Qiao et al. 2021, section 3.4.2; the idea is Wang et al., "Towards
good practices for very deep two-stream ConvNets", 2015): the first kernel is averaged over the
input channels of the source and the mean repeated for each channel of the target; every other
weight is copied. The paper calls it cross input.
"""

import keras
import numpy as np

SCALES = (None, "preserve")


def cross_modality_kernel(kernel, channels, *, scale=None):
    """The mean over the input channels, repeated.

    Args:
        kernel: float array (h, w, C, filters).
        channels: int, input channels of the result.
        scale: None, as the paper and TSN have it: an input equal in all channels then gives
            channels / C times the response, until batch normalisation has adapted. "preserve"
            multiplies by C / channels, so that this response stays the same.

    Returns:
        float array (h, w, channels, filters), equal along its input channels.

    Raises:
        ValueError: if `scale` is unknown.
    """
    if scale not in SCALES:
        raise ValueError(f"`scale` must be one of {SCALES}. Received: scale={scale!r}")
    mean = kernel.mean(axis=2, keepdims=True)
    if scale == "preserve":
        mean = mean * (kernel.shape[2] / channels)
    return np.repeat(mean, channels, axis=2)


def transfer_weights(source, target, *, include_head=True, scale=None):
    """Copies all weights, layer by layer in order; the first convolution across modalities.

    Layers are matched by order and type, not by name: Keras numbers unnamed layers differently in
    every instance.

    Args:
        source: keras.Model.
        target: keras.Model of the same layers; the channels of its input may differ.
        include_head: bool, whether the Dense layers named "<...>logits" or "<...>head" are copied;
            without them, the target may have other classes.
        scale: see `cross_modality_kernel`.

    Returns:
        The name of the layer whose kernel was averaged, or None if the channels agree.

    Raises:
        ValueError: if the layers do not correspond, or a shape differs that should not.
    """
    averaged = None
    for number, (old, new) in enumerate(_pairs(source, target)):
        if _is_head(old) and not include_head:
            continue
        values, wanted = old.get_weights(), new.get_weights()
        channels = wanted[0].shape[-2] if wanted[0].ndim > 2 else None
        if number == 0 and channels is not None and channels != values[0].shape[-2]:
            values[0] = cross_modality_kernel(values[0], channels, scale=scale)
            averaged = new.name
        if [v.shape for v in values] != [w.shape for w in wanted]:
            hint = " Pass include_head=False to leave the head as it is." if _is_head(old) else ""
            raise ValueError(
                f"The weights of layer {old.name!r} do not fit layer {new.name!r}.{hint} "
                f"Received: {[v.shape for v in values]} for {[w.shape for w in wanted]}"
            )
        new.set_weights(values)
    return averaged


def _is_head(layer):
    return isinstance(layer, keras.layers.Dense) and layer.name.endswith(("logits", "head"))


def _pairs(source, target):
    """The layers that own weights, of both models, side by side."""
    old, new = _weighted_layers(source), _weighted_layers(target)
    if [type(layer) for layer in old] != [type(layer) for layer in new]:
        raise ValueError(
            "`source` and `target` must have the same layers with weights, in the same order. "
            f"Received: {len(old)} layers in {source.name!r}, {len(new)} in {target.name!r}"
        )
    return list(zip(old, new, strict=True))


def _weighted_layers(model):
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += _weighted_layers(layer)
        elif layer.weights:
            found.append(layer)
    return found
