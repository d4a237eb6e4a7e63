import numpy as np
import pytest

from tests.evaluation.test_fusion import stream
from vidrec.evaluation.fusion import fuse
from vidrec.evaluation.metrics import top_k_accuracy
from vidrec.evaluation.scores import Scores
from vidrec.evaluation.sweep import sweep_weights

STAMP = {"protocol": "3x1", "split": "official1", "side": "validation"}


def made(logits, label):
    n = len(label)
    ids, classes = [f"v{i}" for i in range(n)], ("a", "b", "c")
    return Scores(video_id=ids, logits=logits, label=label, classes=classes, stamp=STAMP)


def test_it_finds_the_weights_that_alone_are_right():
    """Right needs 2 : 1 to 5 : 1: the second stream must not outvote the first, but break ties."""
    label = np.array([0, 1, 2, 1])
    first = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], float)
    second = np.array([[0, 2, 0], [0, 0, 2], [2, 0, 0], [0, 1, 0]], float)
    table = sweep_weights([made(first, label), made(second, label)], step=0.05)
    assert table.columns.tolist() == ["weight_1", "weight_2", "top1", "mean_class_accuracy"]
    assert len(table) == 21
    np.testing.assert_allclose(table.weight_1 + table.weight_2, 1)
    best = table[table.top1 == 1]
    assert best.weight_1.min() == pytest.approx(0.7)
    assert best.weight_1.max() == pytest.approx(0.95)
    assert table.weight_1[0] == pytest.approx(0.7)  # the nearest to even
    for row in table.itertuples():
        fused = fuse([made(first, label), made(second, label)], (row.weight_1, row.weight_2))
        assert row.top1 == top_k_accuracy(fused, 1)


def test_three_streams():
    streams = [stream(seed, stamp=STAMP) for seed in (1, 2, 3)]
    table = sweep_weights(streams, on="probabilities", step=0.25)
    assert len(table) == 15
    weights = table[["weight_1", "weight_2", "weight_3"]]
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert len(weights.drop_duplicates()) == 15


def test_the_test_s_videos_are_refused():
    with pytest.raises(
        ValueError, match=r"vidrec evaluate --side validation`.*scores\[0\] of test"
    ):
        sweep_weights([stream(1), stream(2)])
    with pytest.raises(ValueError, match="needs two streams or more.*Received: 1 streams"):
        sweep_weights([stream(1, stamp=STAMP)])
    with pytest.raises(ValueError, match="step=0.7"):
        sweep_weights([stream(1, stamp=STAMP)] * 2, step=0.7)
