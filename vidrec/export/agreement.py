"""How nearly a graph that takes raw video does what extraction and the pipeline do."""

import dataclasses
import itertools

import cv2
import numpy as np
import tensorflow as tf

from vidrec.clip import decode_flow
from vidrec.export.video_clip import clip_of
from vidrec.export.video_graph import views_of
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.extraction.video import VideoError, read_frames

LONGEST = 300  # frames of a video that are compared: all of them are in memory


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of some videos, on the clips that the network gets.

    Attributes:
        videos: int.
        same_class: int, videos with the same most likely class.
        probability: float, the largest difference of a probability.
        flow: None for a model without, or a dict of float: "px", the mean difference; "of_px", the
            mean length of a component; "codes", the share of codes that differ by 1 at most.
    """

    videos: int
    same_class: int
    probability: float
    flow: dict | None

    def __str__(self):
        text = (
            f"the same class in {self.same_class} of {self.videos} videos, probabilities within "
            f"{self.probability:.4f}"
        )
        if self.flow is None:
            return text
        return (
            f"{text}, flow within {self.flow['px']:.4f} px in the mean (of {self.flow['of_px']:.2f}"
            f" px), {self.flow['codes']:.2%} of its codes within 1"
        )


def agreement(model, recipe, paths, *, compiled=False, progress=lambda: None):
    """Compares predictions of videos by the `frames` signature with those by the processor's flow.

    Args:
        model: keras.Model.
        recipe: ClipRecipe that a graph can follow, see `video_graph.lacks_graph`.
        paths: paths of videos; of a long one the first `LONGEST` frames are taken. Those that
            cannot be read, or are too short, are left out.
        compiled: bool, whether XLA compiles the flow.
        progress: called without arguments after each video.

    Returns:
        Agreement, or None if no video could be compared.
    """

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def in_graph(video):
        views = views_of(video, recipe, compiled=compiled)
        return views, recipe.probabilities(model(views, training=False))

    same, apart, flows = [], [0.0], []
    for path in paths:
        try:
            frames = list(itertools.islice(read_frames(path), LONGEST))
            jpegs = [encode_jpeg(frame) for frame in frames]
            clip, _ = clip_of(jpegs, len(jpegs), recipe, name=path)
        except (VideoError, OSError):
            continue
        finally:
            progress()
        ours = recipe.probabilities(model(clip, training=False)).numpy()
        video = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])
        views, theirs = in_graph(video)
        same.append(np.argmax(ours) == np.argmax(theirs))
        apart.append(float(np.abs(ours - theirs).max()))
        if "flow" in clip:
            flows.append((views["flow"].numpy(), clip["flow"].numpy()))
    if not same:
        return None
    return Agreement(len(same), int(sum(same)), max(apart), _flow(flows, recipe.flow))


def _flow(pairs, settings):
    if not pairs:
        return None
    found, wanted = (
        np.concatenate([codes.ravel() for codes in side]) for side in zip(*pairs, strict=True)
    )
    pixels = [decode_flow(codes, bound=settings.bound) for codes in (found, wanted)]
    return {
        "px": float(np.abs(pixels[0] - pixels[1]).mean()),
        "of_px": float(np.abs(pixels[1]).mean()),
        "codes": float((np.abs(found.astype(np.int16) - wanted) <= 1).mean()),
    }
