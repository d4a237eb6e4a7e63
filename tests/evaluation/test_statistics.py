import math

import numpy as np
import pytest

from tests.evaluation.test_fusion import stream
from vidrec.evaluation.scores import Scores
from vidrec.evaluation.statistics import calibration_error, mcnemar, top1_interval

STAMP = {"protocol": "centre", "split": "official-1"}


def of_hits(hits, margin=1.0, order=None):
    """Scores of three classes whose first one is right; margin: of the predicted class's logit."""
    hits = np.asarray(hits, bool)
    logits = np.zeros((len(hits), 3))
    logits[np.arange(len(hits)), np.where(hits, 0, 1)] = margin
    ids = np.array([f"v{i}" for i in range(len(hits))])
    order = np.arange(len(hits)) if order is None else order
    label = np.zeros(len(hits), int)
    return Scores(
        video_id=ids[order], logits=logits[order], label=label, classes=("a", "b", "c"), stamp=STAMP
    )


def test_the_interval_is_that_of_resampled_videos():
    hits = np.arange(200) < 130
    low, high = top1_interval(of_hits(hits))
    rng = np.random.default_rng(3)
    drawn = [rng.choice(hits, len(hits)).mean() for _ in range(20_000)]  # as its name says
    assert (low, high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.0101)
    narrow = top1_interval(of_hits(hits), level=0.5)
    assert low < narrow[0] < 0.65 < narrow[1] < high
    assert top1_interval(of_hits(np.ones(9))) == (1.0, 1.0)
    assert top1_interval(of_hits(hits)) == top1_interval(of_hits(hits))
    with pytest.raises(ValueError, match=r"`level` must be in \(0, 1\). Received: level=95"):
        top1_interval(of_hits(hits), level=95)


def test_the_interval_of_several_draws_is_that_of_their_mean():
    """Videos are resampled, not draws: one that is right in two of three draws counts 2 / 3."""
    rng = np.random.default_rng(5)
    hits = rng.random((3, 150)) < rng.random(150)  # some videos are harder than others
    low, high = top1_interval(*map(of_hits, hits))
    share = hits.mean(axis=0)
    drawn = [rng.choice(share, len(share)).mean() for _ in range(20_000)]
    assert (low, high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.005)
    assert low < hits.mean() < high
    assert top1_interval(of_hits(hits[0]), of_hits(hits[0])) == pytest.approx(
        top1_interval(of_hits(hits[0])), abs=1e-9
    )


def test_the_calibration_error_by_hand():
    """Confidence of e / (e + 2) = 0.576 for each of 10 videos, of which 7 are right."""
    scores = of_hits(np.arange(10) < 7)
    assert calibration_error(scores) == pytest.approx(0.7 - math.e / (math.e + 2))
    assert calibration_error(of_hits(np.arange(10) < 7, margin=50)) == pytest.approx(0.3)


def test_the_calibration_error_adds_up_over_bins():
    """Two bins that are wrong in different directions do not cancel out, unless they are one."""
    sure, unsure = of_hits(np.arange(8) < 4, margin=9), of_hits(np.arange(8) < 6, margin=0.1)
    both = Scores(
        video_id=[f"v{i}" for i in range(16)],
        logits=np.concatenate([sure.logits, unsure.logits]),
        label=np.zeros(16, int),
        classes=("a", "b", "c"),
        stamp=STAMP,
    )
    gaps = [np.exp(9) / (np.exp(9) + 2) - 0.5, 0.75 - np.exp(0.1) / (np.exp(0.1) + 2)]
    assert calibration_error(both) == pytest.approx(np.mean(gaps), abs=1e-6)
    assert calibration_error(both, bins=1) == pytest.approx((gaps[0] - gaps[1]) / 2, abs=1e-6)
    with pytest.raises(ValueError, match="`bins` must be at least 1. Received: bins=0"):
        calibration_error(both, bins=0)


def test_mcnemar_by_hand():
    """9 videos differ: 8 only the first has right, 1 only the second. Two-sided, exactly:
    2 (C(9, 0) + C(9, 1)) / 2^9."""
    first = of_hits([1] * 8 + [0] + [1] * 20 + [0] * 5)
    second = of_hits(
        [0] * 8 + [1] + [1] * 20 + [0] * 5, order=np.random.default_rng(0).permutation(34)
    )
    assert mcnemar(first, second) == {
        "only_first": 8,
        "only_second": 1,
        "p": pytest.approx(20 / 512),
    }
    assert mcnemar(second, first)["only_first"] == 1
    assert mcnemar(first, first) == {"only_first": 0, "only_second": 0, "p": 1.0}


def test_mcnemar_of_many_videos():
    """1,500 against 1,400 of 2,900, near the normal's p of |z| = 100 / sqrt(2900)."""
    first = of_hits(np.arange(2900) < 1500)
    second = of_hits(np.arange(2900) >= 1500)
    expected = math.erfc((100 - 1) / math.sqrt(2900) / math.sqrt(2))  # corrected for continuity
    assert mcnemar(first, second)["p"] == pytest.approx(expected, rel=0.01)


def test_mcnemar_is_of_one_test():
    with pytest.raises(ValueError, match="must have the same `split` in their stamps"):
        mcnemar(stream(1), stream(2, stamp={"protocol": "3x1", "split": "official2"}))
