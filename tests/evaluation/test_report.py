import pandas as pd

from vidrec.evaluation.report import table


def test_table_is_aligned_and_ends_with_chance():
    columns = ["top1", "top1_low", "top1_high", "top5", "mean_class_accuracy", "chance", "videos"]
    columns += ["missing", "expected", "trained_missing", "trained_expected"]
    summary = pd.DataFrame(
        [
            [0.4074, 0.395, 0.42, 0.9, 0.31, 1 / 9, 81, 0, 324, 0, 324],
            [1.0, 1.0, 1.0, 1.0, 1.0, 1 / 9, 81, 0, 324, 0, 324],
        ],
        index=["spatial", "fused"],
        columns=columns,
    )
    assert table(summary).splitlines() == [
        "             top-1  (draws)              top-5  mean class  videos",
        "   spatial   40.7%  (39.5% to 42.0%)     90.0%       31.0%      81",
        "     fused  100.0%  (100.0% to 100.0%)  100.0%      100.0%      81",
        "    chance   11.1%",
    ]
    partial = table(summary.assign(missing=1254, expected=13320)).splitlines()
    assert partial[-1] == "Partial data: 1,254 of 13,320 videos are missing"
    assert partial[:-1] == table(summary).splitlines()
    partial = table(summary.assign(trained_missing=3)).splitlines()
    assert partial[-1] == "Trained on partial data: 3 of 324 videos were missing"
    assert partial[:-1] == table(summary).splitlines()
