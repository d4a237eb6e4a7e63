import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline import sampling

ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))  # the largest uniform draw


@pytest.mark.parametrize(
    ("n_frames", "options", "expected"),
    [
        (29, {}, 19),  # section 4.6: N = 29, L = 10
        (11, {}, 1),  # section 6: L + 1 frames are just enough
        (10, {}, 0),
        (29, {"modalities": ("flow",)}, 19),
        (29, {"modalities": ("rgb",)}, 29),
        (1, {"modalities": ("rgb",)}, 1),
        (29, {"frames_per_segment": 3}, 17),
        (29, {"frames_per_segment": 3, "modalities": ("rgb",)}, 27),
        (29, {"flow_step": 2}, 10),
        (29, {"flow_length": 5, "flow_step": 3, "frames_per_segment": 2}, 15),
        (29, {"flow_length": 1}, 28),
    ],
)
def test_count_starts(n_frames, options, expected):
    assert sampling.count_starts(n_frames, ClipSpec(**options)) == expected


@pytest.mark.parametrize("position", ["start", "centre"])
def test_every_counted_start_fits_and_the_next_does_not(position):
    for m, length, step in [(1, 10, 1), (3, 4, 1), (2, 3, 4), (1, 1, 1)]:
        clip = ClipSpec(
            segments=1,
            frames_per_segment=m,
            flow_length=length,
            flow_step=step,
            flow_position=position,
        )
        n = 31
        last = int(sampling.count_starts(n, clip)) - 1
        for start, reached in [(last, n - 2), (last + 1, n - 1)]:
            pairs = sampling.flow_indices(tf.constant([start]), clip, 1000).numpy()
            frames = sampling.frame_indices(tf.constant([start]), clip, 1000).numpy()
            assert pairs.max() == reached
            assert frames.max() <= reached + 1


def test_count_starts_of_many_videos():
    lengths = [29, 11, 10, 1]
    clip = ClipSpec()
    assert sampling.count_starts(pd.Series(lengths), clip).tolist() == [19, 1, 0, -9]
    found = sampling.count_starts(tf.constant(lengths, tf.int64), clip)
    assert found.dtype == tf.int64
    assert found.numpy().tolist() == [19, 1, 0, -9]


@pytest.mark.parametrize("kind", [int, np.int64, tf.constant, lambda s: tf.constant(s, tf.int64)])
def test_segments_of_19_starts_are_6_6_7(kind):
    low, high = sampling.segment_bounds(kind(19), 3)
    assert low.dtype == high.dtype == tf.int32
    assert low.numpy().tolist() == [0, 6, 12]
    assert high.numpy().tolist() == [6, 12, 19]


@pytest.mark.parametrize(
    ("starts", "uniform", "expected"),
    [
        (19, [0, 0, 0], [0, 6, 12]),
        (19, [ALMOST_ONE] * 3, [5, 11, 18]),
        (19, [0, 0.5, 0.999], [0, 9, 18]),
        (19, [0.999, 0, 0.5], [5, 6, 15]),  # each segment has its own draw, in its own order
        (3, [0.9, 0.1, 0.5], [0, 1, 2]),
        (2, [0.9, 0.1, 0.6], [0, 1, 1]),  # S < K: sorted draws from all starts
        (2, [0.1, 0.2, ALMOST_ONE], [0, 0, 1]),
        (1, [0.3, ALMOST_ONE, 0], [0, 0, 0]),
    ],
)
def test_segment_random(starts, uniform, expected):
    uniform = tf.constant(uniform, tf.float32)
    found = sampling.segment_random(starts, 3, uniform)
    assert found.dtype == tf.int32
    assert found.numpy().tolist() == expected


@pytest.mark.parametrize("starts", [1, 2, 3, 4, 7, 19, 40])
def test_every_start_of_a_segment_is_reached_and_no_other(starts):
    """Draws on a grid; each segment must see each of its starts about equally often."""
    steps = 840
    grid = np.linspace(0, ALMOST_ONE, steps, dtype=np.float32)
    draws = np.stack([grid, np.roll(grid, 331)[::-1], np.roll(grid, 77)], axis=1)
    data = tf.data.Dataset.from_tensor_slices(draws)
    data = data.map(lambda uniform: sampling.segment_random(starts, 3, uniform))
    chosen = np.array(list(data.as_numpy_iterator()))
    assert (np.diff(chosen, axis=1) >= 0).all()
    if starts < 3:
        assert set(chosen.ravel()) == set(range(starts))
        return
    borders = [k * starts // 3 for k in range(4)]
    for k in range(3):
        values, counts = np.unique(chosen[:, k], return_counts=True)
        assert values.tolist() == list(range(borders[k], borders[k + 1]))
        assert counts.max() - counts.min() <= 2


def test_the_largest_draw_never_rounds_into_the_next_segment():
    starts = np.arange(3, 3000)
    data = tf.data.Dataset.from_tensor_slices(starts)
    data = data.map(lambda s: sampling.segment_random(s, 3, tf.fill([3], ALMOST_ONE)))
    chosen = np.array(list(data.as_numpy_iterator()))
    borders = np.stack([(k + 1) * starts // 3 for k in range(3)], axis=1)
    np.testing.assert_array_equal(chosen, borders - 1)


@pytest.mark.parametrize(
    ("starts", "segments", "expected"),
    [
        (19, 3, [3, 9, 15]),
        (29, 3, [4, 14, 24]),
        (30, 1, [15]),
        (3, 3, [0, 1, 2]),
        (7, 7, [0, 1, 2, 3, 4, 5, 6]),
        (2, 3, [0, 0, 1]),
        (2, 5, [0, 0, 0, 1, 1]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_segment_centre(starts, segments, expected):
    assert sampling.segment_centre(starts, segments).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("options", "n_frames", "expected"),
    [
        ({}, 29, [3, 9, 15]),
        ({"flow_position": "centre"}, 29, [8, 14, 20]),  # 5 of the 10 pairs lie before the frame
        ({"flow_position": "centre", "flow_length": 3, "flow_step": 2}, 29, [5, 11, 17]),
        ({"flow_position": "centre", "modalities": ("rgb",)}, 29, [3, 9, 15]),
        ({"frames_per_segment": 2}, 29, [3, 4, 9, 10, 15, 16]),
        ({"frames_per_segment": 2}, 16, [3, 4, 9, 10, 15, 15]),
        ({"flow_position": "centre"}, 12, [8, 11, 11]),
    ],
)
def test_frame_indices(options, n_frames, expected):
    clip = ClipSpec(**options)
    frames = sampling.frame_indices(tf.constant([3, 9, 15]), clip, n_frames).numpy()
    assert frames.tolist() == expected
    assert frames.shape == (clip.frames,)


@pytest.mark.parametrize(
    ("options", "n_frames", "expected"),
    [
        ({"flow_length": 3}, 29, [[3, 4, 5], [9, 10, 11]]),
        ({"flow_length": 3, "flow_position": "centre"}, 29, [[3, 4, 5], [9, 10, 11]]),
        ({"flow_length": 3, "flow_step": 2}, 29, [[3, 5, 7], [9, 11, 13]]),
        (
            {"flow_length": 2, "frames_per_segment": 2},
            29,
            [[3, 4], [4, 5], [9, 10], [10, 11]],
        ),
        ({"flow_length": 4}, 12, [[3, 4, 5, 6], [9, 10, 10, 10]]),  # pair 10 is the last of 12
        ({"flow_length": 3}, 5, [[3, 3, 3], [3, 3, 3]]),
    ],
)
def test_flow_indices_are_oldest_first(options, n_frames, expected):
    clip = ClipSpec(segments=2, **options)
    pairs = sampling.flow_indices(tf.constant([3, 9]), clip, n_frames).numpy()
    assert pairs.tolist() == expected
    assert pairs.shape == (clip.frames, clip.flow_length)


@pytest.mark.parametrize("n_frames", [11, 12, 29, 200])
def test_eager_and_traced_agree(mapped, n_frames):
    clip = ClipSpec(flow_position="centre", frames_per_segment=1)
    uniform = np.random.default_rng(n_frames).random(3, np.float32)

    def indices(n, uniform):
        starts = sampling.count_starts(n, clip)
        chosen = sampling.segment_random(starts, 3, uniform)
        return (
            *sampling.segment_bounds(starts, 3),
            sampling.segment_centre(starts, 3),
            chosen,
            sampling.frame_indices(chosen, clip, n),
            sampling.flow_indices(chosen, clip, n),
        )

    for dtype in (np.int32, np.int64):
        n = np.array(n_frames, dtype)
        traced = mapped(indices, n, uniform)
        for eager, inside in zip(indices(tf.constant(n), uniform), traced, strict=True):
            np.testing.assert_array_equal(eager, inside)
    assert traced[5].max() <= n_frames - 2
