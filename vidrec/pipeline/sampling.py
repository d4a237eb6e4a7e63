"""Which frames of a video make a clip: pure index functions, nothing is read here.

All indices count from 0. A *start* is a place where the images of one segment may begin; S is the
number of starts of a video, N of its frames. Axis letters: K segments, T frames, L flow length.

A policy chooses the T frames of a clip, at random for training or always alike for a test; the flow
of each frame lies around it (`flow_windows`). "uniform" arguments are draws in [0, 1).
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


def segment_frames(starts, clip, n_frames):
    """The frames of a clip, for the start of each segment.

    Args:
        starts: int32 (K,).
        clip: ClipSpec.
        n_frames: integer scalar, N; indices are held below it (a short, padded video).

    Returns:
        int32 (T,), T = K * frames_per_segment.
    """
    offset = clip.flow_span // 2 if _centred(clip) else 0
    frames = starts[:, None] + tf.range(clip.frames_per_segment, dtype=tf.int32) + offset
    return tf.minimum(tf.reshape(frames, [-1]), tf.cast(n_frames, tf.int32) - 1)


def spread(n_frames, frames):
    """T of N frames over the whole video, floor(k N / T); of a shorter one all, then the last again
    (deep fusion, section 3.5; decision 7 of its specification).

    Args:
        n_frames: integer scalar, N >= 1.
        frames: int, T.

    Returns:
        int32 (T,), not decreasing.
    """
    n, k = tf.cast(n_frames, tf.int64), tf.range(frames, dtype=tf.int64)
    return tf.cast(tf.where(n >= frames, k * n // frames, tf.minimum(k, n - 1)), tf.int32)


def strided(n_frames, frames, uniform, *, interval=(2, 10)):
    """T frames at a random interval from a random first one (deep fusion, section 3.6; decision 8).

    The interval is drawn from those of `interval` that fit, (T - 1) interval < N; where none does,
    the frames are those of `spread`.

    Args:
        n_frames: integer scalar, N >= 1.
        frames: int, T >= 2.
        uniform: float32 (2,), for the interval and the first frame.
        interval: (low, high), frames.

    Returns:
        int32 (T,), not decreasing.
    """
    low, high = interval
    n, reach = tf.cast(n_frames, tf.int32), frames - 1
    high = tf.minimum(high, (n - 1) // reach)
    step = low + _draw(uniform[0], high - low + 1)
    first = _draw(uniform[1], n - reach * step)
    found = first + step * tf.range(frames, dtype=tf.int32)
    return tf.where(high >= low, found, spread(n_frames, frames))


def even(n_frames, frames, uniform=None, *, parts=1, part=0):
    """One frame of each of T equal parts of the video, or of one of its parts.

    floor((k + 1/2) N / T), or for training any number in [0, 1) in place of 1/2. With `parts` S,
    the T frames are of part s alone: floor(s N / S + (k + 1/2) N / (T S)) (VCM-SDD, section 4.1:
    S segments of 6 frames; HST: 16 frames of the whole).

    Args:
        n_frames: integer scalar, N >= 1.
        frames: int, T.
        uniform: float32 (T,), or None for the middles.
        parts: int, S.
        part: integer scalar, s in [0, S).

    Returns:
        int32 (T,), not decreasing, each in [0, N).
    """
    n = tf.cast(n_frames, tf.int64)
    k = tf.cast(part, tf.int64) * frames + tf.range(frames, dtype=tf.int64)
    if uniform is None:
        found = (2 * k + 1) * n // (2 * frames * parts)
    else:
        place = tf.cast(k, tf.float64) + tf.cast(uniform, tf.float64)
        found = tf.cast(place * tf.cast(n, tf.float64) / (frames * parts), tf.int64)
    return tf.cast(tf.minimum(found, n - 1), tf.int32)


def intervals(starts, frames, uniform=None):
    """One start of each of T intervals of floor(S / T) (T-STAM, section 4.3.1, as TSN's code).

    For training one at random of each interval; a video with fewer starts than T gives sorted draws
    from all of them. For a test, evenly spaced: floor((k + 1/2) S / T).

    Args:
        starts: integer scalar, S >= 1: N for frames alone, N - L + 1 in TSN's count of flow images.
        frames: int, T.
        uniform: float32 (T,), or None for the test.

    Returns:
        int32 (T,), not decreasing, each in [0, S).
    """
    starts = tf.cast(starts, tf.int32)
    if uniform is None:
        return even(starts, frames)
    length = starts // frames
    within = tf.range(frames, dtype=tf.int32) * length + _draw(uniform, length)
    return tf.where(length > 0, within, _draw(tf.sort(uniform), starts))


def consecutive(n_frames, frames, uniform=None, *, step=1, view=0, views=1):
    """T frames in a row, every `step`-th, as 3D networks take them.

    At random for training. For a test view v of V, evenly from the first place to the last,
    floor(v S / (V - 1)) with S = N - (T - 1) step - 1; the middle one if V is 1. A shorter video
    repeats its last frame.

    Args:
        n_frames: integer scalar, N >= 1.
        frames: int, T.
        uniform: float32 (1,), or None for a test.
        step: int, frames.
        view, views: integer scalar v and int V.

    Returns:
        int32 (T,), not decreasing.
    """
    n = tf.cast(n_frames, tf.int32)
    last = tf.maximum(n - (frames - 1) * step - 1, 0)
    if uniform is not None:
        first = _draw(uniform[0], last + 1)
    elif views == 1:
        first = last // 2
    else:
        first = tf.cast(view, tf.int32) * last // (views - 1)
    return tf.minimum(first + step * tf.range(frames, dtype=tf.int32), n - 1)


def flow_windows(frames, clip, n_frames):
    """The flow pairs of each frame; pair i is the motion from frame i to frame i + 1.

    L pairs from the frame on, or around it (`flow_position`): a centred window of an even length
    begins L / 2 pairs before its frame.

    Args:
        frames: int32 (T,).
        clip: ClipSpec.
        n_frames: integer scalar, N; indices are held in [0, N - 2], which repeats the first and the
            last pair.

    Returns:
        int32 (T, L), oldest pair first.
    """
    pairs = tf.range(clip.flow_length, dtype=tf.int32) * clip.flow_step
    back = clip.flow_span // 2 if _centred(clip) else 0
    found = frames[:, None] - back + pairs
    return tf.clip_by_value(found, 0, tf.cast(n_frames, tf.int32) - 2)


def _draw(uniform, count):
    """int32 in [0, count) of draws in [0, 1); float32 times a large count may round up to it."""
    found = tf.cast(uniform * tf.cast(count, tf.float32), tf.int32)
    return tf.minimum(found, tf.maximum(count - 1, 0))


def _centred(clip):
    return "flow" in clip.modalities and clip.flow_position == "centre"
