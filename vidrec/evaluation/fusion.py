"""Several sets of scores become one: streams by a weighted sum, draws of one stream by the mean.

Late fusion of two-stream networks (Qiao et al. 2021, doi 10.3837/tiis.2021.10.011, section 3.5):
the logits of the spatial stream times 1 plus those of the temporal stream times 1.5, then softmax.
Scores are joined by video_id, never by order. Axis letters: V videos, N classes.
"""

import dataclasses

import numpy as np
import pandas as pd

FUSED = ("scores", "probabilities")
# Stamp entries that two sets of scores must share to compare, and what they are by default.
SHARED = {"protocol": None, "split": None, "side": "test"}


def fuse(scores, weights, *, on="scores", normalize=False):
    """Weighted sum of any number of streams over the same videos.

    Args:
        scores: sequence of one or more Scores, each stamped with its protocol and split.
        weights: one float per stream, finite, >= 0, not all 0. The paper: (1, 1.5).
        on: "scores" sums logits, as the paper does. "probabilities" sums softmax probabilities;
            the resulting logits are the log of that sum, so that their softmax is the
            weighted average of the streams' probabilities.
        normalize: False is the paper's sum. True divides it by the sum of the weights: the same
            ranking; on logits a flatter softmax, on probabilities the same softmax.

    Returns:
        Scores (V, N) in the order of the first stream. The stamp keeps what all streams' stamps
        agree on, and under "fusion" the weights, the options and every stream's own stamp.

    Raises:
        ValueError: if an option or a weight is outside its range, or the streams differ in
            classes, videos, labels, protocol or split.
    """
    if on not in FUSED:
        raise ValueError(f"`on` must be one of {FUSED}. Received: on={on!r}")
    factors = np.array(weights, dtype=np.float64)
    if factors.shape != (len(scores),) or not len(scores):
        raise ValueError(
            "`weights` must hold one number per stream, at least one. "
            f"Received: weights={weights} for {len(scores)} streams"
        )
    if not np.isfinite(factors).all() or factors.min() < 0 or factors.max() == 0:
        raise ValueError(
            f"`weights` must be finite, >= 0 and not all 0. Received: weights={weights}"
        )
    joined = join(scores)
    shares = (factors / factors.sum() if normalize else factors)[:, None, None]
    if on == "scores":
        streams = np.stack([stream.logits for stream in joined]).astype(np.float64)
        logits = (shares * streams).sum(axis=0)
    else:  # in the log domain, where a tiny probability does not round to log(0) = -Inf
        used = shares.ravel() > 0
        log_p = np.stack([stream.log_probabilities() for stream in joined])
        logits = np.logaddexp.reduce(np.log(shares[used]) + log_p[used], axis=0)
    parents = [stream.stamp for stream in joined]
    record = {"weights": factors.tolist(), "on": on, "normalize": normalize, "parents": parents}
    stamp = {**_agreed(parents), "stream": "fusion", "fusion": record}
    return dataclasses.replace(joined[0], logits=logits, stamp=stamp)


def average_scores(scores):
    """Mean logits of several draws of the same videos by one stream (Qiao et al. 2021, 3.4.2).

    Args:
        scores: sequence of one or more Scores: the same videos, other random frames.

    Returns:
        Scores (V, N) in the order of the first draw. The stamp keeps what all draws' stamps agree
        on, and under "draws" every draw's own stamp.

    Raises:
        ValueError: if there is no draw, or draws differ in classes, videos, labels, protocol
            or split.
    """
    if not len(scores):
        raise ValueError(f"`scores` must hold one or more draws. Received: scores={scores}")
    joined = join(scores)
    logits = np.mean([draw.logits for draw in joined], axis=0, dtype=np.float64)
    stamps = [draw.stamp for draw in joined]
    return dataclasses.replace(joined[0], logits=logits, stamp={**_agreed(stamps), "draws": stamps})


def _agreed(stamps):
    """The entries that are in every stamp with the same value."""
    first, *others = stamps
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }


def join(scores):
    """All `scores` in the order of scores[0].

    Raises:
        ValueError: if they are not of the same test; shows the difference.
    """
    first = scores[0]
    joined = []
    for number, other in enumerate(scores):
        pair = f"scores[0] and scores[{number}]"
        for key, default in SHARED.items():
            ours, theirs = (each.stamp.get(key, default) for each in (first, other))
            if ours is None or ours != theirs:
                raise ValueError(
                    f"{pair} must have the same `{key}` in their stamps. "
                    f"Received: {ours!r} and {theirs!r}"
                )
        if first.classes != other.classes:
            raise ValueError(
                f"{pair} must have the same classes in the same order. "
                f"Received: {difference(first.classes, other.classes)}"
            )
        order = pd.Index(other.video_id).get_indexer(first.video_id)  # -1: not there
        if (order < 0).any() or len(first.video_id) != len(other.video_id):
            raise ValueError(
                f"{pair} must hold the same videos. "
                f"Received: {difference(first.video_id.tolist(), other.video_id.tolist())}"
            )
        label = other.label[order]
        wrong = np.flatnonzero(label != first.label)
        if wrong.size:
            names = np.array(first.classes)[np.stack([first.label, label], axis=1)]
            shown = {str(first.video_id[i]): names[i].tolist() for i in wrong[:5]}
            raise ValueError(
                f"{pair} must give each video the same label. "
                f"Received: {wrong.size} videos with two, {shown}"
            )
        rows = {"video_id": first.video_id, "logits": other.logits[order], "label": label}
        joined.append(dataclasses.replace(other, **rows))
    return joined


def difference(left, right):
    """What two lists of names do not share, at most 5 of each; or where their order differs."""
    ours, theirs = (pd.Index(a).difference(b).tolist() for a, b in ((left, right), (right, left)))
    if ours or theirs:
        return (
            f"{len(left)} and {len(right)}, of which {len(ours)} only in the first {ours[:5]} "
            f"and {len(theirs)} only in the second {theirs[:5]}"
        )
    place = next(i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)
    return f"another order, first at position {place}: {left[place]!r} and {right[place]!r}"
