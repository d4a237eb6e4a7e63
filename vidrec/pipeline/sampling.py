"""Which frames of a video make a clip: pure index functions, nothing is read here.

All indices count from 0. A *start* is a place where the images of one segment may begin; S is the
number of starts of a video. Axis letters: K segments, T frames, L flow length.
"""

import tensorflow as tf


def count_starts(n_frames, clip):
    """S, the number of places where a segment's images may begin.

    For frames alone S = N. With flow S = M - L + 1 for the M = N - 1 pairs, so that a whole stack
    fits behind every start (less one for each further frame of a segment).

    Args:
        n_frames: int or integer tensor of any shape, N.
        clip: ClipSpec.

    Returns:
        Of the type of `n_frames`; 0 or less if the video is too short.
    """
    reach = clip.flow_span + 1 if "flow" in clip.modalities else 1
    return n_frames - reach - clip.frames_per_segment + 2


def segment_bounds(starts, segments):
    """Segment k covers the starts [floor(k S / K), floor((k + 1) S / K)).

    Args:
        starts: integer scalar, S >= 1.
        segments: int, K.

    Returns:
        Two int32 tensors (K,): the first start of each segment, and one past the last.
    """
    borders = tf.range(segments + 1, dtype=tf.int32) * tf.cast(starts, tf.int32) // segments
    return borders[:-1], borders[1:]


def segment_random(starts, segments, uniform):
    """One start of each segment, drawn uniformly (Qiao et al. 2021, section 3.4).

    A video with fewer starts than segments has no start for each: K sorted draws from all of them
    are taken, so that starts repeat but time never runs backwards.

    Args:
        starts: integer scalar, S >= 1.
        segments: int, K.
        uniform: float32 (K,) in [0, 1), the draws.

    Returns:
        int32 (K,), not decreasing, each in [0, S).
    """
    starts = tf.cast(starts, tf.int32)
    low, high = segment_bounds(starts, segments)
    within = low + tf.cast(uniform * tf.cast(high - low, tf.float32), tf.int32)
    anywhere = tf.cast(tf.sort(uniform) * tf.cast(starts, tf.float32), tf.int32)
    return tf.minimum(tf.where(starts >= segments, within, anywhere), starts - 1)


def segment_centre(starts, segments):
    """The middle start of each segment, the same at every call.

    Args:
        starts: integer scalar, S >= 1.
        segments: int, K.

    Returns:
        int32 (K,), not decreasing, each in [0, S).
    """
    starts = tf.cast(starts, tf.int32)
    low, high = segment_bounds(starts, segments)
    return tf.minimum((low + high) // 2, starts - 1)


def frame_indices(starts, clip, n_frames):
    """The frames of a clip, for the start of each segment.

    Args:
        starts: int32 (K,).
        clip: ClipSpec.
        n_frames: integer scalar, N; indices are held below it (a short, padded video).

    Returns:
        int32 (T,), T = K * frames_per_segment.
    """
    offset = clip.flow_span // 2 if _centred(clip) else 0
    return tf.minimum(_steps(starts, clip) + offset, tf.cast(n_frames, tf.int32) - 1)


def flow_indices(starts, clip, n_frames):
    """The flow pairs of a clip; pair i is the motion from frame i to frame i + 1.

    Args:
        starts: int32 (K,).
        clip: ClipSpec.
        n_frames: integer scalar, N; indices are held below N - 1, which repeats the last pair.

    Returns:
        int32 (T, L), oldest pair first.
    """
    pairs = tf.range(clip.flow_length, dtype=tf.int32) * clip.flow_step
    return tf.minimum(_steps(starts, clip)[:, None] + pairs, tf.cast(n_frames, tf.int32) - 2)


def _steps(starts, clip):
    frames = starts[:, None] + tf.range(clip.frames_per_segment, dtype=tf.int32)
    return tf.reshape(frames, [-1])


def _centred(clip):
    return "flow" in clip.modalities and clip.flow_position == "centre"
