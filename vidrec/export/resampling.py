"""Pyramids, resizing, warping and medians as TensorFlow operations, in OpenCV's arithmetic.

They compile under XLA, and take images whose size is known only when the graph runs. Axis letters:
P pairs of frames, H W pixels, C channels. Images are float32 (..., H, W) without a channel axis.
"""

import functools

import tensorflow as tf

TAPS = 32  # OpenCV's remap knows places to 1/32 px
SHARPNESS = -0.75  # of its cubic kernel
_REACH = 4  # px of zeros around an image: wherever four taps lie, they lie within


def shared_graph(*signature):
    """Decorates a function of tensors of some TensorSpecs: its graph is made once, and called.

    Inlined wherever it is called, a pyramid's worth of it would be optimised for seconds.
    """
    attributes = {"_noinline": True}
    return tf.function(
        input_signature=signature, autograph=False, experimental_attributes=attributes
    )


def coarse_to_fine(levels, pairs, step):
    """Flow that is found in small images first, and refined in larger ones.

    Args:
        levels: list of (integer (2,), height and width, px; bool scalar, whether there is such a
            level; function of the enlarged flow of the next level to this one's), the largest
            first, which is always there. A level that is not leaves its flow as it comes, at the
            coarsest 0.
        pairs: integer scalar, P.
        step: float, the size of a level by that of the one before it.

    Returns:
        float32 (P, H, W, 2), px. Within, flow is (P, 2, H, W).
    """
    coarsest, *_ = levels[-1]
    flow = tf.zeros(tf.concat([[pairs, 2], coarsest], axis=0))
    for number, (shape, there, solve) in reversed(list(enumerate(levels))):
        if number < len(levels) - 1:
            flow = resize(flow, shape) * (1 / step)
        solve, keep = (functools.partial(call, flow) for call in (solve, tf.identity))
        flow = tf.cond(there, solve, keep) if number else solve()
    return tf.transpose(flow, [0, 2, 3, 1])


def resize(images, shape, *, scale=None):
    """Bilinear, as `cv2.resize`: pixels are areas, and nothing is smoothed when an image shrinks.

    Args:
        images: float32 (..., H, W).
        shape: integer (2,), height and width of the result, px.
        scale: float or None. Pixels of `images` to a pixel of the result; None for the ratio of the
            sizes, which a rounded size makes a little another number.

    Returns:
        float32 (..., height, width).
    """
    for axis, length in ((-2, shape[0]), (-1, shape[1])):
        size = tf.shape(images)[axis]
        ratio = tf.cast(size, tf.float32) / tf.cast(length, tf.float32) if scale is None else scale
        place = (tf.range(length, dtype=tf.float32) + 0.5) * ratio - 0.5
        place = tf.clip_by_value(place, 0.0, tf.cast(size - 1, tf.float32))
        low = tf.cast(place, tf.int32)
        share = place - tf.cast(low, tf.float32)
        share = share[:, None] if axis == -2 else share
        near = tf.gather(images, low, axis=axis)
        images = near + share * (tf.gather(images, tf.minimum(low + 1, size - 1), axis=axis) - near)
    return images


def warp_cubic(images, x, y):
    """Images at other places, as `cv2.remap` with INTER_CUBIC: places are rounded to 1/32 px, and
    zeros lie around the images.

    Args:
        images: sequence of C float32 (P, H, W).
        x, y: float32 (P, h, w), px.

    Returns:
        list of C float32 (P, h, w).
    """
    row, rows = _taps(y, tf.shape(images[0])[1])
    column, columns = _taps(x, tf.shape(images[0])[2])
    around = [[0, 0], [_REACH, _REACH], [_REACH, _REACH]]
    wide = [tf.pad(image, around) for image in images]
    width = tf.shape(wide[0])[2] - 3
    # Four neighbours in a row beside each other, so that one index finds them all.
    table = tf.stack([image[:, :, t : t + width] for t in range(4) for image in wide], axis=-1)
    pairs, height = tf.shape(table)[0], tf.shape(table)[1]
    flat = tf.reshape(table, [-1, 4 * len(images)])
    start = tf.reshape(tf.range(pairs) * height, [-1, 1, 1]) + row
    columns = tf.stack(columns, axis=-1)[..., None]
    found = 0.0
    for t in range(4):
        near = tf.gather(flat, (start + t) * width + column)
        near = tf.reshape(near, tf.concat([tf.shape(near)[:-1], [4, len(images)]], axis=0))
        found += rows[t][..., None] * tf.reduce_sum(near * columns, axis=-2)
    return tf.unstack(found, axis=-1)


def _taps(place, size):
    """The first of the four pixels around places along an axis, int32, counted in the image with
    `_REACH` zeros around it; and the weights of the four."""
    # Beyond 2^15 px OpenCV's places are not what they say either.
    steps = tf.cast(tf.round(tf.clip_by_value(place, -32768.0, 32767.0) * TAPS), tf.int32)
    index = tf.math.floordiv(steps, TAPS)
    t = tf.cast(steps - index * TAPS, tf.float32) / TAPS
    a, far = SHARPNESS, 1 - t
    first = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    second = ((a + 2) * t - (a + 3)) * t * t + 1
    third = ((a + 2) * far - (a + 3)) * far * far + 1
    index = tf.clip_by_value(index, 1 - _REACH, size + 1)
    return index - 1 + _REACH, (first, second, third, 1 - first - second - third)


def median5(images):
    """Median of 5 x 5 pixels, as `cv2.medianBlur`: pixels at the border are repeated.

    Columns are sorted, then rows of these; of the 25, thirteen may then still be the median.

    Args:
        images: float32 (..., H, W).

    Returns:
        float32 of the same shape.
    """
    height, width = tf.shape(images)[-2], tf.shape(images)[-1]
    rows, columns = (
        tf.clip_by_value(tf.range(-2, size + 2), 0, size - 1) for size in (height, width)
    )
    wide = tf.gather(tf.gather(images, rows, axis=-2), columns, axis=-1)
    columns = sort([wide[..., t : t + height, :] for t in range(5)])
    table = [sort([line[..., t : t + width] for t in range(5)]) for line in columns]
    places = [(i, j) for i in range(1, 6) for j in range(1, 6)]
    open_ = [(i, j) for i, j in places if i * j <= 13 and (6 - i) * (6 - j) <= 13]
    return sort([table[i - 1][j - 1] for i, j in open_])[len(open_) // 2]


def sort(tensors):
    """Tensors of one shape, sorted elementwise, the smallest first.

    By the exchanges of Batcher's merging; what is not used of the result is not computed.
    """
    found, n = list(tensors), len(tensors)
    p = 1 << (n - 1).bit_length() - 1 if n > 1 else 0
    top = p
    while p:
        q, r, d = top, 0, p
        while True:
            for i in range(n - d):
                if i & p == r:
                    low, high = found[i], found[i + d]
                    found[i], found[i + d] = tf.minimum(low, high), tf.maximum(low, high)
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    return found
