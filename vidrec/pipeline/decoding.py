"""Reads and decodes the images of a clip, and only those.

The loops are unrolled into the graph: the number of images of a clip is known, and unrolled reads
run in parallel where `tf.map_fn` would add a loop's overhead to each. `tf.io.decode_jpeg` raises
on a truncated file, where OpenCV would return a half-gray image.
"""

import tensorflow as tf


def read_rgb(paths):
    """Reads colour frames.

    Args:
        paths: string (T,), T static.

    Returns:
        uint8 (T, H, W, 3), RGB. A gray JPG gives three equal channels.

    Raises:
        tf.errors.NotFoundError, tf.errors.InvalidArgumentError: if a file is missing, is no whole
            JPG, or differs in size from the first.
    """
    return tf.stack([decode(tf.io.read_file(path), channels=3) for path in tf.unstack(paths)])


def read_flow(x_paths, y_paths):
    """Reads flow codes and interleaves them: u1, v1, u2, v2, ...

    Args:
        x_paths, y_paths: string (T, L), static, oldest pair first.

    Returns:
        uint8 (T, H, W, 2L).

    Raises:
        tf.errors.NotFoundError, tf.errors.InvalidArgumentError: as `read_rgb`.
    """
    interleaved = tf.reshape(tf.stack([x_paths, y_paths], axis=-1), [x_paths.shape[0], -1])
    stacks = [
        tf.concat([decode(tf.io.read_file(path), channels=1) for path in tf.unstack(row)], axis=-1)
        for row in tf.unstack(interleaved)
    ]
    return tf.stack(stacks)


def image_paths(prefix, numbers, digits, suffix):
    """Paths of numbered images.

    Args:
        prefix: string scalar, the path up to the number.
        numbers: int32 tensor of any shape, counted from 1.
        digits: int, the number's width; zeros fill it.
        suffix: str, what follows the number.

    Returns:
        string tensor of the shape of `numbers`.
    """
    return tf.strings.join([prefix, tf.strings.as_string(numbers, width=digits, fill="0"), suffix])


def decode(data, channels):
    """The bytes of a JPG, string scalar, to uint8 (H, W, channels)."""
    return tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE")
