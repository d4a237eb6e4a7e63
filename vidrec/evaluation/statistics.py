"""What an accuracy is worth: its interval, its calibration, and whether another one differs.

Axis letters: V videos, N classes.
"""

import math

import numpy as np

from vidrec.evaluation.fusion import join

DRAWS = 10_000


def top1_interval(*draws, level=0.95, seed=0):
    """The bootstrap interval of top-1: what it would be on V videos drawn from these, with return.

    Where all videos are right it is 100 to 100 %, which says nothing of other videos.

    Args:
        *draws: Scores (V, N) of the same videos in the same order; of several the mean accuracy is
            meant.
        level: float in (0, 1), the share of the resampled tests that are inside.
        seed: int.

    Returns:
        (low, high), float, 0 to 1: the percentiles of 10,000 resampled tests.

    Raises:
        ValueError: if `level` is outside its range.
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1). Received: level={level}")
    hits = sum(each.right.astype(int) for each in draws)
    counts = np.bincount(hits, minlength=len(draws) + 1)  # videos that are right so many times
    drawn = np.random.default_rng(seed).multinomial(len(hits), counts / len(hits), DRAWS)
    shares = drawn @ np.arange(len(counts)) / (len(hits) * len(draws))
    low, high = np.quantile(shares, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def calibration_error(scores, *, bins=15):
    """Expected calibration error (Guo et al. 2017, section 2): how far confidence is from accuracy.

    Videos are parted by the softmax of the predicted class into bins of equal width; it is the mean
    of |accuracy - confidence| of the bins, each weighted by its videos.

    Args:
        scores: Scores (V, N).
        bins: int >= 1.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: if `bins` is less than 1.
    """
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1. Received: bins={bins}")
    confidence, right = np.exp(scores.log_probabilities().max(axis=1)), scores.right
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # (low, high]
    gaps = np.bincount(bin_of, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def mcnemar(first, second):
    """McNemar's exact test: whether two sets of scores of the same videos differ in top-1.

    Args:
        first, second: Scores of the same test, joined by video id.

    Returns:
        dict: "only_first" and "only_second", how many videos one alone has right, and "p", the
        two-sided probability of such a difference or a larger one if both were equally good.

    Raises:
        ValueError: if they are not of the same test; see `fusion.join`.
    """
    hits = [each.right for each in join([first, second])]
    ours, theirs = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    differ = ours + theirs
    tail = sum(math.comb(differ, k) for k in range(min(ours, theirs) + 1))
    p = min(1.0, 2 * tail / 2**differ)  # of integers of any size
    return {"only_first": ours, "only_second": theirs, "p": p}
