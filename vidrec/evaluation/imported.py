"""Scores of other tools as score files: a csv table, or the arrays of a `.npz`."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from vidrec.evaluation.fusion import SHARED, difference
from vidrec.evaluation.scores import Scores

NAMES = {  # what others call them
    "video_id": ("video_id", "ids", "id", "video", "name", "names"),
    "label": ("label", "labels", "target", "y_true"),
    "logits": ("logits", "scores", "probabilities", "predictions", "y_pred"),
    "classes": ("classes", "class_names"),
}
TINY = 1e-12  # what a probability of 0 counts as


def import_scores(path, *, test, classes=None, probabilities=False):
    """Reads scores that another tool has written.

    Args:
        path: a `.csv` of the columns video_id, label and one for each class, whose names and order
            are those of the classes; or a `.npz` of the arrays video_id (V,), label (V,) and logits
            (V, N), also by the usual other names, and maybe classes (N,). A label is a class's
            name, or its number from 0.
        test: dict, what they are of: the stamp of a score file has it, see `fusion.SHARED`.
        classes: sequence of N str, or None for what the file says.
        probabilities: bool; their logarithm becomes the logits.

    Returns:
        Scores.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a column or an array is missing, classes are not known or others than given,
            or the content does not fit `Scores`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: {path}, not a file")
    read = {".csv": _table, ".npz": _arrays}.get(path.suffix)
    if read is None:
        raise ValueError(f"`path` must be a .csv or .npz. Received: {path}")
    try:
        found = read(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    names = found.pop("classes", None)
    if classes is None and names is None:
        raise ValueError(f"{path} does not name its classes: give them with --classes")
    if classes is not None and names is not None and list(classes) != list(names):
        raise ValueError(
            f"{path} must have the classes that are given, in their order. "
            f"Received: {difference(list(names), list(classes))}"
        )
    classes = tuple(str(name) for name in (names if classes is None else classes))
    if probabilities:
        values = np.asarray(found["logits"], np.float64)
        sums = values.sum(axis=1)
        if not (values >= 0).all() or np.abs(sums - 1).max() > 0.01:
            raise ValueError(
                f"{path} must hold probabilities, whose sum is 1. Received: {values.min():g} to "
                f"{values.max():g}, with sums of {sums.min():g} to {sums.max():g}"
            )
        found["logits"] = np.log(np.maximum(values, TINY))
    found["label"] = _numbers(found["label"], classes, path)
    stamp = {"imported": str(path)} | {key: test[key] for key in SHARED if key in test}
    try:
        return Scores(classes=classes, stamp=stamp, **found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _table(path):
    table = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)
    names = table.iloc[0].astype(str).tolist()
    wrong = {"video_id", "label"} - set(names) or len(set(names)) < len(names) or "" in names
    if wrong or len(names) < 3:
        raise ValueError(
            f"{path} must have the columns video_id, label and one for each class, each once. "
            f"Received: {names[:8]}"
        )
    table = table[1:].set_axis(names, axis=1)
    logits = table.drop(columns=["video_id", "label"])
    return {
        "video_id": table["video_id"].astype(str).tolist(),
        "label": table["label"].to_numpy(),
        "logits": _floats(logits, path),
        "classes": list(logits.columns),
    }


def _floats(table, path):
    try:
        return table.to_numpy(np.float64)
    except ValueError as error:
        raise ValueError(f"{path} must hold a number for each class. ({error})") from error


def _arrays(path):
    with open(path, "rb") as data, np.load(data) as file:  # allow_pickle stays False
        there = {name.lower(): name for name in file.files}
        found = {}
        for ours, theirs in NAMES.items():
            name = next((there[name] for name in theirs if name in there), None)
            if name is not None:
                found[ours] = file[name]
    missing = [name for name in ("video_id", "label", "logits") if name not in found]
    if missing:
        raise ValueError(
            f"{path} must hold the arrays video_id, label and logits. "
            f"Received: {sorted(there.values())}"
        )
    for name in found.keys() & {"video_id", "classes"}:
        array = found[name]
        text = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
        found[name] = [str(value) for value in text.tolist()]
    return found


def _numbers(labels, classes, path):
    """Class numbers of labels that are numbers or names."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "iu":
        return labels
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    numbers = {name: i for i, name in enumerate(classes)}
    texts = [str(label) for label in labels.tolist()]
    if all(text.isdigit() for text in texts) and not set(texts) <= numbers.keys():
        return np.array([int(text) for text in texts])
    unknown = sorted(set(texts) - numbers.keys())
    if unknown:
        raise ValueError(f"{path}: a label must be a class. Received: {unknown[:5]}")
    return np.array([numbers[text] for text in texts])
