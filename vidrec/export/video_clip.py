"""A video file as the clip that a model was tested on, without a store."""

import dataclasses
import functools
import warnings

import cv2
import numpy as np
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.jpeg import decode_gray, encode_jpeg
from vidrec.extraction.video import (
    COUNT_TOLERANCE,
    VideoError,
    promised_frames,
    read_frames,
)
from vidrec.pipeline import crops, sampling
from vidrec.pipeline.augmentation import flip_left_right
from vidrec.pipeline.policies import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipReader:
    """Makes clips of video files as extraction and the pipeline make them for a test.

    Attributes:
        clip: ClipSpec.
        sampling: Sampling, how the frames of a clip are chosen.
        timing: ClipSpec or None. Places in the video are chosen for it instead of `clip`; see
            `vidrec.pipeline.source.ClipSource`.
        flow: FlowSettings, or None for a clip without flow.
        short_side, resize: to what images are scaled, as `short_side` and `to` of
            `vidrec.pipeline.crops.centre_crop`.
        pad: bool, whether a video that is too short repeats its end.
        views: 1 for the central view, or 5 or 10, see `vidrec.pipeline.crops.ten_crop`.
        flow_flip: "negate" or "image_only", what mirrored views do to flow.
    """

    clip: ClipSpec
    sampling: Sampling = Sampling()
    timing: ClipSpec | None = None
    flow: FlowSettings | None = None
    short_side: int | None = None
    resize: tuple[int, int] | None = None
    pad: bool = False
    views: int = 1
    flow_flip: str = "negate"

    def read(self, path):
        """Reads a video, and computes the flow that the clip needs.

        Frames and flow pass through JPG just as extracted ones do, so that a model sees what it
        was trained on. The frames are those of a test without draws. A video that seems to be
        truncated is read as far as it goes, with a warning, and one so short that frames repeat is
        told of too.

        Args:
            path: path of a video file, or of a folder of images.

        Returns:
            (dict of uint8 tensors (views, T, S, S, C), int32 array (T,)): the clip in each view,
            and the frames that it is of, counted from 0.

        Raises:
            vidrec.extraction.video.VideoError: if the file cannot be read or is too short.
        """
        jpegs = [encode_jpeg(frame) for frame in read_frames(path)]  # decoded, they fill memory
        promised, _ = promised_frames(path)
        if len(jpegs) < promised - COUNT_TOLERANCE:
            warnings.warn(
                f"{path} seems to be truncated: {len(jpegs)} frames decoded of {promised}. The "
                "prediction is of these.",
                stacklevel=3,
            )
        timing = self.timing or self.clip
        need = 2 - self.sampling.places(1, timing)
        if self.pad:
            need = 2 if "flow" in self.clip.modalities else 1
        if len(jpegs) < need:
            raise VideoError(f"{path} has {len(jpegs)} frames; this model needs at least {need}.")
        if self.sampling.repeats(len(jpegs), timing):
            warnings.warn(
                f"{path} has {len(jpegs)} frames, so few that a clip of {self.clip.frames} takes "
                "some of them more than once.",
                stacklevel=3,
            )
        chosen = self.sampling.frames(len(jpegs), timing)
        images = {}
        if "rgb" in self.clip.modalities:
            images["rgb"] = np.stack([_decode_rgb(jpegs[i]) for i in chosen.numpy()])
        if "flow" in self.clip.modalities:
            pairs = sampling.flow_windows(chosen, self.clip, len(jpegs)).numpy()
            images["flow"] = self._flow_stacks(jpegs, pairs)
        clip = {name: tf.constant(value) for name, value in images.items()}
        scaling = {"short_side": self.short_side, "to": self.resize}
        if self.views == 1:
            clip = crops.centre_crop(clip, self.clip.size, **scaling)
            return {name: value[None] for name, value in clip.items()}, chosen.numpy()
        flip = functools.partial(flip_left_right, negate=self.flow_flip == "negate")
        flip = flip if self.views == 10 else None
        return crops.ten_crop(clip, self.clip.size, **scaling, flip=flip), chosen.numpy()

    def _flow_stacks(self, jpegs, pairs):
        """uint8 (T, H, W, 2L); each pair that occurs is computed once."""
        codes, settings = {}, self.flow.available()
        for i in np.unique(pairs):
            pair = settings.codes(*(decode_gray(jpegs[j]) for j in (i, i + 1)))
            stored = [encode_jpeg(np.ascontiguousarray(pair[..., k])) for k in (0, 1)]
            codes[i] = [decode_gray(jpeg) for jpeg in stored]
        return np.stack(
            [np.stack([image for i in stack for image in codes[i]], axis=-1) for stack in pairs]
        )


def _decode_rgb(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
