"""Planted faults: an audit finds each and nothing else, and repair leaves no trace of them."""

import dataclasses
import os
import shutil
from pathlib import Path

import cv2
import pytest

from tests.extraction.planted import PLANTS, copied, cut, flip, made, rewrite, tree
from vidrec.extraction import audit as auditing
from vidrec.extraction.audit import Fault, audit
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.extraction.pool import Lost
from vidrec.extraction.repair import repair
from vidrec.extraction.scan import scan
from vidrec.layouts import LAYOUTS
from vidrec.store import Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"), ["a", "b", "c"], 5)


@pytest.fixture
def store(whole, tmp_path):
    return copied(whole, tmp_path)


def check(faults, expected):
    assert [fault[:2] for fault in map(dataclasses.astuple, faults)] == [e[:2] for e in expected]
    for _, _, path, text in expected:
        assert any(f.message.startswith(str(path)) and text in f.message for f in faults), faults


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found_and_mended(store, name):
    before = tree(store.root)
    expected = PLANTS[name](store, "X/b")
    faults = audit(store, workers=0)
    check(faults, expected)
    assert repair(store, faults, workers=0) == []
    assert audit(store, workers=0) == []
    assert tree(store.root) == before


def test_all_at_once(tmp_path):
    """One fault in each of many videos."""
    store = made(tmp_path, [f"v{i:02}" for i in range(len(PLANTS) + 2)], 5)
    assert audit(store, workers=0) == []
    before = tree(store.root)
    expected = []
    for video, function in zip(sorted(store.rows()), PLANTS.values(), strict=False):
        expected += function(store, video)
    assert len({video for video, *_ in expected}) > 40
    faults = audit(store, workers=2)
    check(faults, sorted(expected))
    assert faults == audit(store, workers=0)
    assert repair(store, faults, workers=2) == []
    assert tree(store.root) == before


def test_a_whole_store_has_no_fault_and_is_not_touched(store, capsys):
    shutil.rmtree(store.root.parent / "videos")  # many people remove them
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    assert audit(store, workers=0) == []
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before
    assert "audit: 18 of 18 frames" in capsys.readouterr().err


def test_frames_without_flow_are_no_fault(store):
    for video_id in store.rows():
        rewrite(store, video_id, n_flow=0, flow_algorithm="", flow_parameters="", flow_sha256="")
    stale = audit(store, workers=0)
    assert {fault.kind for fault in stale} == {"stray"}
    assert len(stale) == 3
    text = "flow/X/a must be gone: the row of X/a claims no such images. Received: ok"
    assert stale[0].message.endswith(text)
    shutil.rmtree(store.root / "flow")
    assert audit(store, workers=0) == []


def test_a_changed_video_is_found_whatever_its_size(store):
    rows = store.rows()
    with open(rows["X/a"].source, "ab") as file:
        file.write(b"x")
    flip(Path(rows["X/b"].source), 0.5)
    Path(rows["X/c"].source).unlink()
    shutil.copytree(store.root, rows["X/c"].source)  # no file: as good as gone
    faults = audit(store, workers=0)
    assert [(fault.video_id, fault.kind) for fault in faults] == [
        ("X/a", "frames"),
        ("X/b", "frames"),
    ]
    for fault, size in zip(
        faults, (rows["X/a"].source_bytes + 1, rows["X/b"].source_bytes), strict=True
    ):
        row = rows[fault.video_id]
        assert fault.message == (
            f"{row.source} must be the video of {row.source_bytes} bytes that was extracted: it "
            f"has changed since. Received: {size} bytes with another sha256"
        )


def test_a_partial_video_is_told_and_its_images_are_looked_at(store):
    rewrite(store, "X/c", status="partial", message="v.avi: 7 frames decoded of 90.")
    cut(store.path("flow_x", "X/c", 1), 0.5)
    flow, row = audit(store, workers=0)
    assert (flow.kind, row.kind) == ("flow", "row")
    assert row.message == (
        f"{store.root}: X/c must be 'ok' in the index, with frames. Received: status='partial', "
        "v.avi: 7 frames decoded of 90."
    )


def test_only_some_videos(store):
    for video_id in ("X/a", "X/b"):
        cut(store.path("frame", video_id, 1), 0.5)
    (store.root / "frames/notes.txt").write_text("x")
    assert {fault.video_id for fault in audit(store, workers=0)} == {"", "X/a", "X/b"}
    some = audit(store, video_ids=["X/b", "X/unknown"], workers=0)
    assert [fault.video_id for fault in some] == ["X/b"]


def test_frames_on_another_disk_are_no_fault(store):
    shutil.move(store.root / "frames", store.root.parent / "disk")
    (store.root / "frames").symlink_to(store.root.parent / "disk")
    assert audit(store, workers=0) == []


def test_many_faults_of_a_kind_are_one_message(store):
    for i in range(1, 8):
        store.path("frame", "X/c", i).write_bytes(b"")
    (fault,) = audit(store, workers=0)
    names = ", ".join(f"img_{i:05d}.jpg" for i in range(2, 7))
    assert fault.message == (
        f"{store.path('frame', 'X/c', 1)} must be a JPG. Received: an empty file; and 6 more such "
        f"images: {names}, ..."
    )


def test_absurd_counts_in_the_index(store):
    rewrite(store, "X/a", n_frames=10**15, n_flow=-3)
    first, second = audit(store, workers=0)
    assert (first.video_id, first.kind) == ("X/a", "frames")
    assert "999999999999995 are missing" in first.message
    assert second.kind == "stray"


def test_images_that_crash_the_decoder(store, monkeypatch):
    def run(function, jobs, **_):
        for job in jobs:
            lost = job[1].video_id == "X/b"
            yield job, Lost("its worker process died twice") if lost else function(*job)

    monkeypatch.setattr(auditing.pool, "run", run)
    message = (
        f"{store.folder('frame', 'X/b')} and its flow must decode. Received: its worker process "
        "died twice"
    )
    assert audit(store) == [Fault("X/b", "frames", message)]


def foreign(whole, root, layout):
    """The images of a store as another tool would have written them, with an index of `scan`."""
    store = Store(root, layout)
    for row in whole.rows().values():
        for kind, last in (("frame", row.n_frames), ("flow_x", row.n_flow), ("flow_y", row.n_flow)):
            store.folder(kind, row.video_id).mkdir(parents=True, exist_ok=True)
            for i in range(1, last + 1):
                shutil.copy(whole.path(kind, row.video_id, i), store.path(kind, row.video_id, i))
    for row in scan(store, sorted(whole.rows())):
        store.append(row)
    return store


FOREIGN = sorted(set(LAYOUTS) - {"vidrec"})


@pytest.mark.parametrize("layout", FOREIGN)
def test_images_of_other_tools(whole, tmp_path, layout):
    store = foreign(whole, tmp_path, layout)
    (tmp_path / "README").write_text("x")
    (store.folder("frame", "X/a") / "notes.txt").write_text("x")
    for kind in ("flow_x", "flow_y"):  # TSN's tool writes as many flow images as frames
        shutil.copy(store.path(kind, "X/b", 1), store.path(kind, "X/b", 6))
    assert audit(store, workers=0) == []
    cut(store.path("frame", "X/a", 1), 0.5)
    store.path("frame", "X/a", 2).write_bytes(b"")
    store.path("flow_y", "X/b", 5).unlink()
    shutil.copy(store.path("frame", "X/b", 1), store.path("frame", "X/b", 8))
    odd = store.path("flow_x", "X/c", 3)
    odd.write_bytes(encode_jpeg(cv2.imread(str(odd), cv2.IMREAD_GRAYSCALE)[:50]))
    faults = audit(store, workers=0)
    expected = [
        ("X/a", "frames", store.path("frame", "X/a", 1), "decode to its end"),
        ("X/a", "frames", store.path("frame", "X/a", 2), "an empty file"),
        ("X/b", "flow", store.path("flow_y", "X/b", 5), "1 are missing"),
        ("X/b", "frames", store.path("frame", "X/b", 8), "one too many"),
        ("X/c", "flow", odd, "must be of 80 x 60 px. Received: 80 x 50 px"),
    ]
    check(faults, expected)


def test_what_cannot_be_audited(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no index"):
        audit(Store(tmp_path), workers=0)
    with pytest.raises(
        ValueError, match="layout='tfrecord'.*Unpack it with `vidrec pack --unpack`"
    ):
        audit(Store(tmp_path, "tfrecord"), workers=0)


def test_links_that_stay_inside(store):
    path = store.path("frame", "X/a", 2)
    os.rename(path, store.root / "kept.jpg")
    path.symlink_to(store.root / "kept.jpg")
    assert [fault.kind for fault in audit(store, workers=0)] == ["frames"]
    os.rename(store.root / "kept.jpg", store.root / "frames/kept.jpg")
    path.unlink()
    path.symlink_to("../../kept.jpg")
    assert [fault.kind for fault in audit(store, workers=0)] == ["stray"]  # the file itself
