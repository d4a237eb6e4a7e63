import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.packs import Manifest, RecordTable
from vidrec.pipeline.dataset import evaluation_clips, training_clips
from vidrec.pipeline.decoding import Encoded
from vidrec.pipeline.loose import LooseImages
from vidrec.pipeline.order import SHUFFLE_ORDERS
from vidrec.pipeline.packed import PackedImages, locate
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

CLIP = ClipSpec(size=16, flow_length=3)
SPECS = {
    "multiseg": CLIP,
    "rgb": CLIP.only("rgb"),
    "flow": CLIP.only("flow"),
    "runs": dataclasses.replace(CLIP, frames_per_segment=4, segments=2, flow_length=1),
    "stacks": dataclasses.replace(CLIP, frames_per_segment=3, flow_step=2, flow_position="centre"),
}
SMALL = 13_000  # bytes: files of one to three videos


@pytest.fixture(scope="module")
def packed(tmp_path_factory, store):
    """The six videos of `store` in a pack. Read it only."""
    root = tmp_path_factory.mktemp("packed")
    assert min(pack(store, root, file_bytes=SMALL).files.values()) >= 3
    return Store(root, PACKED)


@pytest.fixture
def repack(tmp_path, store):
    """A pack that a test may damage."""
    pack(store, tmp_path / "packed", file_bytes=SMALL)
    return Store(tmp_path / "packed", PACKED)


def source_of(store, classes, clip=CLIP, videos=None, **options):
    table = store.index() if videos is None else store.index().iloc[videos]
    return ClipSource(store=store, table=table, classes=classes, clip=clip, **options)


def batches(data):
    return list(data.as_numpy_iterator())


def assert_equal(some, others):
    assert len(some) == len(others) > 0
    for batch, other in zip(some, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_evaluation_sees_the_clips_of_the_loose_files(store, packed, classes, spec):
    for options in ({}, {"sampling_mode": "random", "seed": 4}):
        both = [
            batches(evaluation_clips(source_of(one, classes, spec), batch_size=4, **options))
            for one in (store, packed)
        ]
        assert_equal(*both)


@pytest.mark.parametrize("shuffle_order", SHUFFLE_ORDERS)
@pytest.mark.parametrize("spec", ["multiseg", "stacks"])
def test_training_sees_the_clips_of_the_loose_files(store, packed, classes, spec, shuffle_order):
    """Also where it goes on at a later epoch, and whatever the order of the table."""
    options = {"batch_size": 2, "seed": 3, "epochs": 5, "shuffle_order": shuffle_order}
    loose, found = (
        source_of(one, classes, SPECS[spec], videos=[4, 0, 5, 3]) for one in (store, packed)
    )
    whole = batches(training_clips(loose, **options))
    assert len(whole) == 10
    assert_equal(batches(training_clips(found, **options)), whole)
    assert_equal(batches(training_clips(found, first_epoch=3, **options)), whole[6:])


def test_short_padded_videos_are_equal(tmp_path, write_store):
    loose = write_store(tmp_path / "loose", lengths={"clap/c1": 4, "clap/c2": 2, "jump/j1": 9})
    pack(loose, tmp_path / "packed")
    clip = dataclasses.replace(CLIP, flow_length=5, frames_per_segment=2, segments=2)
    both = []
    for store in (loose, Store(tmp_path / "packed", PACKED)):
        with pytest.warns(UserWarning, match="2 videos are so short"):
            source = source_of(store, ("clap", "jump"), clip, short_video="pad")
        both.append(batches(evaluation_clips(source, batch_size=3, sampling_mode="random")))
    assert_equal(*both)


@pytest.mark.parametrize("layout", ["tsn", "feichtenhofer"])
def test_packs_of_other_layouts_are_read_alike(tmp_path, write_store, packed, classes, layout):
    foreign = write_store(tmp_path / "foreign", layout)
    pack(foreign, tmp_path / "packed")
    both = [
        batches(evaluation_clips(source_of(one, classes), batch_size=6))
        for one in (Store(tmp_path / "packed", PACKED), packed)
    ]
    assert_equal(*both)


def decoded(frames, flow):
    return Encoded(frames, None).decode()["rgb"], Encoded(None, flow).decode()["flow"]


def test_the_reader_is_the_same_eager_and_traced(store, packed, mapped):
    table = store.index()
    video = tf.constant(5)  # 20 frames
    frames = tf.constant([[0, 1], [3, 3], [18, 19]])
    pairs = tf.constant([[0, 2, 4], [7, 8, 9], [18, 18, 18]])
    loose = LooseImages(store, table.video_id)
    reader = PackedImages(locate(packed.root, table, ("rgb", "flow")), table.video_id)

    def read(video, frames, pairs):
        return decoded(reader.frames(video, frames), reader.flow(video, pairs))

    eager, traced = read(video, frames, pairs), mapped(read, video, frames, pairs)
    expected = decoded(loose.frames(video, frames), loose.flow(video, pairs))
    assert [one.shape.as_list() for one in expected] == [[6, 24, 30, 3], [3, 24, 30, 6]]
    for some in (eager, traced):
        for found, wanted in zip(some, expected, strict=True):
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, wanted)


def test_only_what_is_needed_is_located(packed):
    table = packed.index().iloc[[3, 1]]
    places = locate(packed.root, table, ("flow",))
    assert list(places) == ["flow"]
    files, firsts, offsets = places["flow"]
    numbers = [int(path[-14:-9]) for path in files]
    for name, number, first in zip(table.video_id, numbers, firsts, strict=True):
        records = RecordTable.read(packed.root, "flow", number)
        begin, count = {v: (b, c) for v, b, c in records.places()}[name]
        expected = records.offsets[begin : begin + count]
        np.testing.assert_array_equal(offsets[first : first + count], expected)
    assert len(offsets) == table.n_flow.sum()


@pytest.mark.parametrize("kind", ["frames", "flow"])
def test_a_pack_that_lacks_what_the_index_promises_is_refused(repack, classes, kind):
    records = RecordTable.read(repack.root, kind, 0)
    missing = records.video_ids[0]
    names = ["other/name", *records.video_ids[1:]]
    RecordTable(names, records.counts, records.offsets).write(repack.root, kind, 0)
    message = rf"^1 videos have not as many {kind} in the pack .*Received: \['{missing}'\]. Copy"
    with pytest.raises(ValueError, match=message):
        source_of(repack, classes)
    source_of(repack, classes, CLIP.only({"frames": "flow", "flow": "rgb"}[kind]))
    source_of(repack, classes, videos=[5])


def test_a_pack_of_fewer_images_than_the_index_promises_is_refused(repack, classes):
    table = repack.index()
    table.loc[2, ["n_frames", "n_flow"]] += 1
    with pytest.raises(ValueError, match=r"^1 videos have not as many frames .*\['jump/j1'\]"):
        ClipSource(store=repack, table=table, classes=classes, clip=CLIP)


def test_a_file_that_is_cut_is_refused(repack, classes):
    path = repack.root / "flow-00001.tfrecord"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ValueError, match="flow-00001.tfrecord must be as long as its table"):
        source_of(repack, classes)


def test_a_pack_that_is_not_complete_is_refused(repack, store, classes):
    manifest = Manifest.read(repack.root)
    manifest.complete = False
    manifest.write(repack.root)
    with pytest.raises(ValueError, match="must be complete to be read"):
        source_of(repack, classes)
    with pytest.raises(FileNotFoundError, match=r"must have a pack.json"):
        source_of(Store(store.root, PACKED), classes)


@pytest.mark.parametrize("kind", ["frames", "flow"])
def test_a_flipped_byte_stops_the_run(repack, classes, kind):
    source = source_of(repack, classes)
    for number in range(Manifest.read(repack.root).files[kind]):
        path = repack.root / f"{kind}-{number:05d}.tfrecord"
        data = bytearray(path.read_bytes())
        for begin in RecordTable.read(repack.root, kind, number).offsets[:-1]:
            data[begin + 200] ^= 1  # in the JPG
        path.write_bytes(data)
    name = {"frames": r"frame \d+ of", "flow": r"flow_x \d+ of .* and flow_y \d+ of"}[kind]
    message = rf"{name} .*/{kind}-0000\d.tfrecord cannot be read: corrupted record at .*again"
    with pytest.raises(OSError, match=message), source.guard.explained():
        batches(evaluation_clips(source, batch_size=6))


def test_flow_of_another_size_than_the_frames_is_refused(tmp_path, write_store, jpg):
    mixed = write_store(tmp_path / "loose", lengths={"clap/c1": 6, "clap/c2": 7})
    for kind in ("flow_x", "flow_y"):
        for i in range(1, 7):
            jpg(mixed.path(kind, "clap/c2", i), np.full((24, 31), i, np.uint8))
    pack(mixed, tmp_path / "packed")
    source = source_of(Store(tmp_path / "packed", PACKED), ("clap",))
    message = "one size. .*24 x 30 of frame 1 of clap/c2 in .*24 x 31 of flow_x 1 of clap/c2 in"
    with pytest.raises(OSError, match=message), source.guard.explained():
        batches(evaluation_clips(source, batch_size=2))


def test_files_are_closed(packed, classes):
    """The dataset itself, and its threads, may hold some."""
    data = training_clips(source_of(packed, classes), batch_size=6, seed=0, epochs=40)
    open_files, counts = "/proc/self/fd", []
    if not os.path.isdir(open_files):
        pytest.skip("needs /proc")
    for clips in data:
        assert clips[0]["rgb"].shape == (6, 3, 16, 16, 3)
        counts.append(len(os.listdir(open_files)))
    assert max(counts[20:]) <= max(counts[:20]) + 4
