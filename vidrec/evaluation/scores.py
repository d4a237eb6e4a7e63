"""Scores: the logits that one model gives to the videos of one split, and the file that keeps them.

One `.npz` per stream and split, so that streams are fused and compared without running a network
again. The file holds plain arrays, never pickle: it cannot carry code.
Axis letters: V videos, N classes, B batch.
"""

import dataclasses
import functools
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from vidrec.files import new_file


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Logits of V videos over N classes. Its arrays are copies and read-only.

    Attributes:
        video_id: unicode array (V,), V >= 1, no id twice. Any sequence of str is taken.
        logits: float32 array (V, N), finite, unbounded.
        label: int64 array (V,), in 0..N-1.
        classes: tuple of N different str; position n names column n of `logits`.
        stamp: dict that JSON can hold: experiment, stream, protocol, split, weights hash, ...
            Kept as JSON gives it back: tuples become lists.

    Raises:
        ValueError: if an attribute does not fit its line above.
    """

    video_id: np.ndarray
    logits: np.ndarray
    label: np.ndarray
    classes: tuple[str, ...]
    stamp: dict

    def __post_init__(self):
        for name in ("video_id", "classes"):
            values = list(getattr(self, name))
            other = [value for value in values if not isinstance(value, str)]
            found = f"{len(values)} values, not str: {other[:5]}"
            _require(values and not other, f"`{name}` must be one or more str.", found)
            twice = pd.Index(values)[pd.Index(values).duplicated()].unique().tolist()
            _require(not twice, f"`{name}` must not repeat a name.", f"{len(twice)}, {twice[:5]}")
            vars(self)[name] = np.array(values, dtype=np.str_)  # frozen: set through its dict
        shape = (len(self.video_id), len(self.classes))
        with np.errstate(over="ignore"):  # beyond float32 becomes Inf, which is refused below
            logits = np.array(self.logits, dtype=np.float32)
        found = f"logits.shape={logits.shape}"
        _require(logits.shape == shape, f"`logits` must have shape (V, N) = {shape}.", found)
        bad = self.video_id[~np.isfinite(logits).all(axis=1)].tolist()
        _require(not bad, "`logits` must be finite.", f"NaN or Inf in {len(bad)}, {bad[:5]}")
        label = np.array(self.label)
        found = f"label.shape={label.shape}, label.dtype={label.dtype}"
        fits = label.shape == shape[:1] and label.dtype.kind in "iu"
        _require(fits, f"`label` must be integers of shape (V,) = {shape[:1]}.", found)
        fits, found = label.min() >= 0 and label.max() < shape[1], f"{label.min()}..{label.max()}"
        _require(fits, f"`label` must be in 0..{shape[1] - 1}.", found)
        try:
            stamp = json.loads(json.dumps({**self.stamp}, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"`stamp` must be a JSON dict. Received: {self.stamp}") from error
        classes, label = tuple(self.classes.tolist()), label.astype(np.int64)
        vars(self).update(logits=logits, label=label, classes=classes, stamp=stamp)
        for array in (self.video_id, logits, label):
            array.setflags(write=False)  # frozen means the numbers too

    @property
    def predicted(self):
        """int64 (V,), the class with the highest logit; of equal ones the first."""
        return self.logits.argmax(axis=1)

    @property
    def right(self):
        """bool (V,), whether that is the label."""
        return self.predicted == self.label

    def log_probabilities(self):
        """float64 (V, N), the logarithm of the softmax, in which no small one rounds to 0."""
        logits = self.logits.astype(np.float64)
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _require(holds, rule, received):
    if not holds:
        raise ValueError(f"{rule} Received: {received}")


def save_scores(path, scores):
    """Writes `scores` to `path` (one `.npz`), whole or not at all; replaces an older file."""
    text = {"classes": np.array(scores.classes), "stamp": np.array(json.dumps(scores.stamp))}
    with new_file(path) as file:
        np.savez(file, **{**vars(scores), **text})


def load_scores(path):
    """Reads what `save_scores` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a score file, or its content does not fit `Scores`.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a score file. Received: {path}, not a file")
    names = [field.name for field in dataclasses.fields(Scores)]
    try:
        _require(zipfile.is_zipfile(path), "A score file must be a .npz.", "another kind of file")
        with np.load(path) as file:  # allow_pickle stays False: an object array raises
            missing = [name for name in names if name not in file]
            _require(not missing, f"A score file must hold {names}.", f"a file without {missing}")
            content = {name: file[name] for name in names}
        return Scores(**{**content, "stamp": json.loads(str(content["stamp"]))})
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error


def inference(model, *, views_on=None):
    """A Keras model as a compiled function, inputs -> logits, traced once for all draws of a run.

    Not `model.predict`: it drops the labels, and compiles anew for a smaller last batch.

    Args:
        model: keras.Model, (B, T, H, W, C) to logits (B, N).
        views_on: None, or "scores" or "probabilities": the function then takes (B, views, T, H, W,
            C) and averages that over the views; of probabilities it gives the logarithm.
    """
    import tensorflow as tf  # here, because reading and fusing files must not wait for it

    def of_views(inputs):
        flat = {name: tf.reshape(x, [-1, *x.shape[2:]]) for name, x in inputs.items()}
        views = next(iter(inputs.values())).shape[1]
        logits = tf.cast(model(flat, training=False), tf.float32)
        logits = tf.reshape(logits, [-1, views, logits.shape[-1]])
        if views_on == "scores":
            return tf.reduce_mean(logits, axis=1)
        return tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=1) - math.log(views)

    one = functools.partial(model, training=False)
    return tf.function(of_views if views_on else one, reduce_retracing=True)


def predict_scores(model, dataset, video_id, classes, stamp):
    """Runs a model over a data set, once and in order.

    Args:
        model: function, inputs -> logits (B, N): a keras.Model, or `inference` of one, which is
            faster. Softmax must not be applied yet.
        dataset: batched tf.data.Dataset of (inputs, integer label (B,), facts), where facts, a
            dict, has "video_id", string (B,).
        video_id: sequence of V str, the videos that must come, in the order that they must have.
        classes, stamp: as in `Scores`.

    Returns:
        Scores of the V videos, with the labels that the data set gave.

    Raises:
        ValueError: if other videos come, or the result does not fit `Scores`.
    """
    logits, label, found = [], [], []
    for inputs, batch_label, facts in dataset:
        logits.extend(np.asarray(model(inputs)))
        label.extend(batch_label.numpy())
        found.extend(name.decode() for name in facts["video_id"].numpy())
        if found != list(video_id[: len(found)]):
            break  # an endless data set is refused too
    rule = f"`dataset` must hold one example of each of the V = {len(video_id)} videos, in order."
    _require(found == list(video_id), rule, f"{len(found)} examples, the last of {found[-1:]}")
    return Scores(video_id=found, logits=logits, label=label, classes=classes, stamp=stamp)
