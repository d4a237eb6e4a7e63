"""`vidrec data prepare`: archives in, a checked data set out."""

import zipfile

import pandas as pd
import pytest

from vidrec import cli


def zipped(path, root, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name in files:
            archive.write(root / name, name)
    return str(path)


@pytest.fixture
def archives(shared_data, tmp_path):
    """UCF101 in two archives of a mirror: ten real clips, and the lists."""
    clips = [
        path.relative_to(shared_data / "ucf101_clips").as_posix()
        for path in sorted((shared_data / "ucf101_clips").glob("*/*.avi"))[:10]
    ]
    lists = [f"ucfTrainTestlist/{p.name}" for p in (shared_data / "ucfTrainTestlist").iterdir()]
    return {
        "UCF101.rar": zipped(tmp_path / "UCF101.zip", shared_data / "ucf101_clips", clips),
        "lists": zipped(tmp_path / "UCF101TrainTestSplits-RecognitionTask.zip", shared_data, lists),
    }


def given(archives):
    return [word for path in archives.values() for word in ("--archive", path)]


def test_archives_become_a_checked_data_set(archives, tmp_path, capsys, caplog):
    root = tmp_path / "ucf101"
    command = ["data", "prepare", "ucf101", str(root), *given(archives), "--workers", "0"]
    assert cli.main(command) == 1  # ten clips of 13,320
    out = capsys.readouterr().out
    assert f"{root / 'UCF101'} is ready." in out
    assert "videos      10 of 13,320" in out
    assert "official-1: lists are right; train" in out
    assert f"All of it: {root / 'videos.csv'}" in out
    assert "is not what is published" in caplog.text  # the lists' checksum: packed anew
    table = pd.read_csv(root / "videos.csv", keep_default_na=False)
    assert table.status.value_counts().to_dict() == {"missing": 13310, "ok": 10}
    assert cli.main(["data", "check", "ucf101", str(root), "--csv", str(tmp_path / "c.csv")]) == 1
    assert (tmp_path / "c.csv").read_text() == (root / "videos.csv").read_text()
    # what is there is kept
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*.avi"))
    capsys.readouterr()
    assert cli.main(command) == 1
    assert capsys.readouterr().out.count("is there and is kept as it is.") == 2
    assert before == sorted(path.stat().st_mtime_ns for path in root.rglob("*.avi"))


def test_one_file_of_several(archives, tmp_path, capsys):
    root = tmp_path / "ucf101"
    name = "UCF101TrainTestSplits-RecognitionTask.zip"
    command = ["data", "prepare", "ucf101", str(root), "--only", name]
    assert cli.main([*command, "--archive", archives["lists"]]) == 0
    assert (root / "lists/ucfTrainTestlist/classInd.txt").is_file()
    assert not (root / "UCF101").exists()
    assert cli.main([*command[:-1], "lists"]) == 2
    assert f"`only` must be one of UCF101.rar, {name}. Received: 'lists'" in capsys.readouterr().err


def test_a_cap_on_what_is_unpacked(archives, tmp_path, capsys):
    root = tmp_path / "ucf101"
    command = ["data", "prepare", "ucf101", str(root), *given(archives)]
    assert cli.main([*command, "--max-gigabytes", "0.001"]) == 2
    assert "must hold at most 1,073,742 bytes" in capsys.readouterr().err
    assert not (root / "UCF101").exists()


def test_ones_own_videos_are_not_fetched(tmp_path, capsys):
    assert cli.main(["data", "prepare", "folder", str(tmp_path)]) == 2
    assert "whose videos are your own" in capsys.readouterr().err
