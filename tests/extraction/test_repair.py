"""What repair does not mend it leaves as it is, and says why."""

import os
import shutil
from pathlib import Path

import cv2
import pytest

from tests.extraction.conftest import table_of
from tests.extraction.planted import copied, cut, film, made, rewrite, tree
from vidrec.extraction.audit import audit
from vidrec.extraction.batch import extract_flow, extract_frames
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.repair import repair
from vidrec.store import Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"), ["a", "b", "c"], 5)


@pytest.fixture
def store(whole, tmp_path):
    return copied(whole, tmp_path)


def repaired(store):
    """What repair leaves of all that audit finds; the second time it finds the same."""
    faults = audit(store, workers=0)
    assert faults
    left = repair(store, faults, workers=0)
    assert len(audit(store, workers=0)) == len(left)
    return left


def test_without_their_video_frames_stay_broken_and_flow_does_not(store):
    for video_id in ("X/a", "X/b"):
        Path(store.rows()[video_id].source).unlink()
    cut(store.path("frame", "X/a", 2), 0.5)
    cut(store.path("flow_x", "X/a", 2), 0.5)
    store.path("flow_x", "X/b", 2).unlink()
    before = tree(store.root)
    left = repaired(store)
    assert [(fault.video_id, fault.kind) for fault in left] == [("X/a", "flow"), ("X/a", "frames")]
    source = store.rows()["X/a"].source
    reason = f"Repair needs its video, which is not there: {source!r}"
    assert all(fault.message.endswith(f". {reason}") for fault in left)
    after = tree(store.root)
    assert after.pop("flow/X/b/flow_x_00002.jpg")
    assert after == before


def test_a_row_without_a_source(store):
    rewrite(store, "X/a", source="")
    store.path("frame", "X/a", 1).unlink()
    (fault,) = repaired(store)
    assert fault.message.endswith("which is not there: ''")


def test_a_changed_video_is_extracted_as_it_is_now(store):
    film(Path(store.rows()["X/b"].source), 12, 9)
    assert repaired(store) == []
    assert store.rows()["X/b"].n_frames == 9
    fresh = Store(store.root.parent / "fresh")
    table = table_of(*sorted((store.root.parent / "videos").iterdir()))
    extract_flow(fresh, FlowSettings(engine="farneback"), table=table, workers=0)
    assert tree(store.root) == tree(fresh.root)


def test_frames_alone_in_a_store_without_flow(store):
    fresh = Store(store.root.parent / "fresh")
    extract_frames(table_of(*sorted((store.root.parent / "videos").iterdir())), fresh, workers=0)
    before = tree(fresh.root)
    cut(fresh.path("frame", "X/c", 1), 0.7)
    assert repaired(fresh) == []
    assert tree(fresh.root) == before
    assert not (fresh.root / "flow").exists()


def test_a_video_that_is_damaged_by_now(store):
    """Its old images are no longer claimed, and are kept: there are no others."""
    Path(store.rows()["X/b"].source).write_bytes(b"no video")
    images = {name: data for name, data in tree(store.root).items() if name.endswith(".jpg")}
    left = repaired(store)
    assert [(fault.video_id, fault.kind) for fault in left] == [
        ("X/b", "row"),
        ("X/b", "stray"),
        ("X/b", "stray"),
    ]
    assert "b.avi is not a video that OpenCV's FFmpeg can read" in left[0].message
    left = repaired(store)
    kept = "Repair leaves it: its extraction failed, and there may be no other images of it"
    assert all(fault.message.endswith(kept) for fault in left[1:])
    after = {name: data for name, data in tree(store.root).items() if name.endswith(".jpg")}
    assert after == images


def test_a_partial_video_stays_partial(store):
    rewrite(store, "X/c", status="partial", message="v.avi: 7 frames decoded of 90.")
    before = tree(store.root)
    (fault,) = repaired(store)
    assert fault.message.endswith("Repair cannot make more of the video: fetch it again")
    assert tree(store.root) == before
    store.path("flow_x", "X/c", 2).unlink()
    assert len(repaired(store)) == 1
    assert tree(store.root) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"flow_algorithm": "unknown (vidrec)", "flow_parameters": ""},
        {"flow_parameters": "{}"},
        {"flow_parameters": "[1]"},
        {"flow_parameters": '{"bound": 20.0, "quantize": "bound", "levels": 9}'},
        {"cv2_version": "4.1.0"},
    ],
    ids=["another tool", "no parameters", "no dict", "an older vidrec", "an older OpenCV"],
)
def test_flow_that_cannot_be_made_alike_here(store, changes):
    for video_id in store.rows():
        rewrite(store, video_id, **changes)
    store.path("flow_x", "X/a", 2).unlink()
    store.path("frame", "X/b", 2).unlink()  # its flow, which is whole, must not be lost
    before = tree(store.root)
    left = repaired(store)
    assert [(fault.video_id, fault.kind) for fault in left] == [("X/a", "flow"), ("X/b", "frames")]
    assert all("Repair cannot make flow here as most was made, by" in f.message for f in left)
    assert all(f.message.endswith("`vidrec extract-flow`, which makes all flow anew") for f in left)
    assert tree(store.root) == before


def test_failed_flow_with_none_to_go_by(store):
    shutil.rmtree(store.root / "flow")
    none = {"n_flow": 0, "flow_algorithm": "", "flow_parameters": "", "flow_sha256": ""}
    for video_id in store.rows():
        rewrite(store, video_id, **none)
    rewrite(store, "X/b", status="failed", message="flow took too long")
    (fault,) = repaired(store)
    assert fault.message.endswith("Run `vidrec extract-flow`: repair finds no flow to go by")


def test_what_vidrec_did_not_make_is_left(store):
    strange = store.folder("frame", "Y/holiday")
    strange.mkdir(parents=True)
    shutil.copy(store.path("frame", "X/a", 1), strange)
    (strange / "notes.txt").write_text("x")
    (store.root / "flow/X/Thumbs.db").write_bytes(b"x")
    (store.root / "frames/link").symlink_to(store.root.parent / "videos")
    linked = store.folder("flow_x", "Y/linked")
    linked.mkdir(parents=True)
    (linked / "flow_x_00001.jpg").symlink_to(store.path("flow_x", "X/a", 1))
    ours = store.folder("frame", "Y/ours")
    shutil.copytree(store.folder("frame", "X/a"), ours)
    before = tree(store.root)
    left = repaired(store)
    assert {fault.message.split(" must ")[0] for fault in left} == {
        str(strange),
        str(store.root / "flow/X/Thumbs.db"),
        str(store.root / "frames/link"),
        str(linked),
        str(ours),
    }
    assert all(f.message.endswith("index does not know it. Move it elsewhere") for f in left)
    assert tree(store.root) == before


def test_images_that_their_row_does_not_claim_go_and_what_lies_among_them_stays(store):
    """Flow of frames that were since replaced, in a store whose other flow was removed."""
    for video_id in store.rows():
        rewrite(store, video_id, n_flow=0, flow_algorithm="", flow_parameters="", flow_sha256="")
    note = store.folder("flow_x", "X/b") / "notes.txt"
    note.write_text("x")
    (fault,) = repaired(store)
    assert fault.message.endswith("vidrec did not make it. Move it elsewhere")
    left = {path.relative_to(store.root).as_posix() for path in store.root.glob("flow/*/*/*")}
    assert note.exists()
    assert len(left) == 2 * (store.rows()["X/b"].n_frames - 1) + 1


def test_what_a_killed_swap_moved_away_comes_back(store):
    """Without its video there would be nothing else."""
    before = tree(store.root)
    Path(store.rows()["X/a"].source).unlink()
    folder = store.folder("frame", "X/a")
    os.rename(folder, folder.with_name(".a.replaced-0123abcd"))
    assert len(audit(store, workers=0)) == 2
    assert repaired(store) == []
    assert tree(store.root) == before


def test_only_what_is_asked_for(store):
    """A person may take faults out of the list."""
    cut(store.path("frame", "X/a", 2), 0.5)
    cut(store.path("frame", "X/b", 2), 0.5)
    first, second = audit(store, workers=0)
    assert repair(store, [second], workers=0) == []
    assert audit(store, workers=0) == [first]
    assert repair(store, [], workers=0) == []


def test_engine_fast(store):
    table = table_of(*sorted((store.root.parent / "videos").iterdir())[:2])
    fresh = Store(store.root.parent / "fresh")
    extract_flow(fresh, FlowSettings(bound=15.0), table=table, workers=0)
    before = tree(fresh.root)
    cut(fresh.path("flow_y", "X/a", 2), 0.5)
    cut(fresh.path("frame", "X/b", 2), 0.5)
    rewrite(fresh, "X/a", cv2_version=cv2.__version__ + "x")  # makes no difference
    assert len(audit(fresh, workers=0)) == 2
    assert repaired(fresh) == []
    assert tree(fresh.root) == before


def test_stores_that_are_not_repaired(store):
    tsn = Store(store.root, "tsn")
    with pytest.raises(ValueError, match="Only a whole store in the layout 'vidrec'.*layout='tsn'"):
        repair(tsn, [], workers=0)
    with pytest.raises(ValueError, match="shard='1/2'"):
        repair(Store(store.root, shard="1/2"), [], workers=0)
    with store.writing(), pytest.raises(RuntimeError, match="is writing"):
        repair(Store(store.root), [], workers=0)
