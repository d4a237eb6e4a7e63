"""Many videos: what counts as done, what is refused, what is said."""

import ctypes
import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest

from tests.extraction.conftest import put, table_of
from tests.extraction.test_one_pass import contents
from vidrec import cli
from vidrec.datasets.folder import Folder
from vidrec.extraction import batch, forecast
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.jobs import flow_jobs
from vidrec.extraction.scan import scan
from vidrec.store import Row, Store

DIS = FlowSettings(engine="dis")


@pytest.fixture
def videos(drawn, tmp_path):
    """A user's folder of 6 videos in 3 classes."""
    root = tmp_path / "videos"
    for path in sorted(drawn.glob("Amber*/*.avi")):
        target = root / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return root


@pytest.fixture
def config(videos, tmp_path):
    """An experiment on them; JSON is YAML too."""
    path = tmp_path / "my.yaml"
    stage = {"name": "a", "epochs": 1, "batch_size": 2, "schedule": {"rate": 0.1}}
    content = {
        "name": "my",
        "data": {
            "videos": str(videos),
            "root": str(tmp_path / "store"),
            "flow": {"engine": "dis"},
            "split": {"name": "grouped-8:2"},
        },
        "streams": {"spatial": {"stages": [stage]}},
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_an_interrupted_run_by_its_config_does_the_rest(videos, config, tmp_path):
    """What lies in the index already must not hide the videos that are not."""
    store = Store(tmp_path / "store")
    extract_flow(store, DIS, table=Folder().videos(videos)[:2], workers=0)
    assert cli.main(["extract-flow", "--config", config, "--workers", "0"]) == 0
    index = store.index()
    assert len(index) == len(Folder().videos(videos)) == 6
    assert set(index.n_flow) == {39}
    shutil.rmtree(videos)  # the videos may be elsewhere by now
    assert cli.main(["extract-flow", "--config", config, "--workers", "0"]) == 0
    assert len(store.index()) == 6


def test_shards_by_config_do_their_parts_and_report_their_own(videos, config, tmp_path, capsys):
    bad = sorted(videos.glob("*/*.avi"))[0]
    bad.write_bytes(b"no video")
    ids = list(Folder().videos(videos).video_id)
    parts = {number: [] for number in range(1, 10)}
    for number, held in parts.items():
        shard = f"{number}/9"
        held += [i for i in ids if Store(tmp_path, shard=shard).shard.holds(i)]
        code = cli.main(["extract-flow", "--config", config, "--workers", "0", "--shard", shard])
        out = capsys.readouterr()
        assert code == (1 if f"{bad.parent.name}/{bad.stem}" in held else 0), held
        assert f"of {len(held)} videos in" in out.out
        assert (str(bad) in out.err) == (code == 1)
    assert sorted(sum(parts.values(), [])) == ids
    assert min(map(len, parts.values())) == 0  # a part may be empty, the first ones too
    store = tmp_path / "store"
    assert len(list(store.glob("index.shard-*.csv"))) > 2
    assert cli.main(["merge", "--data", str(store)]) == 0
    assert f"6 videos in {store / 'index.csv'}" in capsys.readouterr().out
    assert [path.name for path in store.glob("index*.csv")] == ["index.csv"]


def test_a_first_shard_without_videos_is_done(video, tmp_path):
    table = table_of(video)
    empty = next(
        f"{n}/8"
        for n in range(1, 9)
        if not Store(tmp_path, shard=f"{n}/8").shard.holds("X/" + video.stem)
    )
    index = extract_frames(table, Store(tmp_path / "store", shard=empty), workers=0)
    assert index.empty
    assert list(index.columns) == [field.name for field in dataclasses.fields(Row)]


def test_a_pack_is_not_taken_for_loose_files(videos, tmp_path, capsys):
    store, packed = tmp_path / "store", tmp_path / "packed"
    extract_flow(Store(store), DIS, table=Folder().videos(videos)[:2], workers=0)
    assert cli.main(["pack", "--data", str(store), "--out", str(packed)]) == 0
    assert "2 videos in 2 TFRecord files" in capsys.readouterr().out
    before = contents(Store(packed))
    for command in (
        ["extract-flow", "--data"],
        ["extract-frames", "--videos", str(videos), "--data"],
        ["audit", "--repair", "--data"],
        ["pack", "--out", str(tmp_path / "again"), "--data"],
    ):
        assert cli.main([*command, str(packed)]) == 2
        assert f"Received: {packed}, which is a pack of TFRecord files" in capsys.readouterr().err
        assert contents(Store(packed)) == before
    back = tmp_path / "back"
    assert cli.main(["pack", "--unpack", "--data", str(packed), "--out", str(back)]) == 0
    assert contents(Store(back)) == contents(Store(store))


def test_audit_and_repair_from_the_command_line(videos, tmp_path, capsys):
    store = Store(tmp_path / "store")
    extract_flow(store, DIS, table=Folder().videos(videos)[:2], workers=0)
    before = contents(store)
    command = ["audit", "--data", str(store.root), "--workers", "0"]
    assert cli.main(command) == 0
    assert f"{store.root} is whole" in capsys.readouterr().out
    path = store.path("flow_x", store.index().video_id[1], 7)
    path.write_bytes(path.read_bytes()[:-9])
    assert cli.main(command) == 1
    out = capsys.readouterr()
    assert f"1 faults in {store.root}" in out.out
    assert f"flow: {path}" in out.err
    assert cli.main([*command, "--repair"]) == 0
    assert contents(store) == before


def test_an_index_of_another_tool_s_flow_is_not_added_to(pair, tmp_path):
    store = put(tmp_path, {"A/v": pair})
    store.append(dataclasses.replace(store.rows()["A/v"], flow_algorithm="unknown (mmaction2)"))
    before = contents(store)
    text = "must hold what vidrec extracted, to be added to. Received: an index of flow from unknow"
    with pytest.raises(ValueError, match=text):
        extract_flow(store, DIS, workers=0)
    assert contents(store) == before


def crash(*_):
    ctypes.string_at(0)


def test_a_video_that_kills_the_sample_stops_nothing(videos, tmp_path, monkeypatch):
    """The forecast reads videos too, and does so in a process of its own."""
    monkeypatch.setattr(forecast, "_sample", crash)
    index = extract_frames(Folder().videos(videos)[:2], Store(tmp_path / "store"), workers=1)
    assert index.n_frames.tolist() == [40, 40]


@pytest.mark.parametrize("first", ["frames", "both"])
def test_a_partial_video_stays_partial_whatever_its_flow_does(video, tmp_path, first, monkeypatch):
    cut, store = tmp_path / "cut.avi", Store(tmp_path / "store")
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    if first == "both":
        extract_flow(store, DIS, table=table_of(cut), workers=0)
    else:
        extract_frames(table_of(cut), store, workers=0)
    decoded = store.rows()["X/cut"].message
    assert re.fullmatch(rf"{cut}: \d+ frames decoded of 40. Is it truncated\?", decoded)
    other = FlowSettings(engine="farneback")
    job = flow_jobs(store, other)[0]
    lost = batch._lost(job, batch.pool.Lost("took longer than 1 s twice"))
    store.append(lost)
    assert (lost.status, lost.n_flow) == ("partial", 0)
    assert lost.message == f"{decoded}; flow of X/cut: took longer than 1 s twice"
    row = store.rows()["X/cut"]
    last = store.path("frame", "X/cut", row.n_frames)
    data = last.read_bytes()
    last.write_bytes(data[:-5])
    again = extract_flow(store, other, workers=0).iloc[0]
    assert again.status == "partial"
    assert again.message.startswith(f"{decoded}; flow of X/cut: {last} is missing or no whole JPG")
    last.write_bytes(data)
    mended = extract_flow(store, other, workers=0).iloc[0]
    assert (mended.status, mended.message) == ("partial", decoded)
    assert mended.n_flow == mended.n_frames - 1


def test_videos_that_were_moved_are_not_extracted_again(videos, tmp_path):
    store = Store(tmp_path / "store")
    extract_flow(store, DIS, table=Folder().videos(videos)[:3], workers=0)
    images = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.jpg")}
    moved = tmp_path / "elsewhere"
    videos.rename(moved)
    index = extract_flow(store, DIS, table=Folder().videos(moved)[:3], workers=0)
    assert index.source.tolist() == Folder().videos(moved).path[:3].tolist()
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*.jpg")} == images


def test_classes_and_groups_that_changed_are_written_without_extracting(
    videos, tmp_path, monkeypatch
):
    store, table = Store(tmp_path / "store"), Folder().videos(videos)[:3]
    before = extract_flow(store, DIS, table=table, workers=0)
    assert set(before.group) <= {"g01", "g02", "g03"}
    monkeypatch.setattr(batch, "work", None)  # no job is left
    other = table.assign(group=["scene 1", "", "scene 2"], label="Amber")
    index = extract_flow(store, DIS, table=other, workers=0)
    assert index.group.tolist() == ["scene 1", before.group[1], "scene 2"]  # one is kept for none
    assert set(index.label) == {"Amber"}
    assert index.drop(columns=["group", "label"]).equals(before.drop(columns=["group", "label"]))


def test_a_store_that_is_whole_need_not_be_writable(videos, tmp_path):
    """Nothing is left to do: not even a lock is taken."""
    store, table = Store(tmp_path / "store"), Folder().videos(videos)[:1]
    extract_frames(table, store, workers=0)
    for lock in store.root.glob(".*.lock"):
        lock.unlink()
    assert extract_frames(table, store, workers=0).n_frames.tolist() == [40]
    assert list(store.root.glob(".*")) == []


def test_an_index_that_a_kill_left_uncompacted_is_compacted(videos, tmp_path):
    """Killed after the last video's row, and before the index was rewritten."""
    store, table = Store(tmp_path / "store"), Folder().videos(videos)[:3]
    extract_frames(table, store, workers=0)
    compact, rows = store.index_path.read_bytes(), list(store.rows().values())
    assert store.is_compact()
    store.index_path.unlink()
    for row in (rows[2], rows[0], dataclasses.replace(rows[1], group="old"), rows[1]):
        store.append(row)
    assert not store.is_compact()
    extract_frames(table, store, workers=0)
    assert store.index_path.read_bytes() == compact


def test_the_forecast_says_what_is_replaced(videos, tmp_path, capsys):
    store = Store(tmp_path / "store")
    extract_flow(store, DIS, table=Folder().videos(videos)[:2], workers=0)
    assert "REPLACED" not in capsys.readouterr().out
    options = ["--data", str(store.root), "--workers", "0", "--engine", "farneback"]
    before = contents(store)
    assert cli.main(["extract-flow", *options, "--dry-run"]) == 0
    assert "2 have flow that was made otherwise: IT IS REPLACED" in capsys.readouterr().out
    assert contents(store) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "raft"], "`engine` must be one of ['dis', 'farneback', 'fast', 'opencv']"),
        (["--bound", "-1"], "`bound` must be > 0 px. Received: bound=-1.0"),
        (["--time-limit", "0"], "`time_limit` must be > 0 s. Received: time_limit=0.0"),
        (["--shard", "5/4"], '`shard` must be "i/n" with 1 <= i <= n'),
        (["--workers", "-1"], "`workers` must be at least 0. Received: workers=-1"),
    ],
)
def test_options_outside_their_range(videos, tmp_path, capsys, options, message):
    command = ["extract-flow", "--videos", str(videos), "--data", str(tmp_path / "store")]
    assert cli.main([*command, *options]) == 2
    assert message in capsys.readouterr().err


def test_videos_that_would_share_their_images_are_refused(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/img_00001.jpg").touch()
    text = (
        "Videos must have images of their own. Received: a/v1 and b/v1, which in the layout 'tsn'"
    )
    with pytest.raises(ValueError, match=text):
        scan(Store(tmp_path, "tsn"), ["a/v1", "b/v1"])


def test_numbers_beyond_the_width_are_counted(tmp_path, monkeypatch):
    names = [f"img_{i:05d}.jpg" for i in range(1, 100_003)]
    monkeypatch.setattr("vidrec.extraction.scan.os.listdir", lambda _: names)
    (tmp_path / "v1").mkdir()
    (row,) = scan(Store(tmp_path, "tsn"), ["v1"])
    assert (row.n_frames, row.status) == (100_002, "ok")


def test_a_table_of_official_lists_goes_the_same_way(drawn, tmp_path):
    index = extract_frames(Folder().videos(drawn)[:2], Store(tmp_path), workers=0)
    assert isinstance(index, pd.DataFrame)
    assert index.group.tolist() == ["g01", "g02"]
