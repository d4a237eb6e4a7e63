"""Fusion weights that suit held-out videos best."""

import itertools

import pandas as pd

from vidrec.evaluation.fusion import fuse
from vidrec.evaluation.metrics import mean_class_accuracy, top_k_accuracy


def sweep_weights(scores, *, on="scores", step=0.05):
    """The accuracy of every mixture of streams, on videos on which weights may be looked for.

    Weights that were chosen on the test's videos make its accuracy too good: scores of a test are
    refused.

    Args:
        scores: sequence of two or more Scores, see `fuse`, of validation videos.
        on: see `fuse`.
        step: float in (0, 0.5], between the shares of a stream; 1 / step is rounded.

    Returns:
        DataFrame, a row for each mixture: weight_1, weight_2, ... (float, their sum is 1), top1 and
        mean_class_accuracy (0 to 1). The best comes first; of equal ones that whose weights are
        nearest to even.

    Raises:
        ValueError: if scores are of a test, or as `fuse`.
    """
    if len(scores) < 2 or not 0 < step <= 0.5:
        raise ValueError(
            "A sweep needs two streams or more, and a step in (0, 0.5]. "
            f"Received: {len(scores)} streams, step={step}"
        )
    for number, each in enumerate(scores):
        side = each.stamp.get("side", "test")
        if side != "validation":
            raise ValueError(
                "Weights are looked for on validation videos, which `vidrec evaluate --side "
                f"validation` scores. Received: scores[{number}] of {side} videos"
            )
    parts, rows = round(1 / step), []
    for shares in itertools.product(range(parts + 1), repeat=len(scores) - 1):
        last = parts - sum(shares)
        if last < 0:
            continue
        weights = [share / parts for share in (*shares, last)]
        fused = fuse(scores, weights, on=on)
        found = {f"weight_{i}": weight for i, weight in enumerate(weights, 1)}
        uneven = sum((weight - 1 / len(weights)) ** 2 for weight in weights)
        found |= {"top1": top_k_accuracy(fused, 1), "uneven": uneven}
        rows.append(found | {"mean_class_accuracy": mean_class_accuracy(fused)})
    order = ["top1", "mean_class_accuracy", "uneven"]
    table = pd.DataFrame(rows).sort_values(order, ascending=[False, False, True], kind="stable")
    return table.drop(columns="uneven").reset_index(drop=True)
