import json

import keras
import numpy as np
import pandas as pd
import pytest

from vidrec.evaluation.metrics import (
    confused_pairs,
    confusion_matrix,
    mean_class_accuracy,
    per_class_accuracy,
    summary,
    top_k_accuracy,
)
from vidrec.evaluation.scores import Scores

V, N = 400, 7


def make(logits, label, classes=None):
    logits = np.asarray(logits)
    return Scores(
        video_id=[f"v{i}" for i in range(len(logits))],
        logits=logits,
        label=label,
        classes=classes or [f"c{n}" for n in range(logits.shape[1])],
        stamp={},
    )


@pytest.fixture(scope="module")
def scores():
    """Unbalanced classes, none of class 4, right about half of the time."""
    rng = np.random.default_rng(11)
    label = rng.choice(N, V, p=[0.4, 0.1, 0.1, 0.2, 0, 0.05, 0.15])
    logits = rng.normal(size=(V, N))
    logits[np.arange(V), label] += 1.5
    return make(logits, label)


@pytest.mark.parametrize("k", [1, 2, 5, N])
def test_top_k_equals_keras(scores, k):
    expected = keras.ops.mean(
        keras.metrics.sparse_top_k_categorical_accuracy(scores.label, scores.logits, k=k)
    )
    assert top_k_accuracy(scores, k) == pytest.approx(float(expected), abs=1e-6)
    assert isinstance(top_k_accuracy(scores, k), float)


def test_ties_go_to_the_lowest_index():
    label = np.array([0, 1, 1, 2, 3, 3])
    flat = make(np.full((6, 4), 2.5), label)
    assert [top_k_accuracy(flat, k) for k in (1, 2, 3, 4)] == [1 / 6, 3 / 6, 4 / 6, 1.0]
    assert confusion_matrix(flat)["c0"].tolist() == [1, 2, 1, 2]
    pair = make([[0.0, 3.0, 1.0, 3.0], [0.0, 3.0, 1.0, 3.0]], [1, 3])
    assert top_k_accuracy(pair, 1) == 0.5  # of columns 1 and 3, column 1 ranks first
    assert top_k_accuracy(pair, 2) == 1.0


def test_ties_among_many_classes():
    """Sorting is stable by chance for a few columns, so 101 are needed to see it."""
    label = np.random.default_rng(13).permutation(101)
    flat = make(np.full((101, 101), -0.5), label)
    assert [top_k_accuracy(flat, k) for k in (1, 5, 60)] == [1 / 101, 5 / 101, 60 / 101]
    ramp = np.repeat(np.random.default_rng(14).integers(0, 4, (1, 101)), 101, axis=0)
    first = np.lexsort((np.arange(101), -ramp[0]))  # highest first, then the lowest index
    assert top_k_accuracy(make(ramp[:37], first[:37]), 37) == 1.0
    assert top_k_accuracy(make(ramp[:64], first[37:]), 37) == 0.0


@pytest.mark.parametrize("k", [0, 8, -1, 2.0, True, "1"])
def test_k_out_of_range(scores, k):
    with pytest.raises(ValueError, match=rf"`k` must be an integer in 1..7. Received: k={k!r}"):
        top_k_accuracy(scores, k)


def test_confusion_rows_are_true_and_columns_predicted():
    logits = [[0.1, 2, 0], [1, 3, 2], [5, 4, 3], [0, 1, 2.5], [0, 7, 1]]
    matrix = confusion_matrix(make(logits, [0, 0, 0, 2, 2], ["run", "jump", "sit"]))
    expected = pd.DataFrame(
        [[1, 2, 0], [0, 0, 0], [0, 1, 1]],
        index=pd.Index(["run", "jump", "sit"], name="true"),
        columns=pd.Index(["run", "jump", "sit"], name="predicted"),
    )
    pd.testing.assert_frame_equal(matrix, expected)


def test_per_class_table(scores):
    table = per_class_accuracy(scores)
    assert table.columns.tolist() == ["class", "videos", "correct", "accuracy"]
    assert table["class"].tolist() == list(scores.classes)
    right = scores.logits.argmax(axis=1) == scores.label
    for n in range(N):
        mine = right[scores.label == n]
        assert table.loc[n, "videos"] == len(mine)
        assert table.loc[n, "correct"] == mine.sum()
        if n == 4:
            assert len(mine) == 0
            assert np.isnan(table.loc[n, "accuracy"])
        else:
            assert table.loc[n, "accuracy"] == pytest.approx(mine.mean())


def test_mean_class_accuracy_weighs_classes_not_videos(scores):
    right = scores.logits.argmax(axis=1) == scores.label
    present = [right[scores.label == n].mean() for n in range(N) if n != 4]
    assert mean_class_accuracy(scores) == pytest.approx(np.mean(present))
    assert abs(mean_class_accuracy(scores) - right.mean()) > 1e-3


def test_the_metrics_agree(scores):
    matrix = confusion_matrix(scores).to_numpy()
    table = per_class_accuracy(scores)
    assert matrix.sum() == V
    assert np.trace(matrix) / V == pytest.approx(top_k_accuracy(scores, 1))
    assert table["correct"].sum() / V == pytest.approx(top_k_accuracy(scores, 1))


def test_summary(scores):
    found = summary(scores)
    assert found == {
        "top1": top_k_accuracy(scores, 1),
        "top5": top_k_accuracy(scores, 5),
        "mean_class_accuracy": mean_class_accuracy(scores),
        "videos": V,
        "chance": 1 / 7,
    }
    assert found["top1"] < found["top5"] < 1
    assert json.loads(json.dumps(found)) == found


def test_summary_of_fewer_than_five_classes():
    rng = np.random.default_rng(12)
    few = summary(make(rng.normal(size=(30, 3)), rng.integers(0, 3, 30)))
    assert few["top5"] == 1.0
    assert few["chance"] == pytest.approx(1 / 3)


def test_confused_pairs():
    """Six pairs; of two videos each, the class with fewer videos comes first."""
    label = np.repeat([0, 1, 2, 3], [10, 4, 5, 1])
    predicted = [0] * 5 + [1, 1, 2, 3, 3] + [1, 1, 0, 0] + [2, 2, 0, 0, 0] + [3]
    matrix = confusion_matrix(make(np.eye(4)[predicted], label))
    pairs = confused_pairs(matrix)
    rows = pairs[["true", "predicted", "videos"]].to_numpy().tolist()
    assert rows == [
        ["c2", "c0", 3],
        ["c1", "c0", 2],
        ["c0", "c1", 2],
        ["c0", "c3", 2],
        ["c0", "c2", 1],
    ]
    assert pairs.share.tolist() == pytest.approx([0.6, 0.5, 0.2, 0.2, 0.1])
    assert len(confused_pairs(matrix, 2)) == 2
    assert confused_pairs(confusion_matrix(make(np.eye(4), range(4)))).empty
