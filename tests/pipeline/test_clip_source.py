import dataclasses

import numpy as np
import pytest

from vidrec.clip import ClipSpec
from vidrec.extraction.scan import scan
from vidrec.pipeline.dataset import evaluation_clips
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

CLIP = ClipSpec(size=16, flow_length=3)


def source_of(store, classes, clip=CLIP, **options):
    return ClipSource(store=store, table=store.index(), classes=classes, clip=clip, **options)


def read_all(source, **options):
    """All clips in one batch: (dict of (V, T, H, W, C), labels (V,))."""
    data = evaluation_clips(source, batch_size=len(source), short_side=16, **options)
    return next(data.as_numpy_iterator())[:2]


def test_labels_follow_the_order_of_the_classes(store, classes):
    source = source_of(store, classes)
    assert source.table.label.tolist() == ["clap", "clap", "jump", "jump", "walk", "walk"]
    assert source.tensors()["label"].numpy().tolist() == [2, 2, 1, 1, 0, 0]
    other = source_of(store, ["other", *sorted(classes)])
    assert other.tensors()["label"].numpy().tolist() == [1, 1, 2, 2, 3, 3]
    assert len(source) == 6


def test_the_order_of_the_table_is_kept(store, classes, moments):
    order = [4, 0, 5, 3]
    table = store.index().iloc[order]
    source = ClipSource(store=store, table=table, classes=classes, clip=CLIP)
    clips, labels = read_all(source)
    assert moments(clips)["rgb"][0][:, 0].tolist() == order
    assert labels.tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("position", ["start", "centre"])
@pytest.mark.parametrize("mode", ["centre", "random"])
def test_timing_gives_apart_streams_the_moments_of_both(store, classes, moments, position, mode):
    both = dataclasses.replace(CLIP, flow_position=position, flow_length=5)
    together = moments(read_all(source_of(store, classes, both), sampling_mode=mode)[0])
    for name in ("rgb", "flow"):
        source = source_of(store, classes, both.only(name), timing=both)
        clips, _ = read_all(source, sampling_mode=mode)
        assert list(clips) == [name]
        np.testing.assert_array_equal(moments(clips)[name], together[name])
    alone = moments(read_all(source_of(store, classes, both.only("rgb")), sampling_mode=mode)[0])
    assert (alone["rgb"][1] != together["rgb"][1]).any()


@pytest.mark.parametrize(
    ("layout", "images"),
    [
        ("tsn", ["j2/img_00017.jpg", "j2/flow_x_00016.jpg", "j2/flow_y_00016.jpg"]),
        ("mmaction2", ["jump/j2/img_00017.jpg", "jump/j2/x_00016.jpg", "jump/j2/y_00016.jpg"]),
        (
            "feichtenhofer",
            [
                "jpegs_256/j2/frame000017.jpg",
                "tvl1_flow/u/j2/frame000016.jpg",
                "tvl1_flow/v/j2/frame000016.jpg",
            ],
        ),
    ],
)
def test_sets_extracted_by_others_are_read(
    tmp_path, write_store, store, classes, moments, layout, images
):
    foreign = write_store(tmp_path, layout)
    for path in images:
        assert (tmp_path / path).is_file()
    found = moments(read_all(source_of(Store(tmp_path, layout), classes))[0])
    expected = moments(read_all(source_of(store, classes))[0])
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    scanned = scan(foreign, store.index().video_id)
    assert [row.n_flow for row in scanned] == store.index().n_flow.tolist()


def test_short_videos_are_padded_with_the_last_frame_and_pair(tmp_path, write_store, moments):
    short = write_store(tmp_path, lengths={"clap/c1": 4, "clap/c2": 2, "jump/j1": 9})
    clip = dataclasses.replace(CLIP, flow_length=5, frames_per_segment=2, segments=2)
    message = r"2 videos are too short: this clip needs at least 7 frames. Received: \['clap/c1', "
    with pytest.raises(ValueError, match=message):
        source_of(short, ("clap", "jump"), clip)
    with pytest.warns(
        UserWarning, match=r"2 videos are so short that a clip of 4 takes .*'clap/c2'"
    ):
        source = source_of(short, ("clap", "jump"), clip, short_video="pad")
    for mode in ("centre", "random"):
        found = moments(read_all(source, sampling_mode=mode)[0])
        assert found["rgb"][1][:2].tolist() == [[0, 1, 0, 1], [0, 1, 0, 1]]
        first, second = found["flow"][1][:2].tolist()
        assert first == [[0, 1, 2, 2, 2], [1, 2, 2, 2, 2]] * 2
        assert second == [[0] * 5] * 4
        assert found["flow"][1][2].max() == found["flow"][1][2, -1, -1] <= 7


def test_rgb_alone_needs_one_frame_a_video(tmp_path, write_store, moments):
    single = write_store(tmp_path, lengths={"clap/c1": 1, "clap/c2": 2})
    with pytest.warns(UserWarning, match=r"2 videos are so short that a clip of 3 takes"):
        source = source_of(single, ("clap",), CLIP.only("rgb"))
    found = moments(read_all(source)[0])
    assert found["rgb"][1].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_no_videos_are_refused(store):
    with pytest.raises(ValueError, match="at least one video. Received: an empty table"):
        ClipSource(store=store, table=store.index()[:0], classes=("clap",), clip=CLIP)


@pytest.mark.parametrize(
    ("clip", "need"),
    [
        (ClipSpec(flow_length=14), 15),
        (ClipSpec(flow_length=10, frames_per_segment=5), 15),
        (ClipSpec(flow_length=7, flow_step=2, modalities=("flow",)), 14),
        (ClipSpec(frames_per_segment=16, modalities=("rgb",)), 16),
    ],
)
def test_too_short_videos_are_counted_and_named(store, classes, clip, need):
    table = store.index()
    short = table.video_id[table.n_frames < need].tolist()
    with pytest.raises(ValueError, match=f"at least {need} frames") as caught:
        source_of(store, classes, clip)
    assert str(caught.value).startswith(f"{len(short)} videos are too short")
    assert str(caught.value).endswith(f"Received: {short}")


def test_timing_can_make_a_video_too_short(store, classes):
    with pytest.raises(ValueError, match="1 videos are too short: .* at least 13 frames. .*j1"):
        source_of(
            store, classes, CLIP.only("rgb"), timing=dataclasses.replace(CLIP, flow_length=12)
        )


def test_unknown_labels_are_refused(store):
    with pytest.raises(ValueError, match=r"^2 videos have a label that .*\['walk/w1', 'walk/w2'\]"):
        source_of(store, ("clap", "jump"))


@pytest.mark.parametrize("n_flow", [0, 12, 14])
def test_flow_that_does_not_count_one_less_is_refused(store, classes, n_flow):
    table = store.index()
    table.loc[1, "n_flow"] = n_flow  # of 15 frames
    given = {"store": store, "table": table, "classes": classes}
    if n_flow == 14:
        assert len(ClipSource(**given, clip=CLIP)) == 6
        return
    with pytest.raises(ValueError, match=r"^1 videos lack flow .*extract-flow.*\['clap/c2'\]"):
        ClipSource(**given, clip=CLIP)
    ClipSource(**given, clip=CLIP.only("rgb"))


def test_at_most_five_videos_are_named(store):
    with pytest.raises(ValueError, match=r"^6 videos .*'walk/w1'\] \.\.\.$"):
        source_of(store, ("none",))


def test_unknown_options_are_refused(store, classes):
    with pytest.raises(ValueError, match=r"\('error', 'pad'\). Received: short_video='drop'"):
        source_of(store, classes, short_video="drop")


@pytest.mark.parametrize(
    "changes", [{"segments": 5}, {"frames_per_segment": 2}, {"modalities": ("rgb",)}]
)
def test_timing_must_fit_the_clip(store, classes, changes):
    with pytest.raises(ValueError, match="`timing` must have the segments and frames_per_segment"):
        source_of(store, classes, timing=dataclasses.replace(CLIP, **changes))
