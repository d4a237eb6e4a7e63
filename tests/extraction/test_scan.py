import re

import pytest

from vidrec.extraction.scan import scan
from vidrec.layouts import LAYOUTS
from vidrec.store import Store

KINDS = ("frame", "flow_x", "flow_y")
FOREIGN = ("tsn", "mmaction2", "feichtenhofer")


def fill(store, video_id, frames, flow_x, flow_y):
    """Empty files with these numbers."""
    for kind, numbers in zip(KINDS, (frames, flow_x, flow_y), strict=True):
        for i in numbers:
            path = store.path(kind, video_id, i)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@pytest.mark.parametrize("layout", FOREIGN)
def test_scan_finds_what_is_whole_and_says_what_is_not(tmp_path, layout):
    store = Store(tmp_path, layout)
    cases = {  # frames, flow x, flow y -> what the message holds
        "A/whole": (range(1, 12), range(1, 11), range(1, 11), None),
        "A/rgb_only": (range(1, 5), (), (), None),
        "B/gap": ((1, 2, 4), (1, 2), (1, 2), "frame images must be numbered 1, 2, ... without"),
        "B/from_zero": (range(3), (1, 2), (1, 2), "frame images must be numbered 1, 2, ..."),
        "B/flow_gap": (range(1, 5), (1, 2, 4), (1, 2, 3), "flow_x images must be numbered 1, 2"),
        "B/uneven": (range(1, 5), (1, 2, 3), (1, 2), "3 flow_x images but 2 flow_y"),
        "B/short": (range(1, 8), range(1, 5), range(1, 5), "7 frames need 6 flow pairs, found 4"),
        "B/long": (range(1, 8), range(1, 9), range(1, 9), "7 frames need 6 flow pairs, found 8"),
    }
    for video_id, (*numbers, _) in cases.items():
        fill(store, video_id, *numbers)
    rows = {row.video_id: row for row in scan(store, [*cases, "B/none"])}
    assert list(rows) == sorted([*cases, "B/none"])
    for video_id, (frames, flow_x, _, message) in cases.items():
        row = rows[video_id]
        assert (row.n_frames, row.n_flow) == (len(frames), len(flow_x)), video_id
        assert row.label == video_id[0]
        assert row.status == ("failed" if message else "ok"), row.message
        assert (message or "") in row.message
    assert rows["A/whole"].flow_algorithm == f"unknown ({layout})"
    assert rows["A/whole"].message == rows["A/rgb_only"].flow_algorithm == ""
    none = rows["B/none"]
    assert (none.status, none.n_frames) == ("failed", 0)
    assert none.message == f"no frames in {store.folder('frame', 'B/none')}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scan_without_ids_looks_at_every_visible_folder(tmp_path, layout):
    store = Store(tmp_path, layout)
    for video_id in ("A/v1", "A/.v1.tmp8x2", "B/v2"):  # the second: a killed extraction's leftover
        fill(store, video_id, range(1, 4), (1, 2), (1, 2))
    rows = scan(store)
    classes = layout in ("vidrec", "mmaction2")  # the others' files do not tell the class
    assert [row.video_id for row in rows] == (["A/v1", "B/v2"] if classes else ["v1", "v2"])
    assert [row.label for row in rows] == (["A", "B"] if classes else ["", ""])
    assert {(row.n_frames, row.n_flow, row.status) for row in rows} == {(3, 2, "ok")}


def test_scan_does_not_count_other_files(tmp_path):
    store = Store(tmp_path, "tsn")
    fill(store, "v1", range(1, 4), (1, 2), (1, 2))
    for name in ("img_4.jpg", "img_00004.png", "img_abcde.jpg", "thumb_00004.jpg", "notes.txt"):
        (tmp_path / "v1" / name).touch()
    (row,) = scan(store)
    assert (row.n_frames, row.n_flow, row.status) == (3, 2, "ok")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scan_of_an_empty_root(tmp_path, layout):
    text = f"No images of layout {layout!r} under {tmp_path}: looked for {tmp_path}/"
    for video_ids in (None, ["A/v1"]):
        with pytest.raises(FileNotFoundError, match=re.escape(text)):
            scan(Store(tmp_path, layout), video_ids)


@pytest.mark.parametrize("layout", FOREIGN)
def test_a_flow_pair_more_as_tsns_tool_writes_it(tmp_path, layout):
    store = Store(tmp_path, layout)
    fill(store, "A/v1", range(1, 8), range(1, 8), range(1, 8))
    fill(store, "A/v2", (1,), (1,), (1,))
    first, second = scan(store, ["A/v1", "A/v2"])
    assert (first.n_frames, first.n_flow, first.status) == (7, 6, "ok")
    assert first.message == "as many flow pairs as frames (7): the last flow image is not read"
    assert first.flow_algorithm == f"unknown ({layout})"
    assert (second.n_frames, second.n_flow, second.status) == (1, 0, "ok")


def test_vidrec_itself_writes_no_flow_pair_more(tmp_path):
    store = Store(tmp_path)
    fill(store, "A/v1", range(1, 8), range(1, 8), range(1, 8))
    (row,) = scan(store)
    assert (row.status, row.message) == ("failed", "7 frames need 6 flow pairs, found 7")


def test_packed_images_cannot_be_scanned(tmp_path):
    with pytest.raises(ValueError, match="must be read as TFRecords: its images are packed"):
        scan(Store(tmp_path, "tfrecord"))
