"""From raw video to the clips of a test within a graph: sampling, optical flow, scaling, cropping.

What `video_clip.py` does with a file, as TensorFlow operations on frames, but for the JPG in
between. Axis letters: N frames, P pairs, T moments of a clip, L flow length, H W pixels.
"""

import tensorflow as tf

from vidrec.export.farneback_graph import farneback
from vidrec.export.flow_graph import tvl1

GRAPHS = {"fast": tvl1, "opencv": tvl1, "farneback": farneback}  # of the engines of extraction
AT_ONCE = 8  # pairs whose flow is computed together, so that memory does not grow with a clip


def lacks_graph(recipe):
    """Why the clips of a ClipRecipe cannot be made within a graph, str; "" if they can."""
    if "flow" not in recipe.clip.modalities or recipe.flow.engine in GRAPHS:
        return ""
    return (
        f"flow of engine {recipe.flow.engine!r} is not computed within a graph, only that of "
        f"{', '.join(GRAPHS)}"
    )


def views_of(video, recipe, *, compiled=False):
    """The clips of a video.

    Args:
        video: uint8 (N, H, W, 3), RGB, consecutive frames.
        recipe: ClipRecipe; `lacks_graph` says which cannot.
        compiled: bool, whether XLA compiles the flow, anew for each size of video.

    Returns:
        dict of uint8 (views, T, S, S, C), as `vidrec.export.video_clip.read_clip`.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, if the video is too short.
    """
    count, least = tf.shape(video)[0], recipe.shortest
    message = f"`video` must have at least {least} frames for this model."
    with tf.control_dependencies([tf.debugging.assert_greater_equal(count, least, message)]):
        chosen = recipe.frames(tf.identity(count))
    images = {}
    if "rgb" in recipe.clip.modalities:
        images["rgb"] = tf.gather(video, chosen)
    if "flow" in recipe.clip.modalities:
        pairs = recipe.pairs(chosen, count)
        each, which = tf.unique(tf.reshape(pairs, [-1]))
        codes = _codes(video, each, recipe.flow, compiled)
        codes = tf.gather(codes, tf.reshape(which, tf.shape(pairs)))  # (clips, T, L, H, W, 2)
        stacks = tf.transpose(codes, [0, 1, 3, 4, 2, 5])
        shape = tf.concat([tf.shape(stacks)[:4], [recipe.clip.channels("flow")]], axis=0)
        images["flow"] = tf.reshape(stacks, shape)
    return recipe.views(images)


def gray(frames):
    """Luminance of RGB, uint8 (..., 3) to (...), as the encoder of a JPG computes it."""
    red, green, blue = tf.unstack(tf.cast(frames, tf.int32), axis=-1)
    return tf.cast((19595 * red + 38470 * green + 7471 * blue + 32768) // 65536, tf.uint8)


def encode(flow, settings):
    """`vidrec.clip.encode_flow` of float32 (P, H, W, 2), px: uint8 codes of the same shape."""
    if settings.quantize == "minmax":
        low = tf.reduce_min(flow, axis=[1, 2], keepdims=True)
        extent = tf.maximum(tf.reduce_max(flow, axis=[1, 2], keepdims=True) - low, 1e-12)
        return tf.cast(tf.round(255 * (flow - low) / extent), tf.uint8)
    bound = settings.bound
    clipped = tf.clip_by_value(flow, -bound, bound)
    return tf.cast(tf.round(255 * (clipped + bound) / (2 * bound)), tf.uint8)


def _codes(video, pairs, settings, compiled):
    """uint8 (P, H, W, 2) of pairs, int32 (P,), some of them at a time."""
    flow_of = tf.function(
        GRAPHS[settings.engine], jit_compile=True if compiled else None, autograph=False
    )
    count = tf.shape(pairs)[0]
    whole = -(-count // AT_ONCE) * AT_ONCE  # the last pair is repeated: all turns have one size
    turns = tf.reshape(tf.gather(pairs, tf.minimum(tf.range(whole), count - 1)), [-1, AT_ONCE])

    def turn(numbers):
        first, second = (gray(tf.gather(video, numbers + step)) for step in (0, 1))
        return encode(flow_of(first, second), settings)

    found = tf.map_fn(turn, turns, fn_output_signature=tf.uint8, parallel_iterations=1)
    return tf.reshape(found, tf.concat([[whole], tf.shape(video)[1:3], [2]], axis=0))[:count]
