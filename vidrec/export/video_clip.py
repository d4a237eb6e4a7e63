"""A video file as the clip that a model was tested on, without a store."""

import itertools
import warnings

import cv2
import numpy as np
import tensorflow as tf

from vidrec.extraction.jpeg import decode_gray, encode_jpeg
from vidrec.extraction.video import (
    COUNT_TOLERANCE,
    VideoError,
    promised_frames,
    read_frames,
)


def read_clip(path, recipe):
    """Reads a video, and computes the flow that the clip needs.

    Frames and flow pass through JPG just as extracted ones do, so that a model sees what it was
    trained on. The video is decoded twice, and only the frames that are needed are kept. A video
    that seems to be truncated is read as far as it goes, with a warning, and one so short that
    frames repeat is told of too.

    Args:
        path: path of a video file, or of a folder of images.
        recipe: ClipRecipe.

    Returns:
        (dict of uint8 tensors (views, T, S, S, C), int32 array (clips, T)): the clips in all their
        views, and the frames that each clip is of, counted from 0.

    Raises:
        vidrec.extraction.video.VideoError: if the file cannot be read or is too short.
    """
    count = sum(1 for _ in read_frames(path))
    promised, _ = promised_frames(path)
    if count < promised - COUNT_TOLERANCE:
        warnings.warn(
            f"{path} seems to be truncated: {count} frames decoded of {promised}. The "
            "prediction is of these.",
            stacklevel=3,
        )
    needed = _needed(*_chosen(recipe, count, path))
    until = itertools.islice(read_frames(path), max(needed) + 1)
    jpegs = {i: encode_jpeg(frame) for i, frame in enumerate(until) if i in needed}
    if needed - jpegs.keys():
        raise VideoError(
            f"{path} has another number of frames each time. Is it still being written?"
        )
    return clip_of(jpegs, count, recipe, name=path)


def clip_of(jpegs, count, recipe, *, name):
    """The clip of frames that are at hand.

    Args:
        jpegs: what has the bytes of frame i as JPG under [i], of all or of those that are needed.
        count: int, N, how many frames there are.
        recipe: ClipRecipe.
        name: what a message calls the video.

    Returns, raises:
        As `read_clip`.
    """
    chosen, pairs = _chosen(recipe, count, name)
    images = {}
    if "rgb" in recipe.clip.modalities:
        frames = {i: _decode_rgb(jpegs[i]) for i in np.unique(chosen).tolist()}
        images["rgb"] = np.stack([[frames[i] for i in clip] for clip in chosen.tolist()])
    if pairs is not None:
        images["flow"] = _flow_stacks(jpegs, pairs, recipe.flow.available())
    return recipe.views({name: tf.constant(value) for name, value in images.items()}), chosen


def _chosen(recipe, count, name):
    """int32 arrays: the frames (clips, T) and, of a clip with flow, its pairs (clips, T, L)."""
    if count < recipe.shortest:
        raise VideoError(f"{name} has {count} frames; this model needs at least {recipe.shortest}.")
    if recipe.repeats(count):
        warnings.warn(
            f"{name} has {count} frames, so few that a clip of {recipe.clip.frames} takes "
            "some of them more than once.",
            stacklevel=4,
        )
    chosen = recipe.frames(count)
    with_flow = "flow" in recipe.clip.modalities
    return chosen.numpy(), recipe.pairs(chosen, count).numpy() if with_flow else None


def _needed(chosen, pairs):
    pairs = [] if pairs is None else pairs.ravel().tolist()
    return {*chosen.ravel().tolist(), *pairs, *(i + 1 for i in pairs)}


def _flow_stacks(jpegs, pairs, settings):
    """uint8 (clips, T, H, W, 2L); each pair that occurs is computed once."""
    codes = {}
    for i in np.unique(pairs).tolist():
        pair = settings.codes(*(decode_gray(jpegs[j]) for j in (i, i + 1)))
        stored = [encode_jpeg(np.ascontiguousarray(pair[..., k])) for k in (0, 1)]
        codes[i] = [decode_gray(jpeg) for jpeg in stored]

    def stack(windows):
        return np.stack([image for i in windows for image in codes[i]], axis=-1)

    return np.stack([[stack(windows) for windows in clip] for clip in pairs.tolist()])


def _decode_rgb(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
