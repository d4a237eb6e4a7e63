"""`vidrec data check`: what is said of a data set, whole and not."""

import shutil

import pandas as pd
import pytest

from vidrec import cli
from vidrec.datasets.folder import Groups
from vidrec.experiment.check import check
from vidrec.experiment.videos import Source


@pytest.fixture
def ucf101(shared_data):
    lists = shared_data / "ucfTrainTestlist"
    return Source(videos=shared_data / "ucf101_clips", dataset="ucf101", lists=lists)


@pytest.fixture
def weizmann4(shared_data, tmp_path):
    """A copy that may be changed."""
    root = tmp_path / "weizmann4"
    for path in (shared_data / "weizmann4").glob("*/*_g0[1-3]_*.avi"):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.parent.name)
    return root


def test_a_part_of_ucf101(ucf101):
    findings = check(ucf101, workers=0)
    table = findings.table
    assert not findings.whole
    assert table.status.value_counts().to_dict() == {"missing": 13254, "ok": 66}
    assert len(table) == 13320
    assert table["official-1"].value_counts().to_dict() == {"train": 9537, "test": 3783}
    there = table[table.status == "ok"].set_index("video_id")
    assert there.loc["Archery/v_Archery_g02_c02", ["width", "height", "official-2"]].tolist() == [
        320,
        240,
        "train",
    ]
    assert findings.lines[:4] == [
        f"UCF101 in {ucf101.videos}",
        "videos      66 of 13,320 (0.5%)",
        "groups      24; 64 counted in each class apart",
        "classes     33 of 101",
    ]
    text = "\n".join(findings.lines)
    for line in (
        "a class     0 (ApplyEyeMakeup) to 5 (Diving), median 0",
        "sizes       320x240 (66)",
        "fps         25 (54), 29.97 (12)",
        "official-2: lists are right; train 51 of 9,586, test 15 of 3,734",
        "missing: ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01",
        "missing: and 13,244 more, see the csv file",
    ):
        assert line in text


def test_lists_that_are_wrong_are_said_and_the_rest_goes_on(ucf101, tmp_path):
    lists = tmp_path / "lists"
    shutil.copytree(ucf101.lists, lists)
    (lists / "testlist02.txt").chmod(0o644)
    text = (lists / "testlist02.txt").read_text().split("\n")
    (lists / "testlist02.txt").write_text("\n".join(text[1:]))
    findings = check(Source(videos=ucf101.videos, dataset="ucf101", lists=lists), workers=0)
    text = "\n".join(findings.lines)
    assert "official-1: lists are right" in text
    assert (
        "official-2: The lists of ucf101 official-2 cannot be used: 1 problem\n  test must" in text
    )
    assert "official-2" not in findings.table
    assert set(findings.table.columns) >= {"official-1", "official-3"}


def test_no_lists_at_all(ucf101, tmp_path):
    root = tmp_path / "videos/Archery"
    root.mkdir(parents=True)
    shutil.copy(next(ucf101.videos.glob("Archery/*")), root)
    findings = check(Source(videos=tmp_path / "videos", dataset="ucf101"), workers=0)
    assert not findings.whole
    text = "\n".join(findings.lines)
    assert "videos      1 of 13,320 (0.0%)" in text
    assert "official-1: The lists ucfTrainTestlist (from https://www.crcv.ucf.edu" in text
    assert text.count("Received: no classInd.txt there") == 1
    assert "classes     1 of 101" in text


def test_several_folders_of_lists_are_said_before_anything_is_probed(ucf101, capsys):
    findings = check(Source(videos=ucf101.videos, dataset="ucf101"), workers=0)
    assert not findings.whole
    assert "There must be one folder of lists in or beside" in "\n".join(findings.lines)
    assert findings.table.status.unique().tolist() == ["ok"]


def test_lists_of_one_split_are_enough_for_it(ucf101, tmp_path):
    for name in ("classInd.txt", "trainlist01.txt", "testlist01.txt"):
        shutil.copy(ucf101.lists / name, tmp_path)
    findings = check(Source(videos=ucf101.videos, dataset="ucf101", lists=tmp_path), workers=0)
    text = "\n".join(findings.lines)
    assert "official-1: lists are right" in text
    assert "official-2: The official lists must hold trainlist02.txt" in text
    assert findings.table.status.value_counts().to_dict() == {"missing": 13254, "ok": 66}


def test_a_folder_of_ones_own(weizmann4):
    findings = check(Source(videos=weizmann4), workers=0)
    assert findings.whole
    assert findings.lines[:4] == [
        f"Videos in {weizmann4}",
        "videos      12",
        "groups      3; 12 counted in each class apart",
        "classes     4 of 4",
    ]
    bad = weizmann4 / "jack/v_jack_g02_c01.avi"
    bad.write_bytes(bad.read_bytes()[:40])
    (weizmann4 / "jack/other.avi").write_bytes(b"")
    findings = check(Source(videos=weizmann4), workers=0)
    assert not findings.whole
    assert findings.table.status.value_counts().to_dict() == {"ok": 11, "unreadable": 2}
    text = "\n".join(findings.lines)
    assert "unreadable  2" in text
    assert f"unreadable: {weizmann4 / 'jack/other.avi'} is empty (0 bytes)" in text
    assert "groups      3; 12 counted in each class apart; 1 videos in none" in text


def test_lists_of_ones_own(weizmann4):
    lists = weizmann4 / "lists"
    lists.mkdir()
    names = sorted(path.relative_to(weizmann4).as_posix() for path in weizmann4.glob("*/*.avi"))
    (lists / "classInd.txt").write_text("1 wave2\n2 wave1\n3 jack\n4 bend\n")
    (lists / "trainlist01.txt").write_text("\n".join(n for n in names if "g03" not in n))
    (lists / "testlist01.txt").write_text("\n".join(n for n in names if "g03" in n))
    findings = check(Source(videos=weizmann4), workers=0)
    assert "listed-1: lists are right; train 8 of 8, test 4 of 4" in findings.lines
    assert findings.whole
    assert findings.table["listed-1"].value_counts().to_dict() == {"train": 8, "test": 4}


def test_groups_are_those_of_the_source(shared_data):
    groups = Groups(csv="clips.csv", video="clip", group="source")
    findings = check(Source(videos=shared_data / "fights", groups=groups), workers=0)
    assert "groups      8; 15 counted in each class apart" in findings.lines
    other = Source(videos=shared_data / "fights", dataset="ucf11", groups=groups)
    with pytest.raises(ValueError, match="ucf11 knows its groups"):
        other.table()


def test_missing_by_class_where_no_list_names_them(tmp_path, weizmann4):
    clip = next(weizmann4.glob("*/*.avi"))
    for name in ("swing/v_swing_01/v_swing_01_01.avi", "biking/v_biking_25_02.avi"):
        (tmp_path / "u" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / "u" / name)
    findings = check(Source(videos=tmp_path / "u", dataset="ucf11"), workers=0)
    assert not findings.whole
    assert "videos      2 of 1,600 (0.1%)" in findings.lines
    assert "missing: 141 of basketball" in findings.lines
    assert findings.lines[-1] == "missing: 123 of walking"
    assert "leave-one-group-out-1 and so on: the official cross-validation" in findings.lines


def test_unlisted_videos(ucf101, tmp_path):
    root = tmp_path / "videos/Archery"
    root.mkdir(parents=True)
    clip = next(ucf101.videos.glob("Archery/*"))
    shutil.copy(clip, root / "v_Archery_g99_c01.avi")
    source = Source(videos=tmp_path / "videos", dataset="ucf101", lists=ucf101.lists)
    findings = check(source, workers=0)
    assert findings.table.status.value_counts().to_dict() == {"missing": 13320, "unlisted": 1}
    assert findings.lines[-1] == "unlisted: Archery/v_Archery_g99_c01"


def test_the_command_line(weizmann4, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["data", "check", "folder", str(weizmann4), "--workers", "0"]
    assert cli.main([*command, "--group-pattern", r"_(g\d+)_"]) == 0
    assert capsys.readouterr().out.endswith("All of it: folder_check.csv\n")
    table = pd.read_csv("folder_check.csv", keep_default_na=False)
    assert len(table) == 12
    assert set(table.group) == {"g01", "g02", "g03"}
    assert cli.main([*command, "--group-csv", "clips.csv"]) == 2
    assert "as clips.csv:clip:source. Received: 'clips.csv'" in capsys.readouterr().err
    next(weizmann4.glob("*/*.avi")).write_bytes(b"")
    assert cli.main([*command, "--csv", "other.csv"]) == 1
    assert (tmp_path / "other.csv").exists()
    assert cli.main(["data", "check", "ucf50", str(weizmann4)]) == 2
    assert "must be one of folder, ucf101" in capsys.readouterr().err


def test_a_sheet_from_the_command_line(weizmann4, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["data", "show", "folder", str(weizmann4), "--videos", "2", "--frames", "1"]
    assert cli.main([*command, "--engine", "dis", "--workers", "0"]) == 0
    assert capsys.readouterr().out == "folder.png\n"
    assert (tmp_path / "folder.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main([*command, "--engine", "best"]) == 2
