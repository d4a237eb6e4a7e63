"""Metrics of one set of scores: top-k, per-class and mean-class accuracy, confusion matrix.

One rule for ties everywhere: of equal logits, the class with the lowest index ranks first (as
`argmax` does). So top-1, the confusion matrix and the per-class table always agree, and a model
that answers the same for every class gets no more than its share.
Accuracies are fractions, 0 to 1. Axis letters: V videos, N classes.
"""

import numpy as np
import pandas as pd


def top_k_accuracy(scores, k):
    """Fraction of videos whose class is among the k highest logits.

    Args:
        scores: Scores (V, N).
        k: int, 1..N.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: if `k` is not an integer in 1..N.
    """
    n = len(scores.classes)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= n:
        raise ValueError(f"`k` must be an integer in 1..{n}. Received: k={k!r}")
    ranked = np.argsort(-scores.logits, axis=1, kind="stable")  # stable: ties to the lowest index
    return float((ranked[:, :k] == scores.label[:, None]).any(axis=1).mean())


def confusion_matrix(scores):
    """Counts of videos by true and predicted class.

    Returns:
        int64 pandas.DataFrame (N, N): rows (index "true") and columns ("predicted") are the class
        names in the order of `scores.classes`. Its sum is V.
    """
    return confusions(scores.label, scores.predicted, scores.classes)


def confusions(labels, predictions, classes):
    """`confusion_matrix` of int (V,) labels and predictions."""
    n, names = len(classes), list(classes)
    counts = np.bincount(labels * n + predictions, minlength=n * n).reshape(n, n)
    return pd.DataFrame(
        counts,
        index=pd.Index(names, name="true"),
        columns=pd.Index(names, name="predicted"),
    )


def confused_pairs(matrix, most=20):
    """The pairs of classes that are confused most.

    Args:
        matrix: DataFrame (N, N), as `confusion_matrix` gives it.
        most: int >= 1, pairs.

    Returns:
        DataFrame: true, predicted (str), videos (int64) and share (float64), of the true class's
        videos; the largest number first, of equal ones the larger share.
    """
    counts = matrix.to_numpy()
    rows, columns = np.nonzero(counts * (1 - np.eye(len(counts), dtype=np.int64)))
    table = pd.DataFrame(
        {
            "true": matrix.index[rows],
            "predicted": matrix.columns[columns],
            "videos": counts[rows, columns],
            "share": counts[rows, columns] / counts.sum(axis=1)[rows],
        }
    )
    order = ["videos", "share", "true", "predicted"]
    table = table.sort_values(order, ascending=[False, False, True, True], ignore_index=True)
    return table.head(most)


def per_class_accuracy(scores):
    """Top-1 accuracy of each class, in the order of `scores.classes`.

    Returns:
        pandas.DataFrame, N rows: class (str), videos (int64), correct (int64) and accuracy
        (float64, 0 to 1; NaN for a class without videos).
    """
    counts = confusion_matrix(scores)
    table = pd.DataFrame(
        {
            "class": list(scores.classes),
            "videos": counts.sum(axis=1).to_numpy(),
            "correct": np.diag(counts),
        }
    )
    return table.assign(accuracy=table["correct"] / table["videos"])  # pandas: 0 / 0 is NaN


def mean_class_accuracy(scores):
    """Mean of the accuracies of the classes that have videos: float, 0 to 1."""
    return float(per_class_accuracy(scores)["accuracy"].mean())  # pandas skips the NaN rows


def summary(scores):
    """The numbers of one report line.

    Returns:
        dict: top1, top5 (k = min(5, N)) and mean_class_accuracy (float, 0 to 1), videos (int, V),
        chance (float, 1 / N: the accuracy of guessing evenly).
    """
    n = len(scores.classes)
    return {
        "top1": top_k_accuracy(scores, 1),
        "top5": top_k_accuracy(scores, min(5, n)),
        "mean_class_accuracy": mean_class_accuracy(scores),
        "videos": len(scores.video_id),
        "chance": 1 / n,
    }
