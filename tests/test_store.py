import re

import pytest

from vidrec.store import COLUMNS, Row, Store

# contract 3 of the architecture page, for the video "Archery/v_Archery_g01_c02"
PATHS = {
    "vidrec": (
        "frames/Archery/v_Archery_g01_c02/img_00012.jpg",
        "flow/Archery/v_Archery_g01_c02/flow_x_00012.jpg",
        "flow/Archery/v_Archery_g01_c02/flow_y_00012.jpg",
    ),
    "tsn": (
        "v_Archery_g01_c02/img_00012.jpg",
        "v_Archery_g01_c02/flow_x_00012.jpg",
        "v_Archery_g01_c02/flow_y_00012.jpg",
    ),
    "mmaction2": (
        "Archery/v_Archery_g01_c02/img_00012.jpg",
        "Archery/v_Archery_g01_c02/x_00012.jpg",
        "Archery/v_Archery_g01_c02/y_00012.jpg",
    ),
    "feichtenhofer": (
        "jpegs_256/v_Archery_g01_c02/frame000012.jpg",
        "tvl1_flow/u/v_Archery_g01_c02/frame000012.jpg",
        "tvl1_flow/v/v_Archery_g01_c02/frame000012.jpg",
    ),
}
KINDS = ("frame", "flow_x", "flow_y")
FOREIGN = ("tsn", "mmaction2", "feichtenhofer")
FULL = Row(
    video_id='A/v "one", two',
    label="A",
    group="01",
    n_frames=164,
    n_flow=163,
    width=320,
    height=240,
    fps=30000 / 1001,
    source="/videos/A/été.avi",
    source_sha256="00" * 32,
    flow_algorithm="opencv",
    flow_parameters='{"bound": 20.0, "tau": 0.25}',
    cv2_version="4.10",
    status="partial",
    message="a, b\nNA",
)


def fill(store, video_id, frames, flow_x, flow_y):
    """Empty files with these numbers."""
    for kind, numbers in zip(KINDS, (frames, flow_x, flow_y), strict=True):
        for i in numbers:
            path = store.path(kind, video_id, i)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@pytest.mark.parametrize("layout", PATHS)
def test_paths(tmp_path, layout):
    store = Store(tmp_path, layout)
    video_id = "Archery/v_Archery_g01_c02"
    for kind, path in zip(KINDS, PATHS[layout], strict=True):
        assert store.path(kind, video_id, 12) == tmp_path / path
        assert store.folder(kind, video_id) == (tmp_path / path).parent


def test_unknown_layout(tmp_path):
    text = (
        "`layout` must be one of ['feichtenhofer', 'mmaction2', 'tsn', 'vidrec']. "
        "Received: layout='kinetics'"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        Store(tmp_path, "kinetics")


def test_types_and_texts_survive_the_file(tmp_path):
    store = Store(tmp_path / "new")
    blank = Row(video_id="B/v", label="NA")  # every text that may be empty is
    store.append(FULL)
    store.append(blank)
    assert store.rows() == {FULL.video_id: FULL, "B/v": blank}
    store.compact()
    rows = store.rows()
    assert rows == {FULL.video_id: FULL, "B/v": blank}
    for name, value in vars(rows[FULL.video_id]).items():
        assert type(value) is type(getattr(FULL, name)), name


def test_the_last_row_of_a_video_counts_and_rows_are_sorted(tmp_path):
    store = Store(tmp_path)
    for name, count in (("c", 3), ("a", 1), ("c", 4), ("b", 2), ("c", 5)):
        store.append(Row(video_id=name, label="x", n_frames=count))
    index = store.index()
    assert list(index.columns) == COLUMNS
    assert index.index.tolist() == [0, 1, 2]
    assert dict(zip(index.video_id, index.n_frames, strict=True)) == {"a": 1, "b": 2, "c": 5}
    assert index.video_id.tolist() == ["a", "b", "c"]


def test_compact_keeps_one_line_a_video(tmp_path):
    store = Store(tmp_path)
    for count in range(7):
        store.append(Row(video_id=f"v{count % 3}", label="x", n_frames=count))
    assert len(store.index_path.read_bytes().splitlines()) == 8
    before = store.index()
    assert store.compact().equals(before)
    assert len(store.index_path.read_bytes().splitlines()) == 4
    assert store.index().equals(before)
    assert [path.name for path in tmp_path.iterdir()] == ["index.csv"]
    store.append(Row(video_id="v9", label="y"))
    assert list(store.rows()) == ["v0", "v1", "v2", "v9"]


@pytest.mark.parametrize("torn", [b"torn,x,,17,16", b'torn,x,,17,16,9,9,25.0,"a,b', b"torn,\xc3"])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    store = Store(tmp_path)
    store.append(Row(video_id="v1", label="x", n_frames=11))
    with open(store.index_path, "ab") as file:
        file.write(torn)
    assert list(store.rows()) == ["v1"]
    store.append(Row(video_id="v3", label="x", n_frames=33))
    rows = store.rows()
    assert {name: row.n_frames for name, row in rows.items()} == {"v1": 11, "v3": 33}
    assert b"torn" not in store.index_path.read_bytes()


@pytest.mark.parametrize("torn", [b"", b"video_id,lab"])
def test_a_torn_header_is_no_index_yet(tmp_path, torn):
    store = Store(tmp_path)
    store.index_path.write_bytes(torn)
    assert store.rows() == {}
    with pytest.raises(FileNotFoundError, match="There is no index at"):
        store.index()
    store.append(FULL)
    assert store.rows() == {FULL.video_id: FULL}


def test_no_index_says_what_to_type(tmp_path):
    store = Store(tmp_path)
    assert store.rows() == {}
    text = f"There is no index at {tmp_path}/index.csv. Extract the frames first (`vidrec extract-"
    with pytest.raises(FileNotFoundError, match=re.escape(text)):
        store.index()


def test_an_index_of_other_columns_is_refused(tmp_path):
    (tmp_path / "index.csv").write_text("video_id,label\nv1,x\n")
    with pytest.raises(
        ValueError, match=r"index.csv must have the columns .*\. Received: \['video_id', 'label'\]"
    ):
        Store(tmp_path).index()


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
        "B/long": (range(1, 8), range(1, 8), range(1, 8), "7 frames need 6 flow pairs, found 7"),
    }
    for video_id, (*numbers, _) in cases.items():
        fill(store, video_id, *numbers)
    rows = {row.video_id: row for row in store.scan([*cases, "B/none"])}
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


@pytest.mark.parametrize("layout", PATHS)
def test_scan_without_ids_looks_at_every_visible_folder(tmp_path, layout):
    store = Store(tmp_path, layout)
    for video_id in ("A/v1", "A/.v1.tmp8x2", "B/v2"):  # the second: a killed extraction's leftover
        fill(store, video_id, range(1, 4), (1, 2), (1, 2))
    rows = store.scan()
    classes = layout in ("vidrec", "mmaction2")  # the others' files do not tell the class
    assert [row.video_id for row in rows] == (["A/v1", "B/v2"] if classes else ["v1", "v2"])
    assert [row.label for row in rows] == (["A", "B"] if classes else ["", ""])
    assert {(row.n_frames, row.n_flow, row.status) for row in rows} == {(3, 2, "ok")}


def test_scan_does_not_count_other_files(tmp_path):
    store = Store(tmp_path, "tsn")
    fill(store, "v1", range(1, 4), (1, 2), (1, 2))
    for name in ("img_4.jpg", "img_00004.png", "img_abcde.jpg", "thumb_00004.jpg", "notes.txt"):
        (tmp_path / "v1" / name).touch()
    (row,) = store.scan()
    assert (row.n_frames, row.n_flow, row.status) == (3, 2, "ok")


@pytest.mark.parametrize("layout", PATHS)
def test_scan_of_an_empty_root(tmp_path, layout):
    text = f"No images of layout {layout!r} under {tmp_path}: looked for {tmp_path}/"
    for video_ids in (None, ["A/v1"]):
        with pytest.raises(FileNotFoundError, match=re.escape(text)):
            Store(tmp_path, layout).scan(video_ids)
