"""Results as text."""


def table(summary):
    """The summary of `evaluate` as text: accuracies in percent, and the level of chance."""
    lines = [f"{'':>10}  top-1  (draws)           top-5  mean class   videos"]
    for name, row in summary.iterrows():
        span = f"({row.top1_low:.1%} to {row.top1_high:.1%})"
        lines.append(
            f"{name:>10}  {row.top1:5.1%}  {span:<17} {row.top5:6.1%}"
            f"  {row.mean_class_accuracy:10.1%}  {row.videos:7.0f}"
        )
    return "\n".join([*lines, f"{'chance':>10}  {summary.chance.iloc[0]:5.1%}"])
