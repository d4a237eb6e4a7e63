"""Videos in, class probabilities out, with nothing but the folder of a SavedModel."""

import collections
import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from vidrec.export.recipe import ClipRecipe
from vidrec.export.savedmodel import CLASSES, CLIPS, FACTS
from vidrec.export.video_clip import clip_of, read_clip
from vidrec.extraction.jpeg import encode_jpeg


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Attributes:
    classes: N str.
    probabilities: float32 (N,).
    frames: the frames that were looked at, counted from 0, of all clips.
    segments: float32 (K, N), what each segment says alone, see `Predictor.evidence`; or None, if
        that was not asked, or there is but one.
    """

    classes: tuple
    probabilities: np.ndarray
    frames: tuple
    segments: np.ndarray | None = None

    def top(self, k=5):
        """[(class, probability)], the k most likely first."""
        return self._top(self.probabilities, k)

    def told(self, k=5):
        """What `top` gives, for people: k lines of text, list of str."""
        return [f"  {probability:7.2%}  {name}" for name, probability in self.top(k)]

    def segment_tops(self, k=1):
        """What `top` gives, of each segment."""
        return [self._top(row, k) for row in self.segments]

    def _top(self, probabilities, k):
        order = np.argsort(-probabilities, kind="stable")[:k]
        return [(self.classes[i], float(probabilities[i])) for i in order]


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of a stream, frames `start` to `end` (not with it), and the Prediction of it."""

    start: int
    end: int
    prediction: Prediction


class Predictor:
    """Loads an exported model.

    Args:
        folder: path of an export, `<folder>/<version>`, or of the folder of its versions, of which
            the highest is taken.

    Attributes:
        folder: Path of the version.
        classes: tuple of N str.
        facts: dict, what `vidrec.json` says.
        recipe: ClipRecipe, how the clips of a video are made.
        notes: list of str, what is to be known of the model's results.

    Raises:
        FileNotFoundError: if the folder is no SavedModel of vidrec.
    """

    def __init__(self, folder):
        self.folder = folder = newest(folder)
        for name in ("saved_model.pb", f"assets/{CLASSES}", f"assets/{FACTS}"):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} is not a model that vidrec exported: {folder / name} is missing. "
                    "Make one with `vidrec export`."
                )
        self.classes = tuple((folder / "assets" / CLASSES).read_text(encoding="utf-8").splitlines())
        self.facts = json.loads((folder / "assets" / FACTS).read_text(encoding="utf-8"))
        self.recipe = ClipRecipe.of_facts(self.facts)
        self.notes = [
            f"Trained on partial data: {missing:,} of {expected:,} videos were missing"
            for missing, expected in self.facts.get("partial", [])  # not of 0.1.0
        ]
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures[CLIPS]

    def predict(self, path, *, evidence=False):
        """Makes the clips of a video as the model's test does, and runs the model on them.

        Args:
            path: path of a video file, or of a folder of images.
            evidence: bool, whether each segment is asked alone too.

        Returns:
            Prediction.

        Raises:
            vidrec.extraction.video.VideoError: if the file cannot be read or is too short.
        """
        return self.of_clip(*read_clip(path, self.recipe), evidence=evidence)

    def of_clip(self, clip, frames, *, evidence=False):
        """The Prediction of what `read_clip` returned."""
        logits = self._serve(**clip)["logits"]
        return Prediction(
            self.classes,
            self.recipe.probabilities(logits).numpy(),
            tuple(np.ravel(frames).tolist()),
            self.evidence(clip) if evidence and self.recipe.clip.segments > 1 else None,
        )

    def evidence(self, clip):
        """What each of the K segments says alone: the probabilities of a clip that repeats it.

        Where the consensus of segments is a mean of scores, as in `multiseg_xception`, these are
        the very scores that are averaged.

        Args:
            clip: dict of uint8 (views, T, S, S, C).

        Returns:
            float32 (K, N).
        """
        spec = self.recipe.clip
        parts = {name: tf.split(images, spec.segments, axis=1) for name, images in clip.items()}
        found = []
        for k in range(spec.segments):
            alone = {
                name: tf.tile(part[k], [1, spec.segments, 1, 1, 1]) for name, part in parts.items()
            }
            found.append(self.recipe.probabilities(self._serve(**alone)["logits"]).numpy())
        return np.stack(found)

    def windows(self, frames, *, length, stride, name="The stream", evidence=False):
        """Predictions along a stream that may be as long as it likes: only a window is kept.

        Args:
            frames: iterable of uint8 (H, W, 3), BGR, such as `vidrec.extraction.video.read_frames`.
            length: int, frames of a window.
            stride: int >= 1, frames from the start of a window to that of the next.
            name: what a message calls the stream.
            evidence: as in `predict`.

        Yields:
            Window, one as soon as it is complete. The last one ends with the stream; one that is
            shorter than a window is one.

        Raises:
            ValueError: if a window is too short for the model, or the stride is no number of
                frames.
            vidrec.extraction.video.VideoError: if the stream is too short.
        """
        if length < self.recipe.shortest or stride < 1:
            raise ValueError(
                f"A window must have at least {self.recipe.shortest} frames for this model, and a "
                f"stride of at least 1. Received: length={length}, stride={stride}"
            )
        kept = collections.deque(maxlen=length)  # as JPG: decoded, they fill memory
        count = told = 0
        for count, frame in enumerate(frames, 1):
            kept.append(encode_jpeg(frame))
            if count >= length and (count - length) % stride == 0:
                yield self._window(kept, count, name, evidence)
                told = count
        if count > told:
            yield self._window(kept, count, name, evidence)

    def _window(self, kept, end, name, evidence):
        start = end - len(kept)
        clip, frames = clip_of(kept, len(kept), self.recipe, name=name)
        return Window(start, end, self.of_clip(clip, start + frames, evidence=evidence))


def newest(folder):
    """Path of the highest version in a folder of versions; of any other, the folder itself."""
    folder = Path(folder)
    found = versions(folder)
    return folder / str(max(found)) if found else folder


def versions(folder):
    """The numbers of the versions in a folder, a list of int."""
    return [int(path.name) for path in Path(folder).glob("[0-9]*") if path.name.isdigit()]
