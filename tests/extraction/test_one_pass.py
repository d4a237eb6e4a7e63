"""Frames and flow in one decode are those of two steps, byte for byte."""

import shutil

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import table_of
from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.store import Store

DIS = FlowSettings(engine="dis")


def contents(store):
    """All files of a store but the locks: dict of path below the root to bytes."""
    paths = [path for path in store.root.rglob("*") if path.is_file()]
    return {
        path.relative_to(store.root).as_posix(): path.read_bytes()
        for path in paths
        if not path.name.endswith(".lock")
    }


def test_one_pass_gives_what_two_steps_give(drawn, tmp_path):
    table = Folder().videos(drawn)[:4]
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    index = extract_flow(one, table=table, workers=2)
    extract_frames(table, two, workers=0)
    extract_flow(two, workers=0)
    assert index.n_flow.tolist() == [39] * 4
    assert contents(one) == contents(two)
    assert len(contents(one)) == 4 * (40 + 2 * 39) + 1


def test_only_what_is_missing_is_decoded(drawn, tmp_path):
    """One video with frames, one with both, one with nothing: and no others of the store."""
    store, table = Store(tmp_path), Folder().videos(drawn)[:4]
    extract_frames(table[:3], store, workers=0)
    extract_flow(store, DIS, table=table[:1], workers=0)
    frames = {path: path.stat().st_mtime_ns for path in store.root.glob("frames/*/*/*.jpg")}
    flow = {path: path.stat().st_mtime_ns for path in store.root.glob("flow/*/*/*.jpg")}
    assert len(flow) == 2 * 39
    index = extract_flow(store, DIS, table=table.iloc[[0, 1, 3]], workers=0)
    assert index.video_id.tolist() == table.video_id.iloc[[0, 1, 3]].tolist()
    assert index.n_flow.tolist() == [39] * 3
    assert {path: path.stat().st_mtime_ns for path in frames} == frames
    assert {path: path.stat().st_mtime_ns for path in flow} == flow
    assert store.rows()[table.video_id[2]].n_flow == 0


def test_damaged_videos_are_named_and_a_partial_one_gets_its_flow(video, tmp_path):
    cut, empty, one = tmp_path / "cut.avi", tmp_path / "empty.avi", tmp_path / "one.avi"
    data = video.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    empty.touch()
    still = np.full((1, 32, 48, 3), 90, np.uint8)
    synthetic._write_avi(one, still, 25.0)
    store = Store(tmp_path / "store")
    index = extract_flow(store, DIS, table=table_of(cut, empty, one), workers=0)
    rows = {row.video_id: row for row in index.itertuples()}
    assert rows["X/cut"].status == "partial"
    assert rows["X/cut"].n_flow == rows["X/cut"].n_frames - 1 > 10
    assert (rows["X/empty"].status, rows["X/empty"].n_flow) == ("failed", 0)
    assert (rows["X/one"].status, rows["X/one"].n_frames, rows["X/one"].n_flow) == ("ok", 1, 0)
    assert not (store.root / "flow/X/one").exists()
    assert sorted(p.name for p in (store.root / "frames/X").iterdir()) == ["cut", "one"]


def test_a_container_without_a_frame(tmp_path):
    """As a recorder leaves it that was stopped at once."""
    path = tmp_path / "none.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (48, 32)).release()
    assert path.stat().st_size > 0
    row = extract_flow(Store(tmp_path / "store"), DIS, table=table_of(path), workers=0).iloc[0]
    assert (row.status, row.n_frames, row.n_flow) == ("failed", 0, 0)
    assert row.message.startswith(f"{path} ")
    assert row.message.endswith("Is it damaged?")
    assert not list((tmp_path / "store").rglob("none*"))


def test_a_video_that_changes_its_size_fails_in_either_way(tmp_path, monkeypatch):
    """As streams can; OpenCV then gives frames of another size."""
    path = tmp_path / "X/clip.avi"
    path.parent.mkdir()
    synthetic._write_avi(path, np.full((5, 32, 48, 3), 90, np.uint8), 25.0)
    frames = [np.full((32, 48, 3), 10, np.uint8)] * 3 + [np.full((24, 48, 3), 10, np.uint8)]
    real = cv2.VideoCapture

    class Changing:
        def __init__(self, *arguments):
            self.left, self.real = list(frames), real(*arguments)

        def read(self):
            return (True, self.left.pop(0)) if self.left else (False, None)

        def __getattr__(self, name):
            return getattr(self.real, name)

    monkeypatch.setattr(cv2, "VideoCapture", Changing)
    message = f"{path}: frame 4 is 48x24 px, those before it 48x32. A clip needs one size"
    for extract in (
        lambda store: extract_flow(store, DIS, table=table_of(path), workers=0),
        lambda store: extract_frames(table_of(path), store, workers=0),
    ):
        row = extract(Store(tmp_path / "store")).iloc[0]
        assert (row.status, row.n_frames, row.n_flow) == ("failed", 0, 0)
        assert row.message.startswith(message)
        assert not (tmp_path / "store/frames/X/clip").exists()
        shutil.rmtree(tmp_path / "store")


def test_flow_of_frames_that_are_not_those_of_the_index_is_refused(drawn, tmp_path):
    store, table = Store(tmp_path), Folder().videos(drawn)[:1]
    extract_frames(table, store, workers=0)
    first, second = (store.path("frame", table.video_id[0], i) for i in (4, 9))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    row = extract_flow(store, DIS, workers=0).iloc[0]
    assert (row.status, row.n_flow) == ("failed", 0)
    assert f"the frames in {first.parent} are not those that were extracted" in row.message
    first.write_bytes(data)
    assert extract_flow(store, DIS, workers=0).n_flow[0] == 39


@pytest.mark.parametrize("count", [1, 3])
def test_shards_merge_to_what_one_run_makes(drawn, tmp_path, count):
    table = Folder().videos(drawn)[:7]
    whole, root = Store(tmp_path / "whole"), tmp_path / "parts"
    extract_flow(whole, DIS, table=table, workers=0)
    sizes = []
    for number in range(1, count + 1):
        store = Store(root, shard=f"{number}/{count}")
        before = len(store.rows())
        extract_flow(store, DIS, table=table, workers=0)
        sizes.append(len(store.rows()) - before)
    assert sum(sizes) == 7
    assert Store(root).index().equals(whole.index())  # merged as it is read
    index = extract_flow(Store(root), DIS, table=table, workers=0)  # nothing is left to do
    assert len(index) == 7
    assert contents(Store(root)) == contents(whole)
