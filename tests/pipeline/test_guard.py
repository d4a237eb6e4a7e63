"""Every bad file that can be planted, under both policies."""

import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.dataset import evaluation_clips, training_clips
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource

CLIP = ClipSpec(segments=2, size=16, flow_length=2)
STILL = Augmentation(crop_range=(1, 1), flip_lr=0, flip_ud=0, brightness=0)
LENGTHS = {f"clap/c{number}": 6 + number for number in range(5)}
BROKEN = "clap/c2"
RUN = {"batch_size": 3, "seed": 2, "epochs": 20, "options": STILL}


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def cut_head(path):
    path.write_bytes(path.read_bytes()[30:])


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("<html>404 Not Found</html>")


def larger(path):
    image = np.zeros((24, 31), np.uint8)
    path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())


def png(path):
    path.write_bytes(cv2.imencode(".png", np.zeros((24, 30), np.uint8))[1].tobytes())


def folder(path):
    path.unlink()
    path.mkdir()


PLANTED = {
    remove: "^{path}; No such file or directory. `vidrec audit",
    truncate: "{path} must be a whole JPG, and is not. `vidrec audit --repair`",
    cut_head: "{path} must be a whole JPG, and is not",
    empty: "{path} must be a whole JPG, and is not",
    text: "{path} must be a whole JPG, and is not",
    png: "{path} must be a whole JPG, and is not",
    folder: "^{path}; .*directory",
    larger: r"one size. Received: .*24 x 31 of {path}",
}


CASES = [
    *((damage, "flow_x") for damage in PLANTED),
    (remove, "frame"),
    (truncate, "frame"),
    (larger, "frame"),
    (remove, "flow_y"),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def planted(request, tmp_path, write_store):
    """A source whose third video has one kind of image broken: (source of options, message)."""
    return plant(tmp_path, write_store, *request.param)


def plant(root, write_store, damage, kind):
    store = write_store(root, lengths=LENGTHS)
    for number in range(1, 8):
        damage(store.path(kind, BROKEN, number))

    def source(**options):
        table = store.index()
        return ClipSource(store=store, table=table, classes=("clap",), clip=CLIP, **options)

    path = str(store.path(kind, BROKEN, 1))[: -len("1.jpg")]
    return source, PLANTED[damage].format(path=rf"{re.escape(path)}\d.jpg")


def test_a_bad_image_stops_the_run_and_is_named(planted):
    source, message = planted
    for data in (
        lambda one: training_clips(one, **RUN),
        lambda one: evaluation_clips(one, batch_size=5),
    ):
        one = source()
        with pytest.raises(OSError, match=message) as caught, one.guard.explained():
            list(data(one))
        assert isinstance(caught.value.__cause__, tf.errors.OpError)


def test_a_bad_image_is_skipped_and_counted(planted, capfd):
    source, message = planted
    one = source(on_missing="skip")
    assert one.guard.report() == []
    batches = list(training_clips(one, facts=True, **RUN).as_numpy_iterator())
    assert len(batches) == 20
    for clips, labels, facts in batches:
        assert clips["rgb"].shape == (3, *CLIP.shape("rgb"))
        assert clips["flow"].shape == (3, *CLIP.shape("flow"))
        assert len(labels) == 3
        assert BROKEN.encode() not in facts["video_id"]
    ((video_id, clips, reason),) = one.guard.report()
    assert video_id == BROKEN
    assert 1 <= clips <= 20 + 8  # at most once an epoch, and where it was drawn instead
    assert re.search(message, reason)
    assert len(re.findall(f"skipped {BROKEN}: ", capfd.readouterr().err)) == 1
    resumed = training_clips(source(on_missing="skip"), facts=True, first_epoch=13, **RUN)
    tf.nest.map_structure(
        np.testing.assert_array_equal, list(resumed.as_numpy_iterator()), batches[13:]
    )


def drawn(data, video_id, kind):
    """The number, from 1, of an image that the first clip of a video in `data` is made of."""
    for *_, facts in data.as_numpy_iterator():
        for name, chosen in zip(facts["video_id"], facts[kind], strict=True):
            if name.decode() == video_id:
                return int(np.ravel(chosen)[0]) + 1
    raise AssertionError("the video did not come")


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(policy="even", parts=8)], ids=["segments", "parts"]
)
@pytest.mark.parametrize("mode", ["training", "skip", "centre", "random"])
def test_one_bad_image_of_a_long_video_is_found(tmp_path, write_store, mode, sampling):
    """Of the very images that the clip was made of."""
    store = write_store(tmp_path, lengths={"clap/c1": 30, "clap/c2": 31, "clap/c3": 32})
    given = {"store": store, "table": store.index(), "classes": ("clap",), "clip": CLIP}
    given["sampling"] = sampling
    source = ClipSource(**given, on_missing="skip" if mode == "skip" else "error")

    def data(facts=False):
        if mode in ("training", "skip"):
            return training_clips(source, batch_size=3, seed=5, epochs=1, facts=facts)
        return evaluation_clips(source, batch_size=3, sampling_mode=mode)

    for kind, image in (("frames", "frame"), ("pairs", "flow_y")):
        path = store.path(image, "clap/c2", drawn(data(facts=True), "clap/c2", kind))
        whole = path.read_bytes()
        truncate(path)
        if mode == "skip":
            before = source.guard.report()
            assert len(list(data())) == 1
            ((name, clips, reason),) = source.guard.report()
            assert (name, clips) == ("clap/c2", 1 + sum(row[1] for row in before))
            assert reason.startswith(str(path)) or before
        else:
            with pytest.raises(OSError, match=f"^{path} must"), source.guard.explained():
                list(data())
        path.write_bytes(whole)


def test_another_video_takes_the_place(tmp_path, write_store):
    """Never the same one again: of two videos, the other."""
    store = write_store(tmp_path, lengths={"clap/c1": 6, BROKEN: 7})
    for number in range(1, 8):
        remove(store.path("frame", BROKEN, number))
    source = ClipSource(
        store=store, table=store.index(), classes=("clap",), clip=CLIP, on_missing="skip"
    )
    data = training_clips(source, batch_size=2, seed=0, epochs=30, facts=True)
    for *_, facts in data.as_numpy_iterator():
        assert facts["video_id"].tolist() == [b"clap/c1"] * 2
    assert source.guard.report()[0][:2] == (BROKEN, 30)


def test_other_examples_are_those_of_the_run_without_the_fault(tmp_path, write_store):
    store = write_store(tmp_path, lengths=LENGTHS)
    given = {"store": store, "table": store.index(), "classes": ("clap",), "clip": CLIP}
    whole = list(training_clips(ClipSource(**given), facts=True, **RUN).as_numpy_iterator())
    remove(store.path("frame", BROKEN, 1))
    source = ClipSource(**given, on_missing="skip")
    found = list(training_clips(source, facts=True, **RUN).as_numpy_iterator())
    changed = 0
    for (clips, _, facts), (others, _, told) in zip(found, whole, strict=True):
        same = facts["video_id"] == told["video_id"]
        np.testing.assert_array_equal(clips["rgb"][same], others["rgb"][same])
        assert set(told["video_id"][~same]) <= {BROKEN.encode()}
        changed += (~same).sum()
    # more, where another broken clip was drawn in its place
    assert 1 <= changed <= source.guard.report()[0][1]


def test_a_test_lacks_no_video(tmp_path, write_store):
    source, message = plant(tmp_path, write_store, truncate, "flow_y")
    one = source(on_missing="skip")
    with pytest.raises(OSError, match=message), one.guard.explained():
        list(evaluation_clips(one, batch_size=5))


def test_if_nothing_can_be_read_the_run_stops(tmp_path, write_store):
    store = write_store(tmp_path, lengths=LENGTHS)
    source = ClipSource(
        store=store, table=store.index(), classes=("clap",), clip=CLIP, on_missing="skip"
    )
    for path in tmp_path.rglob("flow_x*.jpg"):
        path.unlink()
    message = r"flow_x_0000\d.jpg; No such file"
    with pytest.raises(OSError, match=message), source.guard.explained():
        list(training_clips(source, **RUN))


def test_the_clip_that_failed_is_found_late_in_a_run(tmp_path, write_store):
    """Among those that were begun, not among all that the run has read."""
    store = write_store(tmp_path, lengths=LENGTHS)
    source = ClipSource(store=store, table=store.index(), classes=("clap",), clip=CLIP)
    explained = []
    explain = source.guard._explain
    source.guard._explain = lambda video, key: explained.append(video) or explain(video, key)
    batches = iter(training_clips(source, **RUN | {"epochs": 500}))
    for _ in range(30):
        next(batches)
    for path in tmp_path.rglob("img_*.jpg"):
        path.write_bytes(b"gone")
    with pytest.raises(OSError, match="must be a whole JPG"), source.guard.explained():
        list(batches)
    assert len(explained) == 1


def test_other_errors_are_left_as_they_are(tmp_path, write_store):
    store = write_store(tmp_path, lengths={"clap/c1": 6})
    source = ClipSource(store=store, table=store.index(), classes=("clap",), clip=CLIP)
    next(iter(evaluation_clips(source, batch_size=1)))
    with pytest.raises(tf.errors.ResourceExhaustedError), source.guard.explained():
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")


def test_unknown_policies_are_refused(store, classes):
    with pytest.raises(ValueError, match=r"\('error', 'skip'\). Received: on_missing='drop'"):
        ClipSource(store=store, table=store.index(), classes=classes, clip=CLIP, on_missing="drop")
