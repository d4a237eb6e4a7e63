import dataclasses
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.pipeline import memory
from vidrec.pipeline.dataset import evaluation_clips, training_clips
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

CLIP = ClipSpec(size=16, flow_length=3)


def source_of(store, classes, clip=CLIP, **options):
    table = store.index().iloc[[4, 0, 5, 3]]
    return ClipSource(store=store, table=table, classes=classes, clip=clip, **options)


def batches(data):
    return list(data.as_numpy_iterator())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("modalities", [("rgb",), ("flow",), ("rgb", "flow")])
def test_clips_are_those_of_the_files(store, classes, tmp_path, monkeypatch, packed, modalities):
    monkeypatch.setattr(memory, "SAMPLE", 7)
    clip = dataclasses.replace(CLIP, modalities=modalities, frames_per_segment=2)
    if packed:
        pack(store, tmp_path)
        store = Store(tmp_path, PACKED)
    options = {"batch_size": 2, "seed": 3, "epochs": 3}
    both = []
    for in_memory in (False, True):
        source = source_of(store, classes, clip, in_memory=in_memory)
        both.append([batches(training_clips(source, **options))])
        both[-1].append(batches(evaluation_clips(source, batch_size=3)))
    tf.nest.map_structure(np.testing.assert_array_equal, *both)
    assert [len(found) for found in both[1]] == [6, 2]


def test_files_are_read_once(tmp_path, write_store):
    store = write_store(tmp_path, lengths={"clap/c1": 6, "clap/c2": 7})
    given = {"store": store, "table": store.index(), "classes": ("clap",), "clip": CLIP}
    source, loose = ClipSource(**given, in_memory=True), ClipSource(**given)
    expected = batches(evaluation_clips(loose, batch_size=2))
    for path in tmp_path.rglob("*.jpg"):
        path.unlink()
    found = batches(evaluation_clips(source, batch_size=2))
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_a_missing_file_is_named_at_once(tmp_path, write_store):
    store = write_store(tmp_path, lengths={"clap/c1": 6})
    path = store.path("flow_y", "clap/c1", 3)
    path.unlink()
    given = {"store": store, "table": store.index(), "classes": ("clap",), "clip": CLIP}
    for policy in ("error", "skip"):
        with pytest.raises(OSError, match=f"^{path}; No such file .*`vidrec audit --repair`"):
            ClipSource(**given, in_memory=True, on_missing=policy)


def test_memory_is_freed_with_the_source(store, classes):
    gc.collect()
    gc.disable()  # so that only counted references hold anything
    try:
        source = source_of(store, classes, in_memory=True)
        images = weakref.ref(source._images)
        assert images() is not None
        del source
        assert images() is None
    finally:
        gc.enable()


def test_a_damaged_image_in_memory_is_named(tmp_path, write_store):
    store = write_store(tmp_path, lengths={"clap/c1": 6})
    path = store.path("flow_x", "clap/c1", 2)
    path.write_bytes(path.read_bytes()[:-30])
    source = ClipSource(
        store=store, table=store.index(), classes=("clap",), clip=CLIP, in_memory=True
    )
    with pytest.raises(OSError, match=f"^{path} must be a whole JPG"), source.guard.explained():
        batches(evaluation_clips(source, batch_size=1))


def test_what_does_not_fit_is_refused(store, classes, monkeypatch):
    monkeypatch.setattr(memory, "SHARE", 1e-9)
    message = r"must fit into 0.0 GiB.*Received: 60 frames and flow pairs of .* KiB.*`vidrec pack`"
    with pytest.raises(ValueError, match=message):
        source_of(store, classes, CLIP.only("flow"), in_memory=True)
