import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from vidrec.extraction.pack import pack
from vidrec.extraction.unpack import unpack
from vidrec.layouts import LAYOUTS, PACKED
from vidrec.packs import Manifest, RecordTable
from vidrec.store import Row, Store

SMALL = 4000  # bytes: several files of few videos
VIDEOS = {  # video_id -> frames, in another order than they are packed in
    "walk/w1": 9,
    "clap/c 1": 5,
    "jump/jé": 300,  # more than are read ahead at once
    "walk/w2": 1,
    "clap/c2": 2,
}


def image(kind, video_id, i):
    """Some bytes that no other image has; nothing here decodes them."""
    rng = np.random.default_rng([*f"{kind} {video_id}".encode(), i])
    return rng.bytes(rng.integers(20, 80))


def write_store(root, layout="vidrec", sha256=True):
    """Five whole videos, one without flow, one that failed with frames, one without images."""
    store = Store(root, layout)
    for video_id, n_frames in {**VIDEOS, "jump/still": 4, "jump/holed": 3}.items():
        n_flow = 0 if video_id.startswith("jump/still") else n_frames - 1
        row = Row(video_id=video_id, label="x", fps=30000 / 1001, n_frames=n_frames, n_flow=n_flow)
        for kinds, count in ((("frame",), n_frames), (("flow_x", "flow_y"), n_flow)):
            digest = hashlib.sha256()
            for i in range(1, count + 1):
                for kind in kinds:
                    path, data = store.path(kind, video_id, i), image(kind, video_id, i)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if video_id != "jump/holed":
                        path.write_bytes(data)
                    digest.update(data)
            if sha256 and count:
                name = "frames_sha256" if kinds == ("frame",) else "flow_sha256"
                setattr(row, name, digest.hexdigest())
        if video_id == "jump/holed":
            row.status, row.message = "failed", "gaps"
        elif video_id == "clap/c2":
            row.status, row.message = "partial", 'truncated, "really"\nso'
        store.append(row)
    store.append(Row(video_id="walk/lost", label="x", status="failed", message="no video"))
    return store


def contents(root, *, hidden=False):
    """The files below a folder, relative path -> bytes, without locks and what is hidden."""
    files = {path.relative_to(root): path for path in Path(root).rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in files.items()
        if hidden or not any(part.startswith(".") for part in name.parts)
    }


def records(root, kind):
    """(video_id, kind, number, images) of all records, as anyone reads TFRecords."""
    files = sorted(str(path) for path in Path(root).glob(f"{kind}-*.tfrecord"))
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        yield (
            feature["video_id"].bytes_list.value[0].decode(),
            feature["kind"].bytes_list.value[0].decode(),
            feature["number"].int64_list.value[0],
            list(feature["images"].bytes_list.value),
        )


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    """Read it only. Its index is as a run leaves it in the end."""
    store = write_store(tmp_path_factory.mktemp("loose"))
    store.compact()
    return store


@pytest.fixture(scope="module")
def packed(tmp_path_factory, loose):
    """Read it only."""
    root = tmp_path_factory.mktemp("packed")
    pack(loose, root, file_bytes=SMALL)
    return root


@pytest.fixture
def copy(tmp_path, packed):
    """A pack that a test may damage."""
    for name, data in contents(packed).items():
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_bytes(data)
    return tmp_path / "copy"


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_comes_back_byte_for_byte(tmp_path, layout):
    store = write_store(tmp_path / "loose", layout)
    index = store.compact()
    manifest = pack(store, tmp_path / "packed", file_bytes=SMALL)
    assert manifest.layout == layout
    assert Store(tmp_path / "packed", PACKED).index().equals(index)
    assert unpack(tmp_path / "packed", tmp_path / "back").equals(index)
    back = contents(tmp_path / "back")
    assert back == contents(tmp_path / "loose")
    assert len(back) == 1 + sum(VIDEOS.values()) + 4 + 2 * sum(n - 1 for n in VIDEOS.values())


def test_what_a_pack_holds(packed, loose):
    manifest = Manifest.read_complete(packed)
    assert manifest.records == {"frames": 317 + 4, "flow": 312}
    assert manifest.videos == {"frames": 6, "flow": 4}
    assert manifest.without_images == 2
    assert manifest.files["frames"] >= 2
    names = {f"{kind}-{n:05d}" for kind, count in manifest.files.items() for n in range(count)}
    expected = {f"{name}.{ending}" for name in names for ending in ("tfrecord", "npz")}
    assert set(contents(packed)) == {"index.csv", "pack.json", *expected}
    loose.compact()
    assert (packed / "index.csv").read_bytes() == (loose.root / "index.csv").read_bytes()


def test_the_files_can_be_read_without_the_tables(packed):
    found = list(records(packed, "frames"))
    order = ["clap/c 1", "clap/c2", "jump/jé", "jump/still", "walk/w1", "walk/w2"]
    lengths = VIDEOS | {"jump/still": 4}
    assert found == [
        (video_id, "frames", i, [image("frame", video_id, i)])
        for video_id in order
        for i in range(1, lengths[video_id] + 1)
    ]
    assert list(records(packed, "flow")) == [
        (video_id, "flow", i, [image(kind, video_id, i) for kind in ("flow_x", "flow_y")])
        for video_id in order
        if video_id != "jump/still"
        for i in range(1, lengths[video_id])
    ]


def test_a_file_is_closed_behind_the_video_that_fills_it(packed):
    last = Manifest.read(packed).files["frames"] - 1
    for number in range(last + 1):
        table = RecordTable.read(packed, "frames", number)
        firsts = [table.offsets[first] for _, first, _ in table.places()]
        assert max(firsts) < SMALL
        assert table.offsets[-1] >= SMALL or number == last


def test_a_pack_that_is_whole_is_left_alone(tmp_path, loose):
    first = pack(loose, tmp_path, file_bytes=SMALL)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert pack(loose, tmp_path, file_bytes=SMALL) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def kill_all_along(verb, source, folder):
    job = [sys.executable, str(Path(__file__).with_name("pack_jobs.py")), verb]
    subprocess.run([*job, str(source), str(folder), str(SMALL)], check=True)
    return sorted(folder.iterdir(), key=lambda path: int(path.name))


@pytest.mark.slow
def test_a_killed_pack_goes_on_to_the_same_bytes(tmp_path, loose, packed):
    """Also what the killed one left of files is gone."""
    whole, unfinished, leftovers = contents(packed), 0, 0
    for out in kill_all_along("pack", loose.root, tmp_path):
        before = contents(out)
        unfinished += before != whole
        leftovers += len(contents(out, hidden=True)) - len(before) > 2
        finished = {name: data for name, data in before.items() if name.endswith(".tfrecord")}
        assert all(whole[name] == data for name, data in finished.items())
        pack(loose, out, file_bytes=SMALL)
        assert contents(out) == whole
        hidden = {name for name in contents(out, hidden=True) if name.startswith(".")}
        assert hidden <= {".index.csv.lock", ".index.lock"}
    assert unfinished >= 6
    assert leftovers >= 2


@pytest.mark.slow
def test_a_killed_unpack_goes_on_to_the_same_bytes(tmp_path, loose, packed):
    whole = contents(loose.root)
    outs = kill_all_along("unpack", packed, tmp_path)
    assert sum(contents(out) != whole for out in outs) >= 3
    for out in outs:
        unpack(packed, out)
        assert contents(out) == whole
        assert not [path for path in out.rglob(".*") if not path.name.endswith(".lock")]


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("missing", r"/img_00007.jpg is missing"),
        ("empty", r"/img_00007.jpg is empty"),
        ("other", r"the SHA-256 of its frames is [0-9a-f]{64}, not [0-9a-f]{64}"),
    ],
)
def test_a_video_whose_images_are_not_those_of_the_index(tmp_path, packed, kind, problem):
    store, out = write_store(tmp_path / "loose"), tmp_path / "packed"
    path = store.path("frame", "walk/w1", 7)
    good = path.read_bytes()
    path.write_bytes({"missing": b"", "empty": b"", "other": good[:-1] + b"!"}[kind])
    if kind == "missing":
        path.unlink()
    with pytest.raises(
        ValueError, match=f"Received: video 'walk/w1': .*{problem}. Run `vidrec aud"
    ):
        pack(store, out, file_bytes=SMALL)
    assert not Manifest.read(out).complete
    assert not any(b"walk/w1" in data for name, data in contents(out).items() if "tfrec" in name)
    path.write_bytes(good)
    pack(store, out, file_bytes=SMALL)
    assert contents(out) == contents(packed)


def test_flow_is_checked_in_the_order_x_y(tmp_path):
    store = write_store(tmp_path / "loose")
    x, y = (store.path(kind, "clap/c2", 1) for kind in ("flow_x", "flow_y"))
    swapped = y.read_bytes(), x.read_bytes()
    for path, data in zip((x, y), swapped, strict=True):
        path.write_bytes(data)
    with pytest.raises(ValueError, match="video 'clap/c2': the SHA-256 of its flow is"):
        pack(store, tmp_path / "packed")


def test_without_sha256_any_bytes_are_packed(tmp_path):
    store = write_store(tmp_path / "loose", sha256=False)
    store.path("frame", "walk/w1", 7).write_bytes(b"anything")
    pack(store, tmp_path / "packed")
    unpack(tmp_path / "packed", tmp_path / "back")
    assert Store(tmp_path / "back").path("frame", "walk/w1", 7).read_bytes() == b"anything"


def test_a_full_disk_is_said_and_it_goes_on(tmp_path, loose, packed, monkeypatch):
    write, written = tf.io.TFRecordWriter.write, []

    def full(writer, record):
        if len(written) == 310:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        written.append(record)
        write(writer, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    message = r"frames-0000\d.tfrecord cannot be written: No space left on device. Make room"
    with pytest.raises(OSError, match=message):
        pack(loose, tmp_path, file_bytes=SMALL)
    monkeypatch.undo()
    pack(loose, tmp_path, file_bytes=SMALL)
    assert contents(tmp_path) == contents(packed)


def test_a_folder_with_anything_else_is_refused(tmp_path, loose, packed):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    write_store(tmp_path / "other").append(Row(video_id="walk/w1", label="other"))
    for out in (tmp_path / "mine", tmp_path / "other", packed):
        before = contents(out, hidden=True)
        with pytest.raises(ValueError, match="`out` must be a new or empty folder, or hold the"):
            pack(loose, out)
        with pytest.raises(ValueError, match="`out` must be a new or empty folder, or one that"):
            unpack(packed, out)
        assert contents(out, hidden=True) == before


def test_the_pack_of_another_index_or_size_is_refused(tmp_path):
    store, out = write_store(tmp_path / "loose"), tmp_path / "packed"
    pack(store, out, file_bytes=SMALL)
    before = contents(out)
    with pytest.raises(ValueError, match=r"file size \(4001 bytes\). Received: out="):
        pack(store, out, file_bytes=SMALL + 1)
    store.append(Row(video_id="walk/new", label="x", status="failed"))
    with pytest.raises(ValueError, match="the pack of the same index"):
        pack(store, out, file_bytes=SMALL)
    assert contents(out) == before


def test_what_pack_refuses(tmp_path, packed):
    with pytest.raises(ValueError, match="at least 1. Received: file_bytes=0"):
        pack(Store(packed), tmp_path, file_bytes=0)
    with pytest.raises(ValueError, match="its images are packed"):
        pack(Store(packed, PACKED), tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no index"):
        pack(Store(tmp_path / "nothing"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [30, -30])
def test_a_flipped_byte_is_found(copy, tmp_path, packed, place):
    """Byte 30 is in the first record, of a video whose folder must not appear."""
    path = copy / "flow-00000.tfrecord"
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    video = "clap/c 1" if place > 0 else RecordTable.read(packed, "flow", 0).video_ids[-1]
    with pytest.raises(
        ValueError, match=r"flow-00000.tfrecord is damaged at record \d+, where"
    ) as e:
        unpack(copy, tmp_path / "back")
    assert f"the flow of {video!r}" in str(e.value)
    assert "corrupted record" in str(e.value)
    assert not Store(tmp_path / "back").folder("frame", video).exists()
    data[place] ^= 4
    path.write_bytes(data)
    unpack(copy, tmp_path / "back")
    unpack(packed, tmp_path / "other")
    assert contents(tmp_path / "back") == contents(tmp_path / "other")


@pytest.mark.parametrize("change", ["cut", "longer", "gone", "no table", "torn table"])
def test_files_that_are_not_whole_are_found_before_anything_is_written(copy, tmp_path, change):
    records, table = copy / "frames-00001.tfrecord", copy / "frames-00001.npz"
    if change == "cut":
        records.write_bytes(records.read_bytes()[:-1])
    elif change == "longer":
        records.write_bytes(records.read_bytes() + b"x")
    elif change == "torn table":
        table.write_bytes(table.read_bytes()[:100])
    else:
        {"gone": records, "no table": table}[change].unlink()
    with pytest.raises(ValueError, match=r"frames-00001.tfrecord must be .*Copy both again"):
        unpack(copy, tmp_path / "back")
    assert contents(tmp_path / "back").keys() <= {"index.csv"}


def test_a_table_that_names_the_wrong_records_is_found(copy, tmp_path):
    table = RecordTable.read(copy, "frames", 0)
    names = [table.video_ids[1], table.video_ids[0], *table.video_ids[2:]]
    RecordTable(names, table.counts, table.offsets).write(copy, "frames", 0)
    with pytest.raises(
        ValueError, match=r"the record is of \(\[b'clap/c2'\], \[b'frames'\], \[1\]"
    ):
        unpack(copy, tmp_path / "back")
    RecordTable(["a", "b", *names[2:]], table.counts, table.offsets).write(copy, "frames", 0)
    with pytest.raises(ValueError, match="must hold the frames of 'clap/c 1'"):
        unpack(copy, tmp_path / "again")


def test_a_pack_that_is_not_complete_is_not_read(copy, tmp_path):
    said = json.loads((copy / "pack.json").read_text())
    for change, message in (
        ({"complete": False}, "must be complete .* Run the same `vidrec pack` again"),
        ({"format": 2}, "format 1. Received: format 2"),
        ({"more": 1}, "must be the manifest .* Received: TypeError"),
    ):
        (copy / "pack.json").write_text(json.dumps(said | change))
        with pytest.raises(ValueError, match=message):
            unpack(copy, tmp_path / "back")
    (copy / "pack.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"must have a pack.json. .*or name the layout"):
        unpack(copy, tmp_path / "back")
    assert not (tmp_path / "back").exists()
