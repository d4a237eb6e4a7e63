"""Dual TV-L1 optical flow as TensorFlow operations, for a model that takes raw video.

The algorithm of `vidrec.extraction.tvl1`, for any number of pairs at once, on any device, and under
XLA. Each pair stops when it has converged, as if it were alone. Axis letters: P pairs, H W pixels;
flow, its gradients and its dual variables are float32 (P, 2, H, W), of u and of v.
"""

import functools

import tensorflow as tf

from vidrec.export.resampling import (
    coarse_to_fine,
    median5,
    resize,
    shared_graph,
    warp_cubic,
)
from vidrec.extraction.tvl1_parameters import PARAMETERS, SMALLEST, TINY

_REACH = PARAMETERS["lambda"] * PARAMETERS["theta"]
_FRAMES = tf.TensorSpec([None, None, None])
_FLOW = tf.TensorSpec([None, 2, None, None])


def tvl1(previous, following):
    """Flow from frames to the frames that follow them.

    Args:
        previous, following: uint8 (P, H, W), gray.

    Returns:
        float32 (P, H, W, 2), px: u (positive to the right), v (positive downwards).
    """
    levels = []
    for images in zip(_pyramid(previous), _pyramid(following), strict=True):
        shape = tf.shape(images[0])[1:]
        large_enough = tf.reduce_min(shape) >= SMALLEST
        levels.append((shape, large_enough, functools.partial(_solve, *images)))
    return coarse_to_fine(levels, tf.shape(previous)[0], PARAMETERS["scale_step"])


def _pyramid(frames):
    levels = [tf.cast(frames, tf.float32)]
    step = PARAMETERS["scale_step"]
    while len(levels) < PARAMETERS["scales"]:
        shape = tf.cast(tf.shape(levels[-1])[1:], tf.float64)
        shape = tf.cast(tf.round(shape * step), tf.int32)
        levels.append(resize(levels[-1], tf.maximum(shape, 1), scale=1 / step))
    return levels


@shared_graph(_FRAMES, _FRAMES, _FLOW)
def _solve(first, second, flow):
    """Refines the flow at one scale; the frames are float32 (P, H, W), 0 to 255."""
    shape = tf.shape(first)
    limit = tf.cast(shape[1] * shape[2], tf.float32) * PARAMETERS["epsilon"] ** 2
    column = tf.range(shape[2], dtype=tf.float32)
    row = tf.range(shape[1], dtype=tf.float32)[:, None]
    images = [second, *_gradients(second)]
    # A difference to the right has no meaning in the last column, nor one downwards in the last
    # row. So the dual variables stay 0 there, which is what the borders of the divergence need.
    tau = PARAMETERS["tau"]
    steps = tau * tf.cast(column < column[-1], tf.float32), tau * tf.cast(row < row[-1], tf.float32)

    def warp(number, flow, p, q):
        u, v = flow[:, 0], flow[:, 1]
        warped, *gradient = warp_cubic(images, u + column, v + row)
        gradient = tf.stack(gradient, axis=1)
        norm = tf.maximum(tf.reduce_sum(gradient**2, axis=1, keepdims=True), TINY)
        rho = (warped - first)[:, None] - tf.reduce_sum(gradient * flow, axis=1, keepdims=True)
        iterate = functools.partial(_iterate, gradient, gradient / -norm, rho / -norm, steps)
        return number + 1, *_until_still(iterate, limit, flow, p, q)

    def more(number, *_):
        return number < PARAMETERS["warps"]

    state = tf.constant(0), flow, tf.zeros_like(flow), tf.zeros_like(flow)
    return tf.while_loop(more, warp, state)[1]


def _gradients(image):
    """Central differences; at the border half of the one-sided ones."""
    for axis in (2, 1):
        size = tf.shape(image)[axis]
        place = tf.range(size)
        after = tf.gather(image, tf.minimum(place + 1, size - 1), axis=axis)
        yield 0.5 * (after - tf.gather(image, tf.maximum(place - 1, 0), axis=axis))


def _until_still(iterate, limit, flow, p, q):
    """Rounds of a median and up to `inner` iterations, of each pair until it changes less than the
    limit."""

    def turn(number, moving, flow, p, q):
        flow = tf.where(moving, median5(flow), flow)
        state = tf.constant(0), moving, flow, p, q
        _, moving, flow, p, q = tf.while_loop(any_of("inner"), one, state)
        return number + 1, moving, flow, p, q

    def one(number, moving, *state):
        new = iterate(*state)
        change = tf.reduce_sum((new[0] - state[0]) ** 2, axis=[1, 2, 3], keepdims=True)
        state = [tf.where(moving, x, old) for x, old in zip(new, state, strict=True)]
        return number + 1, moving & (change > limit), *state

    def any_of(name):
        return lambda number, moving, *_: (number < PARAMETERS[name]) & tf.reduce_any(moving)

    moving = tf.ones_like(flow[:, :1, :1, :1], dtype=tf.bool)
    state = tf.constant(0), moving, flow, p, q
    return tf.while_loop(any_of("outer"), turn, state)[2:]


def _iterate(gradient, slope, offset, steps, flow, p, q):
    """One step of the flow and of its dual variables times theta: p along rows, q down columns.

    `offset` + `slope` * flow is how far the data term would move the flow along the gradient.
    """
    along = offset + tf.reduce_sum(slope * flow, axis=1, keepdims=True)
    along = tf.clip_by_value(along, -_REACH, _REACH)
    divergence = (p - tf.roll(p, 1, axis=3)) + (q - tf.roll(q, 1, axis=2))
    flow = flow + along * gradient + divergence
    dx = steps[0] * (tf.roll(flow, -1, axis=3) - flow)
    dy = steps[1] * (tf.roll(flow, -1, axis=2) - flow)
    length = 1 + tf.sqrt(dx * dx + dy * dy) / PARAMETERS["theta"]
    return flow, (p + dx) / length, (q + dy) / length
