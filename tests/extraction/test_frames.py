import hashlib
import os
import re
import shutil
import time

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import SPEC, table_of
from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.datasets.synthetic import draw_clip
from vidrec.extraction.batch import extract_frames
from vidrec.store import Row, Store


def test_a_drawn_video_frame_by_frame(video, tmp_path):
    store = Store(tmp_path)
    (row,) = extract_frames(table_of(video), store, workers=0).to_dict("records")
    drawn = draw_clip(SPEC, "AmberStripes", "Orbit", 2, 1).astype(int)
    for i in (1, 2, 40):
        image = cv2.imread(str(store.path("frame", "X/v_AmberStripesOrbit_g02_c01", i)))
        distance = np.abs(drawn - image).mean(axis=(1, 2, 3))
        assert distance.argmin() == i - 1
        assert distance[i - 1] < 6  # of 255: two JPG codings of fine chroma
    images = sorted(store.folder("frame", "X/v_AmberStripesOrbit_g02_c01").iterdir())
    expected = Row(
        video_id="X/v_AmberStripesOrbit_g02_c01",
        label="X",
        group="g01",
        n_frames=40,
        width=48,
        height=48,
        fps=12.0,
        source=str(video),
        source_bytes=video.stat().st_size,
        source_sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
        frames_sha256=hashlib.sha256(b"".join(path.read_bytes() for path in images)).hexdigest(),
        cv2_version=cv2.__version__,
    )
    assert Row(**row) == expected
    assert [path.name for path in images] == [f"img_{i:05d}.jpg" for i in range(1, 41)]


def test_width_and_height_are_not_swapped(tmp_path):
    path = tmp_path / "wide.avi"
    clip = np.random.default_rng(0).integers(0, 255, (7, 32, 80, 3), np.uint8)
    synthetic._write_avi(path, clip, 30.0)
    row = extract_frames(table_of(path), Store(tmp_path / "store"), workers=0).iloc[0]
    assert (row.width, row.height, row.n_frames, row.fps) == (80, 32, 7, 30.0)


def test_the_whole_table_and_two_processes_give_the_same(drawn, tmp_path):
    table = Folder().videos(drawn)
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    first = extract_frames(table, one, workers=0)
    assert extract_frames(table, two, workers=2).equals(first)
    assert first.video_id.tolist() == table.video_id.tolist()
    assert set(first.n_frames) == {40}
    assert set(first.status) == {"ok"}
    assert first.group.tolist() == table.group.tolist()
    files = [sorted(store.root.rglob("*.jpg")) for store in (one, two)]
    assert len(files[0]) == len(files[1]) == 18 * 40
    for a, b in list(zip(*files, strict=True))[::37]:
        assert a.read_bytes() == b.read_bytes()


def test_resume_skips_what_is_done_and_returns_this_table_only(drawn, tmp_path):
    store, table = Store(tmp_path), Folder().videos(drawn)
    extract_frames(table[:3], store, workers=0)
    frames = {path: path.stat().st_mtime_ns for path in store.root.rglob("*.jpg")}
    assert len(frames) == 120
    index = extract_frames(table[2:5], store, workers=0)
    assert index.video_id.tolist() == table.video_id[2:5].tolist()
    assert list(store.rows()) == table.video_id[:5].tolist()
    assert {path: path.stat().st_mtime_ns for path in frames} == frames


def test_what_is_not_done_is_done_again(drawn, tmp_path):
    """A lost last frame, and a row that says failed; not the same file in another place."""
    store, table = Store(tmp_path / "store"), Folder().videos(drawn)[:4].copy()
    extract_frames(table, store, workers=0)
    moved, lost, failed, kept = table.video_id
    shutil.copy(table.path[0], tmp_path / "copy.avi")
    table.loc[0, "path"] = str(tmp_path / "copy.avi")
    store.path("frame", lost, 40).unlink()
    row = store.rows()[failed]
    row.status = "failed"
    store.append(row)
    before = {name: store.path("frame", name, 1).stat().st_mtime_ns for name in table.video_id}
    index = extract_frames(table, store, workers=0).set_index("video_id")
    assert index.source[moved] == str(tmp_path / "copy.avi")
    assert set(index.status) == {"ok"}
    assert store.path("frame", lost, 40).exists()
    changed = {
        name
        for name in table.video_id
        if store.path("frame", name, 1).stat().st_mtime_ns != before[name]
    }
    assert changed == {lost, failed}


def test_failed_videos_say_why_and_do_not_stop_the_others(video, tmp_path):
    good, cut = tmp_path / "good.avi", tmp_path / "cut.avi"
    empty, text, missing = tmp_path / "empty.avi", tmp_path / "text.avi", tmp_path / "missing.avi"
    shutil.copy(video, good)
    data = video.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    empty.touch()
    text.write_text("This is no video.\n" * 40)
    store = Store(tmp_path / "store")
    index = extract_frames(table_of(cut, empty, good, missing, text), store, workers=2)
    rows = {row.video_id[2:]: row for row in index.itertuples()}
    assert {name: row.status for name, row in rows.items()} == {
        "cut": "partial",
        "empty": "failed",
        "good": "ok",
        "missing": "failed",
        "text": "failed",
    }
    assert rows["empty"].message == f"{empty} is empty (0 bytes). Fetch or copy it again."
    assert rows["text"].message == (
        f"{text} is not a video that OpenCV's FFmpeg can read. Is it damaged?"
    )
    assert rows["missing"].message == (
        f"{missing} is not a file. Give the path of a video file on this machine."
    )
    n = rows["cut"].n_frames
    assert 15 <= n <= 25
    assert rows["cut"].message == f"{cut}: {n} frames decoded of 40. Is it truncated?"
    assert len(list(store.folder("frame", "X/cut").iterdir())) == n
    assert rows["good"].n_frames == 40
    for name in ("empty", "missing", "text"):
        assert rows[name].n_frames == 0
        assert not store.folder("frame", f"X/{name}").exists()
    assert sorted(p.name for p in (store.root / "frames/X").iterdir()) == ["cut", "good"]

    before = store.path("frame", "X/cut", 1).stat().st_mtime_ns
    shutil.copy(video, missing)  # a second run mends what can be mended; partial counts as done
    again = extract_frames(table_of(cut, missing), store, workers=0).set_index("video_id")
    assert again.status.to_dict() == {"X/cut": "partial", "X/missing": "ok"}
    assert again.message["X/missing"] == ""
    assert store.path("frame", "X/cut", 1).stat().st_mtime_ns == before


def test_a_video_that_got_worse_keeps_no_row_that_says_done(video, tmp_path):
    path, store = tmp_path / "clip.avi", Store(tmp_path / "store")
    shutil.copy(video, path)
    extract_frames(table_of(path), store, workers=0)
    store.path("frame", "X/clip", 40).unlink()
    path.write_bytes(b"")
    row = extract_frames(table_of(path), store, workers=0).iloc[0]
    assert (row.status, row.n_frames, row.n_flow) == ("failed", 0, 0)


def test_layouts_of_others_are_not_written(video, tmp_path):
    text = "Frames and flow are written in the layout 'vidrec'; the others are for reading"
    with pytest.raises(ValueError, match=f"{text}.* Received: layout='tsn'"):
        extract_frames(table_of(video), Store(tmp_path, "tsn"), workers=0)
    assert list(tmp_path.iterdir()) == []


def test_real_clips_give_as_many_frames_as_opencv_counts(shared_data, tmp_path):
    paths = sorted((shared_data / "ucf101_clips").rglob("*.avi"), key=lambda p: p.stat().st_size)
    chosen = {str(path) for path in paths[:10]}
    table = Folder().videos(shared_data / "ucf101_clips")
    table = table[table.path.isin(chosen)]
    assert len(table) == 10
    index = extract_frames(table, Store(tmp_path), workers=0)
    for row in index.itertuples():
        capture, count = cv2.VideoCapture(row.source), 0
        while capture.grab():
            count += 1
        assert row.n_frames == count >= 20
        assert len(list((tmp_path / "frames" / row.video_id).iterdir())) == count
        assert (row.width, row.height, row.status, row.message) == (320, 240, "ok", "")
        assert row.fps == pytest.approx(25, abs=5)
        assert row.group == re.search(r"g\d\d", row.video_id)[0]


def test_a_video_that_was_replaced_is_extracted_again(video, tmp_path):
    """Under the same name and size too: the bytes count, not what the row says."""
    path, store = tmp_path / "X/clip.avi", Store(tmp_path / "store")
    path.parent.mkdir()
    data = video.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert extract_frames(table_of(path), store, workers=0).status[0] == "partial"
    path.write_bytes(data)  # the whole download
    assert extract_frames(table_of(path), store, workers=0).n_frames[0] == 40
    frame = store.path("frame", "X/clip", 9)
    before = frame.stat().st_mtime_ns
    os.utime(path, (time.time() + 60, time.time() + 60))  # touched, but the same bytes
    extract_frames(table_of(path), store, workers=0)
    assert frame.stat().st_mtime_ns == before
    other = bytearray(data)
    other[-2000:-1000] = other[-4000:-3000]
    path.write_bytes(bytes(other))
    os.utime(path, (time.time() + 60, time.time() + 60))
    row = extract_frames(table_of(path), store, workers=0).iloc[0]
    assert row.source_sha256 == hashlib.sha256(bytes(other)).hexdigest()


def test_videos_that_are_gone_leave_the_index(video, tmp_path, capsys):
    store, root = Store(tmp_path / "store"), tmp_path / "videos"
    (root / "X").mkdir(parents=True)
    paths = [root / f"X/{name}.avi" for name in ("a", "b")]
    for path in paths:
        shutil.copy(video, path)
    extract_frames(table_of(*paths), store, workers=0)
    assert store.index().video_id.tolist() == ["X/a", "X/b"]
    extract_frames(table_of(paths[0]), store, workers=0)  # b was not asked for, but is there
    assert store.index().video_id.tolist() == ["X/a", "X/b"]
    paths[1].unlink()
    extract_frames(table_of(paths[0]), store, workers=0)  # nobody says that these are all
    extract_frames(table_of(paths[0]), store, root=tmp_path / "other", workers=0)
    assert store.index().video_id.tolist() == ["X/a", "X/b"]
    extract_frames(table_of(paths[0]), store, root=root, workers=0)
    assert store.index().video_id.tolist() == ["X/a"]
    assert "1 videos are no longer there and leave the index: X/b" in capsys.readouterr().out
