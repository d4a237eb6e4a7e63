"""A folder of images is a video like any other: extracted, looked after, mended."""

import os
import re
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import H, W, moved, table_of, texture
from tests.extraction.planted import cut, film, tree
from vidrec.extraction.audit import audit
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.forecast import forecast
from vidrec.extraction.jobs import flow_jobs, frame_jobs
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.extraction.repair import repair
from vidrec.extraction.source import images
from vidrec.extraction.video import VideoError, promised_frames, read_frames
from vidrec.store import Store

SETTINGS = FlowSettings(engine="farneback")
LEVELS = [9, 121, 40, 233, 77, 150, 18, 201, 60, 180, 99, 250]  # in no order but ours


def photograph(folder, count=5, seed=0):
    """`count` colour JPGs img1.jpg, img2.jpg, ... of something that moves."""
    folder.mkdir(parents=True)
    textures = [texture(3 * seed + channel) for channel in range(3)]
    for i in range(count):
        image = np.dstack([moved(layer, i, -i // 2) for layer in textures])
        (folder / f"img{i + 1}.jpg").write_bytes(encode_jpeg(image))
    return folder


def level(path, value):
    path.write_bytes(cv2.imencode(path.suffix, np.full((30, 40), value, np.uint8))[1].tobytes())


def levels(store, video_id):
    n = store.rows()[video_id].n_frames
    frames = [cv2.imread(str(store.path("frame", video_id, i))) for i in range(1, n + 1)]
    return [round(frame.mean()) for frame in frames]


def later(*paths):
    """Changed after what was extracted: clocks of file systems are coarse."""
    for path in paths:
        os.utime(path, (time.time() + 60, time.time() + 60))


def times(store):
    return {path: path.stat().st_mtime_ns for path in store.root.rglob("*.jpg")}


@pytest.fixture
def clip(tmp_path):
    return photograph(tmp_path / "videos/Diving-Side/001")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_images_and_no_other_files_in_the_order_of_their_numbers(clip, store):
    shutil.rmtree(clip)
    film(clip / "2538-5_70133.avi", 0, 4)
    names = [f"frame {i}.png" for i in range(1, 10)]
    names += ["FRAME 10.JPEG", "frame 011.Tiff", "frame 12b.bmp"]
    for name, value in list(zip(names, LEVELS, strict=True))[::-1]:
        level(clip / name, value)
    (clip / "gt.txt").write_text("1 2 3 4")
    (clip / ".hidden.jpg").write_bytes(b"x")
    (clip / "Thumbs.db").write_bytes(b"x")
    (clip / "gt").mkdir()
    level(clip / "gt/frame 1.jpg", 0)
    (clip / "frame 3.jpg").mkdir()  # a folder, whatever its name
    assert [path.name for path in images(clip)] == names
    assert promised_frames(clip) == (12, 0.0)
    assert [frame[7, 9].tolist() for frame in read_frames(str(clip))] == [[x] * 3 for x in LEVELS]
    (row,) = extract_frames(table_of(clip), store, workers=0).to_dict("records")
    assert levels(store, "X/001") == LEVELS
    facts = ("n_frames", "width", "height", "fps", "source", "status", "message")
    assert [row[name] for name in facts] == [12, 40, 30, 0.0, str(clip), "ok", ""]
    assert row["source_bytes"] == sum((clip / name).stat().st_size for name in names)


def test_numbers_of_equal_value_and_names_of_one_case(tmp_path):
    names = ["a.jpg", "a1.jpg", "A01.JPG", "a1.png", "a2.jpg", "a2-9.jpg", "a2-10.jpg", "B1.jpg"]
    names = [*names, "img_9.jpg", "img_10.jpg", f"img_{'9' * 200}.jpg", os.fsdecode(b"\xe9.jpg")]
    for name in names[::-1]:
        (tmp_path / name).write_bytes(b"x")
    found = [path.name for path in images(tmp_path)]
    assert found[1:4] == ["A01.JPG", "a1.jpg", "a1.png"]
    assert found[:1] + found[4:] == names[:1] + names[4:]
    assert images(tmp_path / "a.jpg") == images(tmp_path / "nowhere") == images("") == []


def test_pixels_are_those_of_the_images(clip, store):
    """Decoded and encoded once more, as a video's frames are; each kind of image as uint8 BGR."""
    colour = np.dstack([moved(texture(seed), 0, 0) for seed in (5, 6, 7)])
    kinds = {
        "img6.png": colour,
        "img7.PNG": colour.astype(np.uint16) * 257,
        "img8.png": np.dstack([colour, np.full((H, W), 90, np.uint8)]),
        "img9.tif": colour,
        "img10.bmp": colour,
    }
    for name, image in kinds.items():
        (clip / name).write_bytes(cv2.imencode(Path(name).suffix, image)[1].tobytes())
    level(clip / "img11.jpg", 3)
    gray = cv2.imencode(".png", texture(8)[:H, :W])[1].tobytes()
    (clip / "img11.jpg").write_bytes(gray)  # what is in it counts
    frames = list(read_frames(clip))
    assert [(frame.shape, frame.dtype) for frame in frames] == [((H, W, 3), np.uint8)] * 11
    for frame in frames[5:10]:
        np.testing.assert_array_equal(frame, colour)
    np.testing.assert_array_equal(frames[10], np.dstack([texture(8)[:H, :W]] * 3))
    extract_frames(table_of(clip), store, workers=0)
    for i, frame in enumerate(frames, start=1):
        assert store.path("frame", "X/001", i).read_bytes() == encode_jpeg(frame)


def test_exif_does_not_turn_an_image(clip):
    path = clip / "img3.jpg"
    data, before = path.read_bytes(), list(read_frames(clip))
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # to be turned
    exif = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:])
    assert cv2.imread(str(path)).shape == (W, H, 3)
    for frame, expected in zip(read_frames(clip), before, strict=True):
        np.testing.assert_array_equal(frame, expected)


def test_flow_in_one_pass_beside_a_video_file(clip, store, tmp_path):
    other = photograph(clip.with_name("002"), 7, seed=3)
    film(tmp_path / "videos/Run-Side/a.avi", 1, 6)
    table = table_of(clip, other, tmp_path / "videos/Run-Side/a.avi")
    index = extract_flow(store, SETTINGS, table=table, workers=2)
    assert index.status.tolist() == ["ok"] * 3
    assert index.n_frames.tolist() == [5, 7, 6]
    assert index.n_flow.tolist() == [4, 6, 5]
    codes = cv2.imread(str(store.path("flow_x", "X/001", 2)), cv2.IMREAD_GRAYSCALE)
    assert np.median(codes) == pytest.approx(128 + 255 / 40, abs=2)  # 1 px to the right
    two = Store(tmp_path / "two")
    extract_frames(table, two, workers=0)
    extract_flow(two, SETTINGS, workers=0)
    assert tree(two.root) == tree(store.root)
    before = times(store)
    assert flow_jobs(store, SETTINGS, table) == []
    extract_flow(store, SETTINGS, table=table, workers=0)
    assert times(store) == before


def add(clip):
    (clip / "img4b.png").write_bytes(encode_jpeg(moved(texture(9), 0, 0)))
    return 6


def remove(clip):
    (clip / "img2.jpg").unlink()
    return 4


def rename(clip):
    """In the same order: the same frames, but who knows."""
    (clip / "img5.jpg").rename(clip / "img6.jpg")
    later(clip)
    return 5


def swap(clip):
    (clip / "img2.jpg").rename(clip / "x")
    (clip / "img4.jpg").rename(clip / "img2.jpg")
    (clip / "x").rename(clip / "img4.jpg")
    later(clip)
    return 5


def replace(clip):
    (clip / "img3.jpg").write_bytes(encode_jpeg(moved(texture(9), 0, 0)))
    return 5


def change_in_place(clip):
    """Of the same size."""
    path = clip / "img3.jpg"
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xdb") + 9] ^= 2  # a quantization step
    path.write_bytes(data)
    later(path)
    return 5


CHANGES = [add, remove, rename, swap, replace, change_in_place]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_and_the_video_done_again(clip, store, tmp_path, change):
    table = table_of(clip, photograph(clip.with_name("002"), 3, seed=2))
    extract_flow(store, SETTINGS, table=table, workers=0)
    before = times(store)
    frames = change(clip)
    (job,) = flow_jobs(store, SETTINGS, table)
    assert (job[1].video_id, job[3]) == ("X/001", True)
    (fault,) = audit(store, workers=0)
    assert (fault.video_id, fault.kind) == ("X/001", "frames")
    assert fault.message.startswith(f"{clip} must be the video of ")
    repaired = Store(tmp_path / "repaired")
    shutil.copytree(store.root, repaired.root)
    assert repair(repaired, [fault], workers=0) == []
    index = extract_flow(store, SETTINGS, table=table, workers=0)
    assert index.n_frames.tolist() == [frames, 3]
    assert audit(store, workers=0) == []
    changed = {
        path.parent.name for path, mtime in times(store).items() if before.get(path) != mtime
    }
    assert changed == {"001"}
    fresh = Store(tmp_path / "fresh")
    extract_flow(fresh, SETTINGS, table=table, workers=0)
    assert tree(store.root) == tree(fresh.root) == tree(repaired.root)


def test_what_is_no_change(clip, store):
    extract_frames(table_of(clip), store, workers=0)
    before = times(store)
    (clip / "gt.txt").write_text("x")
    (clip / "gt").mkdir()
    later(clip, clip / "img2.jpg")
    assert frame_jobs(table_of(clip), store) == []
    assert audit(store, workers=0) == []
    extract_frames(table_of(clip), store, workers=0)
    assert times(store) == before


def test_a_folder_that_was_moved_is_not_extracted_again(clip, store, tmp_path):
    table = table_of(clip, photograph(clip.with_name("002"), seed=4))
    extract_frames(table, store, workers=0)
    before = times(store)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "videos", elsewhere)
    table = table_of(*sorted(elsewhere.glob("*/*")))
    index = extract_frames(table, store, workers=0)
    assert index.source.tolist() == table.path.tolist()
    assert times(store) == before
    shutil.copytree(elsewhere, tmp_path / "third")
    table = table_of(*sorted((tmp_path / "third").glob("*/*")))
    (Path(table.path[1]) / "img1.jpg").rename(Path(table.path[1]) / "img9.jpg")  # no more the same
    index = extract_frames(table, store, workers=0)
    changed = {path.parent.name for path, mtime in times(store).items() if before[path] != mtime}
    assert changed == {"002"}
    assert index.source.tolist() == table.path.tolist()


def test_folders_that_are_gone_or_empty_leave_the_index(clip, store, capsys):
    others = [photograph(clip.with_name(name), 2, seed=int(name)) for name in ("002", "003", "004")]
    extract_frames(table_of(clip, *others), store, workers=0)
    shutil.rmtree(others[0])
    for image in images(others[1]):
        image.unlink()
    (others[1] / "gt.txt").write_text("what is left")
    extract_frames(table_of(clip), store, root=clip.parent, workers=0)
    assert store.index().video_id.tolist() == ["X/001", "X/004"]
    assert "2 videos are no longer there and leave the index: X/002" in capsys.readouterr().out
    shutil.rmtree(clip)
    with pytest.raises(FileNotFoundError, match="001"):  # as of a file: is its disk not there?
        extract_frames(table_of(clip), store, workers=0)


def truncate(path):
    cut(path, 0.9)


def lose_the_last_byte(path):
    path.write_bytes(path.read_bytes()[:-1])


def truncate_a_png(path):
    level(path.with_suffix(".png"), 77)
    path.with_suffix(".png").rename(path)
    cut(path, 0.8)


def empty(path):
    path.write_bytes(b"")


def put_text(path):
    path.write_text("404 not found")


def put_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing.jpg")


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


def link_to_a_device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGE = "is not an image that OpenCV can read. Is it damaged? Fetch it again."
NO_FILE = "is not a regular file (a pipe, a device or a broken link). Put the image there, or"
BROKEN = {
    truncate: DAMAGE,
    lose_the_last_byte: DAMAGE,
    truncate_a_png: DAMAGE,
    empty: DAMAGE,
    put_text: DAMAGE,
    put_a_pipe: NO_FILE,
    link_to_nothing: NO_FILE,
    link_to_itself: NO_FILE,
    link_to_a_device: NO_FILE,
}


@pytest.mark.parametrize("harm", BROKEN)
def test_a_broken_image_fails_its_video_and_is_named(clip, store, harm):
    table = table_of(clip, photograph(clip.with_name("002"), 4))
    whole = Store(store.root.parent / "whole")
    extract_frames(table, whole, workers=0)
    harm(clip / "img3.jpg")
    for each in (store, whole):  # not done before, and done
        rows = extract_frames(table, each, workers=0)
        assert rows.status.tolist() == ["failed", "ok"]
        assert rows.n_frames.tolist() == [0, 4]
        assert rows.message[0].startswith(f"{clip / 'img3.jpg'} {BROKEN[harm]}")
    assert not store.folder("frame", "X/001").exists()
    (clip / "img3.jpg").unlink()
    shutil.copy(clip / "img4.jpg", clip / "img3.jpg")
    assert extract_frames(table, store, workers=0).status.tolist() == ["ok", "ok"]


def test_a_pipe_beside_the_images_of_a_done_video_is_not_waited_for(clip, store):
    extract_frames(table_of(clip), store, workers=0)
    os.mkfifo(clip / "img6.jpg")
    later(clip)
    assert [fault.kind for fault in audit(store, workers=0)] == ["frames"]
    row = extract_frames(table_of(clip), store, workers=0).iloc[0]
    assert (row.status, row.message.split(" is ")[0]) == ("failed", str(clip / "img6.jpg"))


def test_links_to_files_are_images(clip, store, tmp_path):
    expected = [frame.tobytes() for frame in read_frames(clip)]
    shutil.move(clip / "img2.jpg", tmp_path / "kept")
    (clip / "img2.jpg").symlink_to(tmp_path / "kept")
    (tmp_path / "linked").symlink_to(clip)
    assert [frame.tobytes() for frame in read_frames(tmp_path / "linked")] == expected
    extract_frames(table_of(tmp_path / "linked"), store, workers=0)
    later(tmp_path / "kept")
    assert frame_jobs(table_of(tmp_path / "linked"), store) == []
    data = bytearray((tmp_path / "kept").read_bytes())
    data[-400] ^= 4
    (tmp_path / "kept").write_bytes(data)
    later(tmp_path / "kept")
    assert len(frame_jobs(table_of(tmp_path / "linked"), store)) == 1


def test_images_of_two_sizes(clip, store):
    (clip / "img4.jpg").write_bytes(encode_jpeg(texture(1)[:H, : W - 1]))
    row = extract_frames(table_of(clip), store, workers=0).iloc[0]
    assert (row.status, row.n_frames) == ("failed", 0)
    assert row.message.startswith(
        f"{clip}: frame 4 is {W - 1}x{H} px, those before it {W}x{H}. A clip needs one size: "
    )


def test_folders_without_images(clip, store):
    shutil.rmtree(clip)
    clip.mkdir()
    (clip / "gt.txt").write_text("x")
    film(clip / "a.avi", 0, 3)
    row = extract_frames(table_of(clip), store, workers=0).iloc[0]
    assert (row.status, row.n_frames) == ("failed", 0)
    assert row.message == (
        f"{clip} is a folder without images (.jpg, .jpeg, .png, .bmp, .tif, .tiff). Give the path "
        "of a video file, or of a folder with an image of every frame."
    )
    for read in (promised_frames, lambda path: next(read_frames(path))):
        with pytest.raises(VideoError, match=re.escape(f"{clip} is a folder without images (")):
            read(clip)


def test_an_empty_path_is_not_the_current_folder(clip, store, monkeypatch):
    monkeypatch.chdir(clip)
    row = extract_frames(table_of(clip).assign(path=""), store, workers=0).iloc[0]
    assert row.status == "failed"
    assert "is not a file. Give the path of a video file" in row.message


def test_names_of_folders(clip, store):
    """Only OpenCV takes %03d for a pattern, and it is not asked; the index must hold the name."""
    for name in ("clip_%03d", "50%", "a b;c", "v été"):
        photograph(clip.with_name(name), 2)
        index = extract_frames(table_of(clip.with_name(name)), store, workers=0)
        assert index.n_frames.tolist() == [2]
        assert frame_jobs(table_of(clip.with_name(name)), store) == []
    latin = photograph(clip.with_name(os.fsdecode(b"latin1_\xe9")), 2)
    with pytest.raises(VideoError, match=r"must be UTF-8 text. Received: .*latin1_\\udce9'"):
        next(read_frames(latin))


def test_a_lost_frame_is_found_and_mended(clip, store):
    extract_flow(
        store, SETTINGS, table=table_of(clip, photograph(clip.with_name("002"), 3)), workers=0
    )
    before = tree(store.root)
    assert audit(store, workers=0) == []
    path = store.path("frame", "X/001", 2)
    path.unlink()
    faults = audit(store, workers=0)
    assert [(fault.video_id, fault.kind) for fault in faults] == [("X/001", "frames")]
    assert faults[0].message.startswith(f"{path} must be there: images are 1 to 5")
    assert repair(store, faults, workers=0) == []
    assert tree(store.root) == before


@pytest.mark.parametrize("what", ["nothing", "no image", "a link that is broken"])
def test_what_is_gone_is_no_fault_and_mends_nothing(clip, store, what):
    extract_frames(table_of(clip), store, workers=0)
    if what == "nothing":
        shutil.rmtree(clip)
    elif what == "no image":
        for image in images(clip):
            image.unlink()
    else:
        link_to_nothing(clip / "img2.jpg")
    if what != "a link that is broken":
        assert audit(store, workers=0) == []
    store.path("frame", "X/001", 2).unlink()
    before = tree(store.root)
    left = repair(store, audit(store, workers=0), workers=0)
    assert {(fault.video_id, fault.kind) for fault in left} == {("X/001", "frames")}
    reason = f"Repair needs its video, which is not there: {str(clip)!r}"
    assert all(fault.message.endswith(f". {reason}") for fault in left)
    assert tree(store.root) == before


def test_a_forecast_counts_images(clip, store, tmp_path):
    film(tmp_path / "videos/Run-Side/a.avi", 1, 12)
    paths = [photograph(clip.with_name(f"{i:03}"), i, seed=i) for i in range(2, 7)]
    empty = tmp_path / "videos/empty/none"
    empty.mkdir(parents=True)
    table = table_of(*paths, tmp_path / "videos/Run-Side/a.avi", empty)
    plan = forecast(flow_jobs(store, SETTINGS, table), workers=0)
    assert plan.frames[:5] == [2, 3, 4, 5, 6]
    assert plan.frames[5] == pytest.approx(12, abs=1)  # by its own size, not that of images
    assert plan.frames[6] == 1
    assert plan.bytes > 0
    assert not store.root.exists()
    alone = forecast(flow_jobs(store, SETTINGS, table_of(*paths)), workers=0)
    extract_flow(store, SETTINGS, table=table_of(*paths), workers=0)
    written = sum(512 * path.stat().st_blocks for path in store.root.rglob("*.jpg"))
    assert alone.bytes == pytest.approx(written, rel=0.4)
