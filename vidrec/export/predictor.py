"""A video file in, class probabilities out, with nothing but the SavedModel's folder."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.export.savedmodel import CLASSES, FACTS
from vidrec.export.video_clip import ClipReader
from vidrec.extraction.engines import FlowSettings
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
        reader: ClipReader, which makes the clips as those of the test were made.
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
        self.reader = ClipReader(
            clip=ClipSpec(**facts["clip"]),
            sampling=Sampling(**facts.get("sampling", {})),
            flow=facts["flow"] and FlowSettings(**facts["flow"]),
            short_side=facts["short_side"],
            resize=facts.get("resize"),
            pad=facts["short_video"] == "pad",
            views=facts.get("crops", 1),
            flow_flip=facts.get("flow_flip", "negate"),
        )
        self._views_on = facts.get("views_on", "scores")
        self.notes = [
            f"Trained on partial data: {missing:,} of {expected:,} videos were missing"
            for missing, expected in facts.get("partial", [])  # not of 0.1.0
        ]
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures["serving_default"]

    def predict(self, path):
        """Makes the clip of a video (`ClipReader.read`), and runs the model on its views, whose
        scores or probabilities are averaged as in its test.

        Args:
            path: path of a video file.

        Returns:
            Prediction.

        Raises:
            vidrec.extraction.video.VideoError: if the file cannot be read or is too short.
        """
        clip, frames = self.reader.read(path)
        views = self._serve(**clip)
        if self._views_on == "probabilities":
            probabilities = tf.reduce_mean(views["probabilities"], axis=0)
        else:
            probabilities = tf.nn.softmax(tf.reduce_mean(views["logits"], axis=0))
        return Prediction(self.classes, probabilities.numpy(), tuple(frames.tolist()))
