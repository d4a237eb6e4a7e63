from pathlib import Path

import pytest

from vidrec.datasets.hmdb51 import CLASSES, HMDB51
from vidrec.datasets.table import as_table


@pytest.fixture
def lists(shared_data):
    return shared_data / "testTrainMulti_7030_splits"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("golf/Golf_Swing_#6Iron_golf_f_cm_np1_fr_med_0.avi", ("golf", "Golf_Swing_#6Iron")),
        ("flat/x_draw_sword_u_nm_np2_le_bad_12.mp4", ("draw_sword", "x")),
        ("sword/x_draw_sword_u_nm_np2_le_bad_12.mp4", ("sword", "x_draw")),
        ("flat/climb_stairs_l_nm_np10_ba_goo_0.avi", ("climb_stairs", "")),
        ("golf/Golf_Swing_golf.avi", None),
        ("golf/a_polo_f_cm_np1_fr_med_0.avi", None),
    ],
)
def test_files_tell_class_and_source(name, expected):
    found = HMDB51().identify(Path(name))
    assert found == (expected and (expected[0], Path(name).stem, expected[1]))


def test_official_splits(lists):
    dataset = HMDB51()
    assert dataset.classes(lists=lists) == list(CLASSES)
    listing = dataset.listed(lists).videos
    assert len(listing) == 6766
    for row in listing.itertuples():  # in class folders and flat
        _, name = row.video_id.split("/")
        for folder in (row.label, "videos"):
            found = dataset.identify(Path(f"/data/{folder}/{name}.avi"))
            assert found == (row.label, name, row.group)
    rows = [
        (row.video_id, f"/h/{row.video_id}.avi", row.label, row.group)
        for row in listing.itertuples()
    ]
    table = as_table(rows)
    for name in dataset.official:
        split = dataset.split(table, name, lists=lists)
        assert (len(split.train), len(split.test), split.missing, split.expected) == (
            3570,
            1530,
            0,
            5100,
        )
        for side, count in ((split.train, 70), (split.test, 30)):
            assert side.label.value_counts().to_dict() == dict.fromkeys(CLASSES, count)
        pairs = [set(zip(side.label, side.group, strict=True)) for side in split[:2]]
        assert not pairs[0] & pairs[1]
    # in splits that are drawn here, a source that feeds several classes is on one side
    split = dataset.split(table, "grouped-7:3", lists=lists, seed=1)
    assert not set(split.train.group) & set(split.test.group)
    assert set(split.test.label) == set(CLASSES)


def test_sources_differ_in_a_single_sign(lists):
    """Two sources of flic_flac differ in one underscore, and lie on both sides of split 2."""
    listing = HMDB51().checked("official-2", lists).videos
    rows = listing[listing.video_id.str.contains("Roundoff_Flick_")]
    assert sorted(zip(rows.group, rows.side, strict=True)) == [
        ("Roundoff_Flick", "test"),
        ("Roundoff_Flick_", "train"),
    ]


def test_unlisted_clips_are_left_out(lists, caplog):
    names = HMDB51().checked("official-1", lists).videos.video_id
    more = [*names, "golf/new_golf_f_cm_np1_fr_med_0"]
    table = as_table((name, "", name.split("/")[0], "g") for name in more)
    split = HMDB51().split(table, "official-1", lists=lists)
    assert split.found == 5100
    assert caplog.messages == ["1667 of 6767 videos are not in official-1 and left out"]
