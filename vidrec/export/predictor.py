"""A video file in, class probabilities out, with nothing but the SavedModel's folder."""

import dataclasses
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.export.savedmodel import CLASSES, FACTS
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.jpeg import decode_gray, encode_jpeg
from vidrec.extraction.video import (
    COUNT_TOLERANCE,
    VideoError,
    promised_frames,
    read_frames,
)
from vidrec.pipeline import sampling
from vidrec.pipeline.crops import centre_crop
from vidrec.pipeline.policies import Sampling


@dataclasses.dataclass(frozen=True)
class Prediction:
    """classes: N str; probabilities: float32 (N,); frames: the T frames that were looked at."""

    classes: tuple
    probabilities: np.ndarray
    frames: tuple

    def top(self, k=5):
        """[(class, probability)], the k most likely first."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


class Predictor:
    """Loads an exported model.

    Args:
        folder: path of what `export_savedmodel` wrote.

    Attributes:
        notes: list of str, what is to be known of the model's results.

    Raises:
        FileNotFoundError: if the folder is no SavedModel of vidrec.
    """

    def __init__(self, folder):
        folder = Path(folder)
        for name in ("saved_model.pb", f"assets/{CLASSES}", f"assets/{FACTS}"):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} is not a model that vidrec exported: {folder / name} is missing. "
                    "Make one with `vidrec export`."
                )
        self.classes = tuple((folder / "assets" / CLASSES).read_text().splitlines())
        facts = json.loads((folder / "assets" / FACTS).read_text())
        self.clip = ClipSpec(**facts["clip"])
        self.flow = facts["flow"] and FlowSettings(**facts["flow"])
        self.sampling = Sampling(**facts.get("sampling", {}))
        self.short_side, self.resize = facts["short_side"], facts.get("resize")
        self.pad = facts["short_video"] == "pad"
        self.notes = [
            f"Trained on partial data: {missing:,} of {expected:,} videos were missing"
            for missing, expected in facts.get("partial", [])  # not of 0.1.0
        ]
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures["serving_default"]

    def predict(self, path):
        """Reads a video, computes the flow that the clip needs, and runs the model.

        Frames and flow pass through JPG just as extracted ones do, so that the model sees what it
        was trained on. The clip is the centre of each segment.

        Args:
            path: path of a video file.

        Returns:
            Prediction.

        Raises:
            vidrec.extraction.video.VideoError: if the file cannot be read or is too short.
        """
        jpegs = [encode_jpeg(frame) for frame in read_frames(path)]  # decoded, they fill memory
        promised, _ = promised_frames(path)
        if len(jpegs) < promised - COUNT_TOLERANCE:
            warnings.warn(
                f"{path} seems to be truncated: {len(jpegs)} frames decoded of {promised}. The "
                "prediction is of these.",
                stacklevel=2,
            )
        need = 2 - self.sampling.places(1, self.clip)
        if self.pad:
            need = 2 if "flow" in self.clip.modalities else 1
        if len(jpegs) < need:
            raise VideoError(f"{path} has {len(jpegs)} frames; this model needs at least {need}.")
        chosen = self.sampling.frames(len(jpegs), self.clip)
        images = {}
        if "rgb" in self.clip.modalities:
            images["rgb"] = np.stack([_decode_rgb(jpegs[i]) for i in chosen.numpy()])
        if "flow" in self.clip.modalities:
            pairs = sampling.flow_windows(chosen, self.clip, len(jpegs)).numpy()
            images["flow"] = self._flow_stacks(jpegs, pairs)
        clip = centre_crop(
            {name: tf.constant(value) for name, value in images.items()},
            self.clip.size,
            short_side=self.short_side,
            to=self.resize,
        )
        scores = self._serve(**{name: value[None] for name, value in clip.items()})
        return Prediction(
            self.classes, scores["probabilities"].numpy()[0], tuple(chosen.numpy().tolist())
        )

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
