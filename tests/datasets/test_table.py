import pandas as pd
import pytest

from vidrec.datasets.table import COLUMNS, as_table, check_table, video_files


def test_as_table_of_nothing_has_string_columns():
    table = as_table([])
    assert list(table.columns) == list(COLUMNS)
    assert pd.api.types.is_string_dtype(table["label"])


def test_check_table_messages():
    table = as_table([("a/y", "/y", "a", "g01"), ("a/x", "/x", "a", "")])
    check_table(table)
    cases = [
        (table.drop(columns=["group", "path"]), r"no column ['path', 'group']"),
        (table[:0], "`side` must hold at least one video. Received: 0 rows"),
        (table.assign(group=[None, "g01"]), "Received: NaN in ['group']"),
        (table.assign(video_id="a/y"), "Received: 1 repeated, the first: ['a/y']"),
    ]
    for broken, message in cases:
        with pytest.raises(ValueError) as info:  # noqa: PT011, the text is compared below
            check_table(broken, name="side")
        assert message in str(info.value)


def test_video_files_at_any_depth(tmp_path):
    names = ["a.AVI", "b/c/d.mp4", "b/x.mpg", ".git/e.avi", "b/.f.avi", "b/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/c/up").symlink_to("../..")  # a ring, if it were followed
    (tmp_path / ".store/deep").mkdir(parents=True)
    (tmp_path / ".store/deep/y.mov").touch()
    (tmp_path / "d").symlink_to(".store/deep")  # not seen but by this link
    (tmp_path / "e").symlink_to("b/c")
    root = tmp_path.resolve()
    names = ("a.AVI", "b/c/d.mp4", "b/x.mpg", "d/y.mov")
    assert video_files(tmp_path) == [root / name for name in names]


def test_no_video_file_at_all(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"must hold video files \(.avi, .*none in"):
        video_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="must be an existing folder"):
        video_files(tmp_path / "no")
