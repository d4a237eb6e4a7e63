import os
from pathlib import Path

import pytest

from vidrec.datasets.folder import Folder, Groups
from vidrec.datasets.table import COLUMNS


def make(root, *names):
    """Empty files below `root`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def error(root, kind=ValueError, **options):
    with pytest.raises(kind) as info:
        Folder().videos(root, **options)
    return str(info.value)


def test_table_of_a_tree(tmp_path):
    make(
        tmp_path,
        "swim/v_swim_g12_c01.AVI",
        "swim/b.lap.MoV",
        "swim/notes.txt",
        "swim/.hidden.avi",
        "Run/z.mp4",
        "Run/v_Run_G03_c02.webm",
        "Run/v_g01_Run_g07_c02.mkv",
        "Run/v_Run_g7_c02.mpeg",
        "Run/v_Run_g123_c02.mpg",
        ".cache/x.avi",
        "README.md",
    )
    table = Folder().videos(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["video_id"], table["group"], strict=True)) == [
        ("Run/v_Run_G03_c02", "g03"),
        ("Run/v_Run_g123_c02", ""),
        ("Run/v_Run_g7_c02", ""),
        ("Run/v_g01_Run_g07_c02", "g07"),
        ("Run/z", ""),
        ("swim/b.lap", ""),
        ("swim/v_swim_g12_c01", "g12"),
    ]
    assert list(table["label"]) == ["Run"] * 5 + ["swim"] * 2
    assert table["path"][6] == str(tmp_path.resolve() / "swim" / "v_swim_g12_c01.AVI")
    assert Folder().classes(table=table) == ["Run", "swim"]


def test_relative_root_gives_absolute_paths(tmp_path, monkeypatch):
    make(tmp_path, "data/a/x.avi")
    monkeypatch.chdir(tmp_path)
    assert Folder().videos("data")["path"][0] == str(tmp_path.resolve() / "data/a/x.avi")


def test_missing_root(tmp_path):
    message = error(tmp_path / "nowhere", FileNotFoundError)
    assert message == (
        f"`root` must be an existing folder. Received: root='{tmp_path / 'nowhere'}'"
    )
    make(tmp_path, "file")
    assert "must be an existing folder" in error(tmp_path / "file", FileNotFoundError)


def test_no_class_folder(tmp_path):
    make(tmp_path, "readme.txt", ".git/x.avi")
    assert error(tmp_path) == (
        "`root` must hold one sub-folder per class. "
        f"Received: no sub-folder in {tmp_path.resolve()}"
    )


def test_class_folders_without_videos_are_all_named(tmp_path):
    make(tmp_path, "a/x.avi", "texts/notes.txt", "hidden/.x.avi")
    (tmp_path / "void").mkdir()
    (tmp_path / "folders" / "clip.avi").mkdir(parents=True)
    message = error(tmp_path)
    assert f"no video file in ['folders', 'hidden', 'texts', 'void'] of {tmp_path}" in message
    assert ".avi, .mp4, .mkv, .mov, .webm, .mpg, .mpeg" in message


def test_videos_at_another_depth(tmp_path):
    make(tmp_path, "a/x.avi", "a/scene_2/y.mp4", "b/scene_1/deep/w.avi", "c/Annotation/x.xml")
    make(tmp_path, "c/z.avi", "intro.mov")
    root = tmp_path.resolve()
    expected = [root / "intro.mov", root / "a/scene_2/y.mp4", root / "b/scene_1/deep/w.avi"]
    assert error(tmp_path) == (
        "videos must lie at `root`/<class>/<file>. "
        f"Received: 3 at another depth, the first: {[str(path) for path in expected]}"
    )


def test_two_files_of_one_id(tmp_path):
    make(tmp_path, "a/x.avi", "a/x.mp4", "b/x.mp4")
    root = tmp_path.resolve()
    assert error(tmp_path).endswith(f"Received: {root / 'a/x.avi'} and {root / 'a/x.mp4'}")


@pytest.mark.parametrize("link", ["a/link.avi", "stolen", "a/stolen"])
def test_links_out_of_root_are_refused(tmp_path, link):
    root = make(tmp_path / "root", "a/x.avi")
    # "root_2" begins with "root": a test on the text of the path would let it pass
    make(tmp_path / "root_2", "secret.avi")
    target = tmp_path / "root_2" / ("secret.avi" if link == "a/link.avi" else "")
    (root / link).symlink_to(os.path.relpath(target, (root / link).parent))
    assert error(root) == (
        "links below `root` must stay inside it. "
        f"Received: {root.resolve() / link} -> {target.resolve()}. Give the real folder as the "
        "root, or copy what the link leads to."
    )


def test_links_that_are_no_videos_lead_where_they_like(tmp_path):
    root = make(tmp_path / "root", "a/x.avi")
    make(tmp_path / "elsewhere", "notes.txt")
    (root / "notes.txt").symlink_to(tmp_path / "elsewhere/notes.txt")
    (root / "a/gone.txt").symlink_to("nowhere")
    assert len(Folder().videos(root)) == 1


def test_links_inside_root(tmp_path):
    root = make(tmp_path / "root", "a/x.avi", ".store/y.avi")
    (root / "a" / "y.avi").symlink_to("../.store/y.avi")
    (tmp_path / "door").symlink_to("root")  # root itself may be reached by a link
    table = Folder().videos(tmp_path / "door")
    assert list(table["path"]) == [str(root.resolve() / "a" / name) for name in ("x.avi", "y.avi")]


def test_broken_link(tmp_path):
    make(tmp_path, "a/x.avi")
    (tmp_path / "a" / "y.avi").symlink_to("gone.avi")
    (tmp_path / "b").mkdir()
    assert "links below `root` must lead to a file" in error(tmp_path, FileNotFoundError)
    (tmp_path / "a" / "y.avi").unlink()
    (tmp_path / "a" / "y.avi").symlink_to("y.avi")  # a loop
    assert "y.avi -> " in error(tmp_path, FileNotFoundError)


@pytest.mark.parametrize("name", ["a/x\udce9.avi", "a/x\n.avi", "a\udce9/x.avi", "a\x1b/x.avi"])
def test_names_that_are_no_plain_text(tmp_path, name):
    make(tmp_path, "a/ü x%.avi", "b/notes\n.txt", "b/y.avi")
    assert len(Folder().videos(tmp_path)) == 2
    make(tmp_path, name)
    assert error(tmp_path) == (
        "names of classes and videos must be UTF-8 text without control characters: the index and "
        f"OpenCV take no others. Received: {str(tmp_path / name)!a}. Rename it."
    )


def test_real_folders(shared_data):
    table = Folder().videos(shared_data / "weizmann4")
    assert Folder().classes(table=table) == ["bend", "jack", "wave1", "wave2"]
    assert len(table) == 36
    assert sorted(set(table["group"])) == [f"g{i:02d}" for i in range(1, 10)]
    fights = Folder().videos(shared_data / "fights")  # with a clips.csv next to the class folders
    assert len(fights) == 59
    assert set(fights["group"]) == {""}
    assert all(Path(path).is_file() for path in fights["path"])


def test_folders_of_lists_are_no_classes(tmp_path):
    make(tmp_path, "a/x.avi", "ucfTrainTestlist/classInd.txt", "ucfTrainTestlist/notes.mov.txt")
    assert list(Folder().videos(tmp_path).label) == ["a"]


FILES = ("fight/cam1_s02.mp4", "fight/cam2_s10.mp4", "calm/cam1_s07.mp4", "calm/s02 b.mp4")


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [(r"s(\d+)", ["07", "02", "02", "10"]), (r"s\d", ["s0", "s0", "s0", "s1"])],
)
def test_groups_from_a_pattern(tmp_path, pattern, groups):
    table = Folder().videos(make(tmp_path, *FILES), groups=Groups(pattern=pattern))
    assert list(table.group) == groups


def test_patterns_that_find_nothing_or_are_none(tmp_path):
    make(tmp_path, *FILES)
    assert error(tmp_path, groups=Groups(pattern=r"cam\d")) == (
        "`groups.pattern` must find a group in the name of every video. "
        r"Received: 'cam\\d', none in calm/s02 b.mp4"
    )
    assert "must be a regular expression. Received: '('" in error(
        tmp_path, groups=Groups(pattern="(")
    )
    both = Groups(pattern="x", csv="x.csv")
    assert error(tmp_path, groups=both).endswith("must have `pattern` or `csv`. Received: both")


CSV = """clip,label,place
fight/cam1_s02.mp4,fight,hall
fight\\cam2_s10,fight, yard\r
cam1_s07.mp4,calm,yard
s02 b,calm,hall
"""


def test_groups_from_a_csv_file(tmp_path):
    make(tmp_path, *FILES)
    (tmp_path / "clips.csv").write_text("\ufeff" + CSV, encoding="utf-8")
    groups = Groups(csv="clips.csv", video="clip", group="place")
    table = Folder().videos(tmp_path, groups=groups)
    assert list(table.group) == ["yard", "hall", "hall", "yard"]
    assert error(tmp_path, FileNotFoundError, groups=Groups(csv="no.csv")) == (
        f"`groups.csv` must be a file below the root. Received: {tmp_path.resolve() / 'no.csv'}"
    )
    (tmp_path / "latin.csv").write_bytes("clip,place\nb,Büro\n".encode("latin-1"))
    latin = error(tmp_path, groups=Groups(csv="latin.csv", video="clip", group="place"))
    assert latin.startswith(f"{tmp_path.resolve() / 'latin.csv'} must be a csv file in UTF-8")
    assert "must have the columns 'video' and 'group'" in error(
        tmp_path, groups=Groups(csv="clips.csv")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("s02 b,calm,hall\n", ""),
            "must have a line for every video. Received: none for calm/s02",
        ),
        (
            ("calm,hall", "calm,"),
            "line 5 must give a video its one group. Received: clip='s02 b', p",
        ),
        (
            ("cam1_s07.mp4", "s02 b"),
            "line 5 must give a video its one group. Received: clip='s02 b",
        ),
    ],
)
def test_csv_files_that_leave_a_video_without_a_group(tmp_path, change, message):
    make(tmp_path, *FILES)
    (tmp_path / "clips.csv").write_text(CSV.replace(*change))
    text = error(tmp_path, groups=Groups(csv="clips.csv", video="clip", group="place"))
    assert message in text
    assert str(tmp_path / "clips.csv") in text


def test_fights_by_source(shared_data):
    groups = Groups(csv="clips.csv", video="clip", group="source")
    table = Folder().videos(shared_data / "fights", groups=groups)
    sizes = table.group.value_counts().to_dict()
    assert sizes == {
        "s07": 14,
        "s01": 13,
        "s02": 11,
        "s00": 6,
        "s06": 5,
        "s05": 4,
        "s03": 3,
        "s04": 3,
    }
    split = Folder().split(table, "grouped-7:3", seed=0)
    assert split.found == 59
    assert not set(split.train.group) & set(split.test.group)
    assert set(split.train.label) == set(split.test.label) == {"fight", "noFight"}
