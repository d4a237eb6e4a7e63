"""Farneback's optical flow as TensorFlow operations (Farneback 2003), as OpenCV computes it.

Each neighbourhood of both frames is approximated by a quadratic polynomial; the displacement that
makes the two agree is averaged over a window. Axis letters: P pairs, H W pixels. Polynomials are
float32 (P, H, W, 5): the coefficients of y, x, y^2, x^2 and xy.
"""

import functools

import cv2
import numpy as np
import tensorflow as tf

from vidrec.export.resampling import coarse_to_fine, resize, shared_graph

_SMALLEST = 32  # px, no pyramid level is smaller
_FADING = (0.14, 0.14, 0.4472, 0.4472, 0.4472)  # trust in the pixels next to the border
_SETTINGS = cv2.FarnebackOpticalFlow_create()  # all defaults
_POLYNOMIALS = tf.TensorSpec([None, None, None, 5])
_FLOW = tf.TensorSpec([None, 2, None, None])
_TRUST = tf.TensorSpec([None, None])
_IMAGES = tf.TensorSpec([2, None, None, None])


def farneback(previous, following):
    """Flow from frames to the frames that follow them.

    Args:
        previous, following: uint8 (P, H, W), gray.

    Returns:
        float32 (P, H, W, 2), px: u (positive to the right), v (positive downwards).
    """
    frames = tf.cast(tf.stack([previous, following]), tf.float32)
    size = tf.cast(tf.shape(previous)[1:], tf.float64)
    step, levels = _SETTINGS.getPyrScale(), []
    for level in range(_SETTINGS.getNumLevels() + 1):
        scale = step**level
        shape = tf.maximum(tf.cast(tf.round(size * scale), tf.int32), 1)
        large_enough = tf.reduce_min(size) * scale >= _SMALLEST
        levels.append((shape, large_enough, functools.partial(_solve, frames, scale, shape)))
    return coarse_to_fine(levels, tf.shape(previous)[0], step)


def _solve(frames, scale, shape, flow):
    """Refines the flow, (P, 2, H, W), at one scale; the frames are those of the video."""
    sigma = (1 / scale - 1) * 0.5
    width = max(round(sigma * 5) | 1, 3)
    first, second = tf.unstack(_polynomials(resize(_blurred(frames, width, sigma), shape)))
    fading = _fading(shape[0])[:, None] * _fading(shape[1])

    def iterate(number, flow):
        return number + 1, _displacement(first, second, flow, fading)

    def more(number, _):
        return number < _SETTINGS.getNumIters()

    return tf.while_loop(more, iterate, (tf.constant(0), flow))[1]


def _blurred(images, width, sigma):
    kernel = cv2.getGaussianKernel(width, sigma)[:, 0].astype(np.float32)
    reach = width // 2
    for axis in (2, 3):
        around = [[reach, reach] if i == axis else [0, 0] for i in range(4)]
        images = _correlate(tf.pad(images, around, "REFLECT"), kernel, axis)
    return images


def _correlate(images, kernel, axis):
    """The sum of neighbours along an axis times a kernel, where all of them are in the image."""
    count = tf.shape(images)[axis] - len(kernel) + 1
    parts = (tf.gather(images, tf.range(count) + t, axis=axis) for t in range(len(kernel)))
    return tf.add_n([weight * part for weight, part in zip(kernel.tolist(), parts, strict=True)])


def _repeated(images, reach, axis):
    """The images with the pixels at their border repeated along an axis."""
    size = tf.shape(images)[axis]
    return tf.gather(
        images, tf.clip_by_value(tf.range(-reach, size + reach), 0, size - 1), axis=axis
    )


@shared_graph(_IMAGES)
def _polynomials(images):
    """float32 (2, P, H, W) to the polynomials (2, P, H, W, 5) of their neighbourhoods."""
    reach, sigma = _SETTINGS.getPolyN(), _SETTINGS.getPolySigma()
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    trust = np.exp(-(x**2) / (2 * sigma**2)).astype(np.float32)
    trust = trust / trust.sum(dtype=np.float64)
    moments = [(trust * x**power).sum() for power in range(5)]
    terms = ((0, 0), (0, 1), (1, 0), (0, 2), (2, 0), (1, 1))  # powers of y and of x
    products = [[moments[a + c] * moments[b + d] for c, d in terms] for a, b in terms]
    inverse = np.linalg.inv(products).astype(np.float32)
    kernels = [(trust * x**power).astype(np.float32) for power in range(3)]
    tall = _repeated(images, reach, 2)
    columns = [_repeated(_correlate(tall, kernel, 2), reach, 3) for kernel in kernels]

    def moment(a, b):
        return _correlate(columns[a], kernels[b], 3)

    middle = inverse[0, 3] * moment(0, 0)
    return tf.stack(
        [
            inverse[2, 2] * moment(1, 0),
            inverse[1, 1] * moment(0, 1),
            middle + inverse[4, 4] * moment(2, 0),
            middle + inverse[3, 3] * moment(0, 2),
            inverse[5, 5] * moment(1, 1),
        ],
        axis=-1,
    )


def _fading(size):
    """How much each place along an axis counts, float32 (size,)."""
    place = tf.range(size)
    table = tf.constant([*_FADING, 1.0])
    last = len(_FADING)
    return tf.gather(table, tf.minimum(place, last)) * tf.gather(
        table, tf.minimum(size - 1 - place, last)
    )


@shared_graph(_POLYNOMIALS, _POLYNOMIALS, _FLOW, _TRUST)
def _displacement(first, second, flow, fading):
    """One iteration: the flow (P, 2, H, W) that agrees best with both frames' polynomials."""
    u, v = tf.unstack(flow, axis=1)
    moved, seen = _sampled(second, u, v)
    y1, x1, y2, x2, xy = tf.unstack(first, axis=-1)
    moved = [tf.where(seen, part, 0.0) for part in tf.unstack(moved, axis=-1)]
    a = tf.where(seen, (y2 + moved[2]) * 0.5, y2)
    b = tf.where(seen, (x2 + moved[3]) * 0.5, x2)
    c = tf.where(seen, (xy + moved[4]) * 0.25, xy * 0.5)
    h = (y1 - moved[0]) * 0.5 + a * v + c * u
    k = (x1 - moved[1]) * 0.5 + c * v + b * u
    a, b, c, h, k = (part * fading for part in (a, b, c, h, k))
    normal = tf.stack([a * a + c * c, (a + b) * c, b * b + c * c, a * h + c * k, c * h + b * k], -1)
    window = _SETTINGS.getWinSize() // 2 * 2 + 1
    for axis, shape in ((1, (window, 1)), (2, (1, window))):
        normal = tf.nn.avg_pool2d(_repeated(normal, window // 2, axis), shape, 1, "VALID")
    g11, g12, g22, h1, h2 = tf.unstack(normal, axis=-1)
    inverse = 1 / (g11 * g22 - g12 * g12 + 1e-3)
    return tf.stack([(g11 * h2 - g12 * h1) * inverse, (g22 * h1 - g12 * h2) * inverse], axis=1)


def _sampled(images, u, v):
    """Bilinear: (P, H, W, 5) at the places that the flow leads to, and whether these are inside,
    bool (P, H, W)."""
    pairs, height, width = tf.unstack(tf.shape(u))
    x = tf.range(width, dtype=tf.float32) + u
    y = tf.range(height, dtype=tf.float32)[:, None] + v
    left, top = tf.floor(x), tf.floor(y)
    right, below = (x - left)[..., None], (y - top)[..., None]
    limits = tf.cast(width - 1, tf.float32), tf.cast(height - 1, tf.float32)
    seen = (left >= 0) & (left < limits[0]) & (top >= 0) & (top < limits[1])
    column = tf.cast(tf.clip_by_value(left, 0.0, limits[0] - 1), tf.int32)
    row = tf.cast(tf.clip_by_value(top, 0.0, limits[1] - 1), tf.int32)
    at = (tf.reshape(tf.range(pairs) * height, [-1, 1, 1]) + row) * width + column
    flat = tf.reshape(images, [-1, images.shape[-1]])
    corners = [tf.gather(flat, at + step) for step in (0, 1, width, width + 1)]
    above = corners[0] * (1 - right) + corners[1] * right
    return above * (1 - below) + (corners[2] * (1 - right) + corners[3] * right) * below, seen
