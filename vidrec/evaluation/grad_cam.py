"""Grad-CAM: where in its last maps a network has the evidence for a class.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based
localization", equations 1 and 2. Axis letters: B batch, S time steps of the maps, h w their cells,
C channels, N classes.
"""

import contextlib
import re

import numpy as np
import tensorflow as tf


def grad_cam(model, clips, classes, layer):
    """The evidence for a class, by cell.

    A channel counts as much as the class's logit rises with it, in the mean over the cells of a
    time step; what is left of their sum above 0 is the evidence.

    Args:
        model: keras.Model from clips to logits (B, N), in whatever models it is nested.
        clips: dict of uint8 (B, T, H, W, C).
        classes: int (B,), of each clip.
        layer: regular expression, the whole name of the layer with the maps; of several the last.

    Returns:
        float32 (B, S, h, w), >= 0. S is T where the layer has maps of each frame, or of each
        segment that it is called for.

    Raises:
        ValueError: if there is no such layer, or it gives no maps.
    """
    found = [each for each in model._flatten_layers() if re.fullmatch(layer, each.name)]
    if not found:
        raise ValueError(f"`layer` must be one of {model.name}. Received: layer={layer!r}")
    with tf.GradientTape(watch_accessed_variables=False) as tape, _caught(found[-1], tape) as maps:
        logits = model({name: tf.constant(x) for name, x in clips.items()}, training=False)
        chosen = tf.gather(logits, tf.constant(classes), batch_dims=1)
    if not maps or maps[0].shape.rank not in (4, 5):
        shapes = [tuple(each.shape) for each in maps]
        raise ValueError(f"Layer {found[-1].name} must give maps. Received: outputs of {shapes}")
    evidence = []
    for each, gradient in zip(maps, tape.gradient(chosen, maps), strict=True):
        gradient = tf.zeros_like(each) if gradient is None else gradient
        weights = tf.reduce_mean(gradient, axis=(-3, -2), keepdims=True)
        cells = tf.cast(tf.nn.relu(tf.reduce_sum(weights * each, axis=-1)), tf.float32)
        evidence.append(tf.reshape(cells, [len(classes), -1, *cells.shape[-2:]]))
    return np.concatenate(evidence, axis=1)  # calls for several segments come one after the other


@contextlib.contextmanager
def _caught(layer, tape):
    """What a layer gives, call by call, watched by the tape: a list that fills meanwhile."""
    outputs, call = [], layer.call

    def caught(*arguments, **options):
        result = call(*arguments, **options)
        tape.watch(result)
        outputs.append(result)
        return result

    layer.call = caught
    try:
        yield outputs
    finally:
        layer.call = call
