import errno
import math
import os
import re
import subprocess
import sys

import pytest

from vidrec import index_file
from vidrec.files import is_full
from vidrec.index_file import COLUMNS
from vidrec.store import Row, Store

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
    frames_sha256="0a" * 32,
    flow_algorithm="opencv",
    flow_parameters='{"bound": 20.0, "tau": 0.25}',
    flow_sha256="0b" * 32,
    cv2_version="4.10",
    status="partial",
    message="a, b\nNA",
)


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


def test_a_row_never_stops_a_run(tmp_path):
    """What a damaged or oddly named file may bring: no frame rate, a name that is no UTF-8."""
    store = Store(tmp_path)
    store.append(Row(video_id="A/v", label="A", fps=math.nan, message="caf\udce9: not a video"))
    store.append(Row(video_id="A/w", label="A", fps=math.inf))
    for _ in range(2):
        first, second = store.rows().values()
        assert first.fps == 0.0  # as where there is none: rows of one file are equal
        assert second.fps == math.inf
        assert first.message == "caf\\udce9: not a video"
        store.compact()


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
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["index.csv"]
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


OLD = "video_id,label,group,n_frames,n_flow,width,height,fps,source,source_bytes,source_sha256,"
OLD += "flow_algorithm,flow_parameters,cv2_version,status,message"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_an_index_of_an_older_vidrec_is_read_and_added_to(tmp_path, end):
    lines = [
        OLD,
        'A/v,A,g01,9,8,64,48,25.0,/v.avi,77,ab,opencv,"{""bound"": 20}",4.12,partial,"a,\nb"',
        "A/w,A,g02,7,0,64,48,12.5,/w.avi,88,cd,,,4.12,ok,",
    ]
    store = Store(tmp_path)
    store.index_path.write_bytes((end.join(lines) + end + "A/torn,A,g0").encode())
    old = store.rows()
    assert list(old) == ["A/v", "A/w"]
    row = old["A/v"]
    assert (row.n_flow, row.source_sha256, row.flow_parameters) == (8, "ab", '{"bound": 20}')
    assert (row.frames_sha256, row.flow_sha256, row.status) == ("", "", "partial")
    assert row.message == "a,\nb"
    new = Row(video_id="A/x", label="A", frames_sha256="ff")
    store.append(new)
    assert store.rows() == {**old, "A/x": new}
    assert store.index_path.read_text().startswith(",".join(COLUMNS) + "\n")


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("video_id,label,colour", "['video_id', 'label', 'colour']"),  # unknown
        ("video_id,n_frames", "['video_id', 'n_frames']"),  # no default
        ("video_id,label,label", "['video_id', 'label', 'label.1']"),
    ],
)
def test_an_index_of_other_columns_is_refused(tmp_path, header, names):
    store = Store(tmp_path)
    text = f"{header}\nv1" + ",1" * header.count(",") + "\n"
    store.index_path.write_text(text)
    match = rf"index.csv must have the columns \[.*\]. Received: {re.escape(names)}. Is it of a "
    for ask in (store.index, store.rows, store.compact, lambda: store.append(FULL)):
        with pytest.raises(ValueError, match=match):
            ask()
    assert store.index_path.read_text() == text


@pytest.mark.parametrize(
    "line", ["A/v,A,many", "A/v,A,3,", "A/v,A,3,4", "A/v,A,", "A/v,A,2.5", "A/v,\xe9,3"]
)
def test_a_damaged_line_is_named(tmp_path, line):
    good = "" if line == "A/v,A,3,4" else "A/u,A,2\n"
    text = f"video_id,label,n_frames\n{good}{line}\n"
    (tmp_path / "index.csv").write_bytes(text.encode("latin-1"))
    match = r"index.csv must be a CSV of one line a video. Received: .*\. Mend that line, or remove"
    with pytest.raises(ValueError, match=f"(?s){match}"):
        Store(tmp_path).index()


@pytest.mark.parametrize("video_id", ["../v", "A/../../v", "/etc/v", "A/.."])
def test_an_index_does_not_lead_out_of_its_root(tmp_path, video_id):
    store = Store(tmp_path)
    store.append(Row(video_id="A..b/..v", label="A"))
    assert list(store.rows()) == ["A..b/..v"]
    store.append(Row(video_id=video_id, label="A"))
    text = f"index.csv must name videos below its folder. Received: video_id={video_id!r}. Remove"
    with pytest.raises(ValueError, match=re.escape(text)):
        store.rows()


def test_a_line_torn_inside_a_text_of_several_lines(tmp_path):
    store = Store(tmp_path)
    store.append(Row(video_id="v1", label="x", message='one\n"two", three\n'))
    whole = store.index_path.read_bytes()
    store.append(Row(video_id="v2", label="x", message='four\r\n"five"\r\nsix'))
    data = store.index_path.read_bytes()
    for end in range(len(whole), len(data)):
        store.index_path.write_bytes(data[:end])
        assert list(store.rows()) == ["v1"], data[len(whole) : end]
        store.append(Row(video_id="v3", label="x"))
        assert list(store.rows()) == ["v1", "v3"], data[len(whole) : end]


def test_a_full_disk_comes_through_and_the_next_row_mends_the_index(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.append(Row(video_id="v1", label="x"))

    def full(handle):
        os.truncate(handle, os.fstat(handle).st_size - 9)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(index_file.os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            store.append(Row(video_id="v2", label="x"))
        assert is_full(caught.value)
        with pytest.raises(OSError, match="No space left on device"):
            store.compact()
    assert list(store.rows()) == ["v1"]
    store.append(Row(video_id="v3", label="x"))
    assert list(store.rows()) == ["v1", "v3"]


def test_a_write_that_the_system_cuts_short(tmp_path):
    """As on a full disk, but by the kernel: a part of the line is on the disk."""
    code = (
        "import resource, sys\nfrom vidrec.store import Row, Store\nstore = Store(sys.argv[1])\n"
        "store.append(Row(video_id='v1', label='x'))\n"
        "size = store.index_path.stat().st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 7, resource.RLIM_INFINITY))\n"
        "try:\n    store.append(Row(video_id='v2', label='x'))\n"
        "except OSError as error:\n    print(error, store.index_path.stat().st_size - size)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, [resource.RLIM_INFINITY] * 2)\n"
        "print(list(store.rows()))\n"
        "store.append(Row(video_id='v3', label='x'))\nprint(list(store.rows()))\n"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "[Errno 27] File too large 7",
        "['v1']",
        "['v1', 'v3']",
    ]
