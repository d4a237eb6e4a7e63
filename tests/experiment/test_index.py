"""Sets that other tools extracted, of a published data set: classes and groups from its lists."""

import numpy as np
import pytest

from vidrec import cli, config
from vidrec.datasets.registry import get
from vidrec.experiment.splits import split_videos
from vidrec.experiment.videos import index_store
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.store import Store

IMAGE = encode_jpeg(np.zeros((8, 8), np.uint8))


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(IMAGE)


def tsn(root, *videos):
    for video in videos:
        put(root, *(f"{video}/{name}_00001.jpg" for name in ("img", "flow_x", "flow_y")))
        put(root, f"{video}/img_00002.jpg")


def experiment(root, dataset, lists, **data):
    stage = {"name": "all", "epochs": 1, "batch_size": 2, "schedule": {"rate": 0.1}}
    return config.Experiment(
        name="x",
        data={
            "dataset": dataset,
            "videos": "gone",
            "lists": str(lists),
            "root": str(root),
            "split": {"name": "official-1"},
            **data,
        },
        streams={"spatial": {"stages": [stage]}},
    )


def test_frames_of_ucf101_without_its_videos(shared_data, tmp_path, capsys):
    lists = shared_data / "ucfTrainTestlist"
    tsn(tmp_path, "v_HandStandPushups_g01_c01", "v_HandstandPushups_g08_c01", "v_YoYo_g25_c05")
    tsn(tmp_path, "v_Other_g01_c01")
    command = ["index", "--data", str(tmp_path), "--layout", "tsn", "--dataset", "ucf101"]
    assert cli.main(command) == 2
    assert "do not tell the classes. Pass --videos" in capsys.readouterr().err
    assert cli.main([*command, "--lists", str(lists)]) == 0
    assert f"1 of 4 folders in {tmp_path} are not listed." in capsys.readouterr().out
    rows = Store(tmp_path, "tsn").rows()
    assert [(row.video_id, row.label, row.group) for row in rows.values()] == [
        ("HandstandPushups/v_HandStandPushups_g01_c01", "HandstandPushups", "g01"),
        ("HandstandPushups/v_HandstandPushups_g08_c01", "HandstandPushups", "g08"),
        ("YoYo/v_YoYo_g25_c05", "YoYo", "g25"),
    ]
    capsys.readouterr()
    with pytest.raises(FileNotFoundError, match="13,317 of 13,320 missing"):
        split_videos(experiment(tmp_path, "ucf101", lists, layout="tsn"))
    partial = experiment(tmp_path, "ucf101", lists, layout="tsn", allow_missing=True)
    split, classes = split_videos(partial)
    assert (split.test.label.tolist(), len(split.train)) == (["HandstandPushups"], 2)
    assert split.train.n_frames.tolist() == [2, 2]
    assert (len(classes), classes[36]) == (101, "HandstandPushups")
    assert "Partial data: 13,317 of 13,320 videos are missing." in capsys.readouterr().out


def test_frames_of_hmdb51_in_class_folders(shared_data, tmp_path):
    lists = shared_data / "testTrainMulti_7030_splits"
    names = get("hmdb51").checked("official-1", lists).videos.video_id.iloc[[0, 700]].tolist()
    for name in names:
        put(tmp_path, f"{name}/img_00001.jpg", f"{name}/img_00002.jpg")
    index = index_store(tmp_path, "mmaction2", dataset="hmdb51", lists=lists)
    assert index.video_id.tolist() == sorted(names)
    listing = get("hmdb51").listed(lists).videos.set_index("video_id")
    assert index.group.tolist() == [listing.group[name] for name in sorted(names)]
    assert "April_09" in set(index.group)


def test_lists_that_are_not_there(tmp_path):
    tsn(tmp_path / "set", "v_YoYo_g25_c05")
    (tmp_path / "lists").mkdir()
    with pytest.raises(FileNotFoundError, match="The lists ucfTrainTestlist .* must lie in"):
        index_store(tmp_path / "set", "tsn", dataset="ucf101", lists=tmp_path / "lists")
    assert not (tmp_path / "set/index.csv").exists()
    with pytest.raises(FileNotFoundError, match="ucf11 has no list files"):
        index_store(tmp_path / "set", "tsn", dataset="ucf11", lists=tmp_path / "lists")
    (tmp_path / "lists/classInd.txt").write_text("1 YoYo\n")
    with pytest.raises(
        ValueError, match="lists of folder do not tell the classes of all.*--videos"
    ):
        index_store(tmp_path / "set", "tsn", lists=tmp_path / "lists")


def test_a_set_of_other_names_is_not_ucf101(shared_data, tmp_path):
    tsn(tmp_path, "clip1")
    with pytest.raises(FileNotFoundError, match="No images of layout 'tsn'"):
        index_store(tmp_path, "tsn", dataset="ucf101", lists=shared_data / "ucfTrainTestlist")


def test_lists_of_other_videos_are_refused(tmp_path):
    """Those of the file's `data.videos`, when only `--data` says where one's own frames are."""
    put(tmp_path / "store", *(f"jump/clip {n}/img_0000{i}.jpg" for n in (1, 2) for i in (1, 2)))
    index_store(tmp_path / "store", "mmaction2", dataset="folder")
    given = {"layout": "mmaction2", "split": {"name": "random-5:5"}}
    for folder in ("own", "lists"):
        (tmp_path / folder).mkdir()
    _, classes = split_videos(experiment(tmp_path / "store", "folder", tmp_path / "own", **given))
    assert classes == ("jump",)
    (tmp_path / "lists/classInd.txt").write_text("1 run\n2 walk\n")
    message = r"among the 2 that .*lists names\. Received: jump\. Name the folder .* --lists"
    with pytest.raises(ValueError, match=message):
        split_videos(experiment(tmp_path / "store", "folder", tmp_path / "lists", **given))
