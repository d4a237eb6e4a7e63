import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.dataset import evaluation_clips, training_clips
from vidrec.pipeline.order import SHUFFLE_ORDERS, steps_per_epoch
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource

CLIP = ClipSpec(size=16, flow_length=3)
RGB = CLIP.only("rgb")
RGB_OF_FIVE = ClipSpec(segments=1, frames_per_segment=5, size=16, modalities=("rgb",))
STILL = Augmentation(crop_range=(1, 1), flip_lr=0, flip_ud=0, brightness=0)
V = 6


def source_of(store, classes, clip=CLIP, videos=None, **options):
    table = store.index()
    table = table if videos is None else table.iloc[videos]
    return ClipSource(store=store, table=table, classes=classes, clip=clip, **options)


def train(source, *, batch_size=4, seed=1, epochs=3, options=STILL, **more):
    """The batches of a training run: list of (clips, labels)."""
    data = training_clips(
        source, batch_size=batch_size, seed=seed, epochs=epochs, options=options, **more
    )
    return list(data.as_numpy_iterator())


def videos_by_epoch(batches, steps, moments):
    """int (epochs, steps * B): the video numbers."""
    videos = [moments(clips)["rgb"][0][:, 0] for clips, _ in batches]
    return np.concatenate(videos).reshape(-1, steps * len(videos[0]))


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


def test_batches_are_full_and_say_their_shapes(store, classes, moments):
    source = source_of(store, classes)
    data = training_clips(source, batch_size=4, seed=1, epochs=3)
    specs, label = data.element_spec
    assert specs["rgb"].shape.as_list() == [4, 3, 16, 16, 3]
    assert specs["flow"].shape.as_list() == [4, 3, 16, 16, 6]
    assert label.shape.as_list() == [4]
    assert steps_per_epoch(len(source), 4) == 1
    assert steps_per_epoch(len(source), 2) == 3
    batches = train(source, batch_size=2)
    assert len(batches) == 9
    for clips, labels in batches:
        assert clips["rgb"].dtype == clips["flow"].dtype == np.uint8
        assert labels.dtype == np.int32
        videos = moments(clips)["rgb"][0]
        assert (videos == videos[:, :1]).all()
        assert labels.tolist() == [[2, 2, 1, 1, 0, 0][v] for v in videos[:, 0]]


@pytest.mark.parametrize("batch_size", [2, 4])
def test_shuffle_first_sees_each_video_once_an_epoch(store, classes, moments, batch_size):
    batches = train(source_of(store, classes, RGB), batch_size=batch_size, epochs=8)
    epochs = videos_by_epoch(batches, V // batch_size, moments)
    assert epochs.shape == (8, {2: 6, 4: 4}[batch_size])
    for videos in epochs:
        assert len(set(videos)) == len(videos)
    assert len({tuple(videos) for videos in epochs}) >= 6  # of 8 orders, nearly all differ
    assert set(epochs.ravel()) == set(range(V))  # those left over differ from epoch to epoch


def test_repeat_first_sees_each_video_as_often_but_not_once_an_epoch(store, classes, moments):
    source = source_of(store, classes, RGB)
    batches = train(source, batch_size=3, epochs=5, shuffle_order="repeat_first")
    epochs = videos_by_epoch(batches, 2, moments)
    assert epochs.shape == (5, 6)
    assert np.bincount(epochs.ravel()).tolist() == [5] * V
    assert any(len(set(videos)) < V for videos in epochs)


@pytest.mark.parametrize("shuffle_order", SHUFFLE_ORDERS)
def test_resume_goes_on_bit_by_bit(store, classes, shuffle_order):
    """The default augmentation: whatever is random must come from (seed, count)."""
    source = source_of(store, classes)
    options = {"batch_size": 4, "epochs": 5, "options": None, "shuffle_order": shuffle_order}
    whole = train(source, **options)
    assert len(whole) == 5
    assert_equal(train(source, first_epoch=2, **options), whole[2:])
    assert train(source, first_epoch=5, **options) == []
    other = train(source, seed=2, **options)
    assert all((a["rgb"] != b["rgb"]).any() for (a, _), (b, _) in zip(whole, other, strict=True))


def test_each_epoch_draws_other_moments(store, classes, moments):
    source = source_of(store, classes, RGB, videos=[5])
    batches = train(source, batch_size=1, epochs=40)
    frames = np.stack([moments(clips)["rgb"][1][0] for clips, _ in batches])
    for k, (low, high) in enumerate([(0, 6), (6, 13), (13, 20)]):  # 20 frames in 3 segments
        assert frames[:, k].min() == low
        assert frames[:, k].max() == high - 1
    assert len({tuple(row) for row in frames}) > 30


@pytest.mark.parametrize(("position", "offset"), [("start", 0), ("centre", 2)])
def test_flow_starts_at_the_frame_or_surrounds_it(store, classes, moments, position, offset):
    """Decision 32: one start for both."""
    clip = dataclasses.replace(CLIP, flow_position=position, flow_length=4, frames_per_segment=2)
    for clips, _ in train(source_of(store, classes, clip), epochs=4):
        found = moments(clips)
        (rgb_video, frame), (flow_video, pair) = found["rgb"], found["flow"]
        assert frame.shape == (4, 6)
        np.testing.assert_array_equal(pair, (frame - offset)[..., None] + np.arange(4))
        assert (flow_video == rgb_video[..., None]).all()
        assert (frame[:, 1::2] == frame[:, ::2] + 1).all()
        assert (np.diff(frame[:, ::2], axis=1) >= 0).all()


def test_training_never_sees_a_test_video(store, classes, moments):
    table = store.index()
    train_rows, test_rows = [0, 3, 4, 5], [1, 2]
    assert set(table.video_id[train_rows]).isdisjoint(table.video_id[test_rows])
    for shuffle_order in SHUFFLE_ORDERS:
        source = source_of(store, classes, RGB, train_rows)
        batches = train(source, batch_size=2, epochs=6, shuffle_order=shuffle_order)
        assert set(videos_by_epoch(batches, 2, moments).ravel()) == set(train_rows)
    held_out = evaluation_clips(source_of(store, classes, RGB, test_rows), batch_size=2)
    clips, *_ = next(held_out.as_numpy_iterator())
    assert moments(clips)["rgb"][0][:, 0].tolist() == test_rows


def test_evaluation_is_in_the_order_of_the_table_with_a_small_last_batch(store, classes, moments):
    data = evaluation_clips(source_of(store, classes), batch_size=4)
    batches = list(data.as_numpy_iterator())
    assert [len(labels) for _, labels, _ in batches] == [4, 2]
    assert np.concatenate([labels for _, labels, _ in batches]).tolist() == [2, 2, 1, 1, 0, 0]
    found = [moments(clips) for clips, *_ in batches]
    videos, frames = (np.concatenate([one["rgb"][i] for one in found]) for i in (0, 1))
    assert videos[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    # N - 3 starts: 10, 12, 9, 14, 11, 17, cut in three, the middle of each
    expected = [[1, 4, 8], [2, 6, 10], [1, 4, 7], [2, 6, 11], [1, 5, 9], [2, 8, 14]]
    assert frames.tolist() == expected
    pairs = np.concatenate([one["flow"][1] for one in found])
    np.testing.assert_array_equal(pairs, np.array(expected)[..., None] + np.arange(3))
    assert batches[0][0]["flow"].shape == (4, 3, 16, 16, 6)


@pytest.mark.parametrize("flow_flip", ["negate", "image_only"])
def test_evaluation_in_several_views(store, classes, flow_flip):
    source, options = source_of(store, classes), {"batch_size": 4, "to": (20, 30)}
    (one, _, _), *_ = evaluation_clips(source, **options)
    (five, _, _), *_ = evaluation_clips(source, **options, views=5)
    (ten, labels, facts), *_ = evaluation_clips(source, **options, views=10, flow_flip=flow_flip)
    assert labels.shape == (4,)
    assert facts["frames"].shape == (4, 3)
    for name in one:
        np.testing.assert_array_equal(five[name][:, 4], one[name])
        np.testing.assert_array_equal(ten[name][:, :5], five[name])
        mirrored = ten[name][:, 9, ..., ::-1, :].numpy()  # of the centre
        if name == "flow" and flow_flip == "negate":
            mirrored[..., ::2] = 255 - mirrored[..., ::2]
        np.testing.assert_array_equal(mirrored, one[name])


def test_evaluation_of_several_clips_of_a_video(store, classes, moments):
    """From the first place to the last, at even distances; the crops of the first clip first."""
    several = {"sampling": Sampling(policy="consecutive"), "clips": 3}
    source = source_of(store, classes, RGB_OF_FIVE, videos=[3, 5], **several)
    (clips, labels, facts), *_ = evaluation_clips(source, batch_size=2).as_numpy_iterator()
    assert labels.shape == facts["video_id"].shape == (2,)
    lengths = source.table.n_frames.tolist()
    firsts = [[0, (n - 5) // 2, n - 5] for n in lengths]
    expected = np.array(firsts)[..., None] + np.arange(5)
    np.testing.assert_array_equal(facts["frames"], expected)
    assert clips["rgb"].shape == (2, 3, 5, 16, 16, 3)
    for view in range(3):
        videos, frames = moments({"rgb": clips["rgb"][:, view]})["rgb"]
        assert videos[:, 0].tolist() == [3, 5]
        np.testing.assert_array_equal(frames, expected[:, view])
    crops = {"views": 10, "to": (20, 30), "batch_size": 2}
    (ten, _, _), *_ = evaluation_clips(source, **crops)
    assert ten["rgb"].shape == (2, 30, 5, 16, 16, 3)
    one = source_of(store, classes, RGB_OF_FIVE, videos=[3, 5], sampling=several["sampling"])
    (alone, _, _), *_ = evaluation_clips(one, **crops)
    np.testing.assert_array_equal(ten["rgb"][:, 10:20], alone["rgb"])  # its clip is the middle one


def test_random_evaluation_repeats_with_its_seed(store, classes, moments):
    source = source_of(store, classes)

    def draw(seed, batch_size=6):
        data = evaluation_clips(source, batch_size=batch_size, sampling_mode="random", seed=seed)
        return list(data.as_numpy_iterator())

    draws = [draw(seed) for seed in range(3)]
    frames = [moments(clips)["rgb"][1] for ((clips, *_),) in draws]
    assert len({one.tobytes() for one in frames}) == 3
    assert_equal(draws[1], draw(1))
    small = [moments(clips)["rgb"][1] for clips, *_ in draw(1, 4)]
    np.testing.assert_array_equal(np.concatenate(small), frames[1])
    starts = np.array(source.table.n_frames) - 3
    for k in range(3):
        for one in frames:
            assert (one[:, k] >= k * starts // 3).all()
            assert (one[:, k] < (k + 1) * starts // 3).all()


def test_random_evaluation_draws_apart_for_each_video(store, classes, moments):
    source = source_of(store, classes, RGB, videos=[5] * 6)
    data = evaluation_clips(source, batch_size=6, sampling_mode="random")
    clips, *_ = next(data.as_numpy_iterator())
    assert len({tuple(frames) for frames in moments(clips)["rgb"][1]}) >= 5


def test_parts_are_of_training_alone(store, classes, moments):
    """Four parts of a video of 20 frames, and a clip of five in each."""
    source = source_of(
        store, classes, RGB_OF_FIVE, videos=[5], sampling=Sampling(policy="even", parts=4)
    )
    batches = train(source, batch_size=1, epochs=30)
    parts = {tuple(moments(clips)["rgb"][1][0] // 5) for clips, _ in batches}
    assert parts == {(part,) * 5 for part in range(4)}
    for mode in ("centre", "random"):
        data = evaluation_clips(source, batch_size=1, sampling_mode=mode)
        clips, *_ = next(data.as_numpy_iterator())
        assert (moments(clips)["rgb"][1][0] // 4).tolist() == [0, 1, 2, 3, 4]


def test_videos_with_short_parts_are_named_in_training_alone(store, classes):
    sampling = Sampling(policy="even", parts=3)  # 15 frames; 12, 13 and 14 are less
    source = source_of(store, classes, RGB_OF_FIVE, sampling=sampling)
    list(evaluation_clips(source, batch_size=6, sampling_mode="random"))
    named = r".* one of 3 parts .*\['clap/c1', 'jump/j1', 'walk/w1'\]"
    with pytest.warns(UserWarning, match=f"^3 videos are so short that in training{named}") as told:
        train(source, epochs=1)
    assert len(told) == 1


@pytest.mark.parametrize("batch_size", [0, 7])
def test_a_batch_that_cannot_be_filled_is_refused(store, classes, batch_size):
    message = f"at most the number of .*. Received: batch_size={batch_size}, videos=6"
    with pytest.raises(ValueError, match=message):
        training_clips(source_of(store, classes), batch_size=batch_size, seed=0, epochs=1)


def test_unknown_options_are_refused(store, classes):
    source = source_of(store, classes)
    with pytest.raises(ValueError, match=r"\('shuffle_first', 'repeat_first'\). .*order='paper'"):
        training_clips(source, batch_size=2, seed=0, epochs=1, shuffle_order="paper")
    with pytest.raises(ValueError, match="'centre' or 'random'. Received: sampling_mode='middle'"):
        evaluation_clips(source, batch_size=2, sampling_mode="middle")
    with pytest.raises(ValueError, match="`views` must be 1, 5 or 10. Received: views=3"):
        evaluation_clips(source, batch_size=2, views=3)


@pytest.mark.parametrize("shuffle_order", SHUFFLE_ORDERS)
def test_resume_goes_on_at_any_step(store, classes, shuffle_order):
    source = source_of(store, classes)
    options = {"batch_size": 2, "epochs": 3, "options": None, "shuffle_order": shuffle_order}
    whole = train(source, **options)
    assert len(whole) == 9
    for epoch, step in [(0, 1), (1, 2), (2, 2)]:
        found = train(source, first_epoch=epoch, first_step=step, **options)
        assert_equal(found, whole[3 * epoch + step :])


def test_workers_together_see_what_one_sees(store, classes):
    source = source_of(store, classes)
    options = {"batch_size": 4, "epochs": 3, "options": None}
    whole = train(source, **options)
    parts = [train(source, shard=(worker, 2), **options) for worker in range(2)]
    joined = [
        tf.nest.map_structure(lambda *x: np.concatenate(x), *both)
        for both in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)
    parts = [
        evaluation_clips(source, batch_size=2, sampling_mode="random", shard=(worker, 4))
        for worker in range(4)
    ]
    names = [
        [name for *_, facts in part.as_numpy_iterator() for name in facts["video_id"].tolist()]
        for part in parts
    ]
    assert [len(part) for part in names] == [2, 2, 1, 1]
    assert sorted(sum(names, [])) == sorted(name.encode() for name in source.table.video_id)
    alone = evaluation_clips(source, batch_size=6, sampling_mode="random")
    ((whole, *_),) = alone.as_numpy_iterator()
    ((part, *_),) = parts[1].as_numpy_iterator()
    np.testing.assert_array_equal(part["flow"], whole["flow"][1::4])


def test_facts_say_which_images_a_clip_is_of(store, classes, moments):
    source = source_of(store, classes)
    for data in (
        training_clips(source, batch_size=3, seed=1, epochs=2, options=STILL, facts=True),
        evaluation_clips(source, batch_size=4, sampling_mode="random"),
    ):
        for clips, _, facts in data.as_numpy_iterator():
            (video, frames), (_, pairs) = (moments(clips)[name] for name in ("rgb", "flow"))
            np.testing.assert_array_equal(facts["frames"], frames)
            np.testing.assert_array_equal(facts["pairs"], pairs)
            names = [name.encode() for name in source.table.video_id.iloc[video[:, 0]]]
            assert facts["video_id"].tolist() == names
    rgb = next(iter(evaluation_clips(source_of(store, classes, RGB), batch_size=2)))[2]
    assert set(rgb) == {"video_id", "frames"}
