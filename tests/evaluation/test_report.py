import pandas as pd

from tests.evaluation.test_statistics import of_hits
from vidrec.evaluation.report import score_table, table


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


def test_score_table():
    lines = score_table({"a.npz": of_hits([1, 1, 1, 0], margin=50), "b": of_hits([1])}).splitlines()
    assert lines == [
        "        top-1  (95 %)               top-5  mean class  calibration  videos",
        "a.npz   75.0%  (25.0% to 100.0%)   100.0%       75.0%        0.250       4",
        "    b  100.0%  (100.0% to 100.0%)  100.0%      100.0%        0.424       1",
    ]
