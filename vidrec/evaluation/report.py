"""Results as text."""

from vidrec.evaluation import metrics, statistics


def table(summary):
    """Accuracies in percent, one line a stream, and the level of chance.

    Args:
        summary: DataFrame with one row a stream, in its index the names, and the columns top1,
            top1_low, top1_high, top5, mean_class_accuracy, chance, in [0, 1], videos, missing and
            expected, of the whole data set, trained_missing and trained_expected, of the training.

    Returns:
        str of several lines.
    """
    lines = [
        f"{'':>10} {'top-1':>7}  {'(draws)':<18} {'top-5':>7} {'mean class':>11} {'videos':>7}"
    ]
    for name, row in summary.iterrows():
        span = f"({row.top1_low:.1%} to {row.top1_high:.1%})"
        lines.append(
            f"{name:>10} {row.top1:>7.1%}  {span:<18} {row.top5:>7.1%}"
            f" {row.mean_class_accuracy:>11.1%} {row.videos:>7.0f}"
        )
    lines.append(f"{'chance':>10} {summary.chance.iloc[0]:>7.1%}")
    first = summary.iloc[0]
    if first.missing:
        lines.append(
            f"Partial data: {first.missing:,.0f} of {first.expected:,.0f} videos are missing"
        )
    if first.trained_missing:
        lines.append(
            f"Trained on partial data: {first.trained_missing:,.0f} of "
            f"{first.trained_expected:,.0f} videos were missing"
        )
    return "\n".join(lines)


def score_table(scores):
    """What score files are worth, one line each.

    Args:
        scores: dict of names to Scores.

    Returns:
        str of several lines: top-1 with its bootstrap interval of 95 %, top-5, mean class accuracy,
        calibration error, videos.
    """
    width = max(len(str(name)) for name in scores)
    lines = [
        f"{'':>{width}} {'top-1':>7}  {'(95 %)':<18} {'top-5':>7} {'mean class':>11} "
        f"{'calibration':>12} {'videos':>7}"
    ]
    for name, each in scores.items():
        found, (low, high) = metrics.summary(each), statistics.top1_interval(each)
        span = f"({low:.1%} to {high:.1%})"
        lines.append(
            f"{name!s:>{width}} {found['top1']:>7.1%}  {span:<18} {found['top5']:>7.1%} "
            f"{found['mean_class_accuracy']:>11.1%} {statistics.calibration_error(each):>12.3f} "
            f"{found['videos']:>7}"
        )
    return "\n".join(lines)
