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
            frames = sampling.segment_frames(tf.constant([start]), clip, 1000)
            pairs = sampling.flow_windows(frames, clip, 1000).numpy()
            assert pairs.min() == start
            assert pairs.max() == reached
            assert frames.numpy().max() <= reached + 1


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
    frames = sampling.segment_frames(tf.constant([3, 9, 15]), clip, n_frames).numpy()
    assert frames.tolist() == expected
    assert frames.shape == (clip.frames,)


@pytest.mark.parametrize(
    ("options", "n_frames", "expected"),
    [
        ({"flow_length": 3}, 29, [[3, 4, 5], [9, 10, 11]]),
        ({"flow_length": 3, "flow_position": "centre"}, 29, [[2, 3, 4], [8, 9, 10]]),
        ({"flow_length": 3, "flow_step": 2}, 29, [[3, 5, 7], [9, 11, 13]]),
        # deep fusion, decision 11: c - L/2 to c + L/2 - 1 for frame c
        ({"flow_length": 4, "flow_position": "centre"}, 29, [[1, 2, 3, 4], [7, 8, 9, 10]]),
        ({"flow_length": 10, "flow_position": "centre"}, 9, [[0] * 3 + [*range(1, 8)],
                                                             [4, 5, 6, 7, 7, 7, 7, 7, 7, 7]]),
        ({"flow_length": 4}, 12, [[3, 4, 5, 6], [9, 10, 10, 10]]),  # pair 10 is the last of 12
        ({"flow_length": 3}, 5, [[3, 3, 3], [3, 3, 3]]),
        ({"flow_length": 1}, 2, [[0], [0]]),
    ],
)  # fmt: skip
def test_flow_windows_are_oldest_first(options, n_frames, expected):
    clip = ClipSpec(segments=2, **options)
    pairs = sampling.flow_windows(tf.constant([3, 9]), clip, n_frames).numpy()
    assert pairs.tolist() == expected
    assert pairs.shape == (clip.frames, clip.flow_length)


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (1, [0] * 24),
        (2, [0] + [1] * 23),
        (22, [*range(22), 21, 21]),  # the shortest video of the data sets
        (24, [*range(24)]),
        (25, [*range(24)]),
        (46, [k * 46 // 24 for k in range(24)]),
        (231, [0, 9, 19, 28, 38, 48, 57, 67, 77, 86, 96, 105, 115, 125, 134, 144, 154, 163, 173,
               182, 192, 202, 211, 221]),
    ],
)  # fmt: skip
def test_spread(n_frames, expected):
    assert sampling.spread(n_frames, 24).numpy().tolist() == expected


def strided(n_frames, *uniform, frames=24, **options):
    return sampling.strided(n_frames, frames, tf.constant(uniform), **options).numpy().tolist()


def test_strided_falls_back_below_47_frames():
    for n_frames in (1, 22, 24, 46):
        assert strided(n_frames, 0.9, 0.9) == sampling.spread(n_frames, 24).numpy().tolist()
    assert strided(47, ALMOST_ONE, ALMOST_ONE) == [*range(0, 47, 2)]
    assert strided(47, 0.0, 0.0) == [*range(0, 47, 2)]
    assert strided(48, 0.5, ALMOST_ONE) == [*range(1, 48, 2)]
    # interval 3 needs 70 frames, 10 needs 231
    assert strided(69, ALMOST_ONE, 0.0)[:2] == [0, 2]
    assert strided(70, ALMOST_ONE, 0.0) == [*range(0, 70, 3)]
    assert strided(230, ALMOST_ONE, 0.0)[:2] == [0, 9]
    assert strided(231, ALMOST_ONE, ALMOST_ONE) == [*range(0, 231, 10)]
    assert strided(1000, ALMOST_ONE, ALMOST_ONE)[-1] == 999
    assert strided(1000, 0.0, 0.0, interval=(5, 7))[:2] == [0, 5]


def test_every_interval_and_first_frame_is_drawn():
    grid = (np.arange(900, dtype=np.float32) + 0.5) / 900
    data = tf.data.Dataset.from_tensor_slices(np.stack([grid, np.roll(grid, 455)], axis=1))
    found = np.array(list(data.map(lambda u: sampling.strided(240, 24, u)).as_numpy_iterator()))
    steps = found[:, 1] - found[:, 0]
    assert np.unique(steps, return_counts=True)[1].tolist() == [100] * 9
    assert found.min() == 0
    assert found.max() == 239


@pytest.mark.parametrize(
    ("n_frames", "frames", "expected"),
    [
        (1, 6, [0] * 6),
        (2, 6, [0, 0, 0, 1, 1, 1]),
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (60, 6, [5, 15, 25, 35, 45, 55]),
        (7, 6, [0, 1, 2, 4, 5, 6]),
        (250, 16, [7, 23, 39, 54, 70, 85, 101, 117, 132, 148, 164, 179, 195, 210, 226, 242]),
    ],
)
def test_even(n_frames, frames, expected):
    assert sampling.even(n_frames, frames).numpy().tolist() == expected
    assert sampling.even(n_frames, frames, np.full(frames, 0.5)).numpy().tolist() == expected


def test_parts_of_even_are_the_segments_of_the_test():
    """One segment of S in training lies where it lies in the test (VCM-SDD)."""
    whole = sampling.even(301, 8 * 6).numpy().reshape(8, 6)
    for s in range(8):
        assert sampling.even(301, 6, parts=8, part=s).numpy().tolist() == whole[s].tolist()
        low, high = s * 301 / 8, (s + 1) * 301 / 8
        for u in (0, ALMOST_ONE):
            found = sampling.even(301, 6, tf.fill([6], u), parts=8, part=s).numpy()
            expected = [int(low + (k + u) * (high - low) / 6) for k in range(6)]
            assert found.tolist() == np.minimum(expected, 300).tolist()


@pytest.mark.parametrize(
    ("starts", "uniform", "expected"),
    [
        (29, [0] * 6, [0, 4, 8, 12, 16, 20]),
        (29, [ALMOST_ONE] * 6, [3, 7, 11, 15, 19, 23]),  # 24 to 28 are never drawn, as in TSN
        (6, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 2, 3, 4, 5]),
        (4, [0.9, 0.1, 0.3, 0.3, 0.6, 0.5], [0, 1, 1, 2, 2, 3]),
        (1, [0.9] * 6, [0] * 6),
    ],
)
def test_intervals(starts, uniform, expected):
    found = sampling.intervals(starts, 6, tf.constant(uniform, tf.float32))
    assert found.numpy().tolist() == expected


@pytest.mark.parametrize("starts", [1, 2, 24, 25, 26, 47, 100, 231])
def test_intervals_of_a_test_are_tsn_s(starts):
    tick = starts / 25
    expected = [int(tick / 2 + tick * k + 1e-9) for k in range(25)]
    assert sampling.intervals(starts, 25).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("n_frames", "options", "expected"),
    [
        (100, {}, [*range(42, 58)]),
        (16, {}, [*range(16)]),
        (10, {}, [*range(10), *[9] * 6]),
        (1, {"step": 2}, [0] * 16),
        (100, {"step": 2}, [*range(34, 66, 2)]),
        (100, {"view": 0, "views": 10}, [*range(16)]),
        (100, {"view": 4, "views": 10}, [*range(37, 53)]),
        (100, {"view": 9, "views": 10}, [*range(84, 100)]),
        (100, {"uniform": [0.0]}, [*range(16)]),
        (100, {"uniform": [ALMOST_ONE]}, [*range(84, 100)]),
        (100, {"uniform": [ALMOST_ONE], "step": 4}, [*range(39, 100, 4)]),
    ],
)
def test_consecutive(n_frames, options, expected):
    assert sampling.consecutive(n_frames, 16, **options).numpy().tolist() == expected


@pytest.mark.parametrize("n_frames", [1, 2, 10, 11, 22, 29, 46, 47, 231])
def test_eager_and_traced_agree(mapped, n_frames):
    clip = ClipSpec(flow_position="centre", frames_per_segment=1)
    uniform = np.random.default_rng(n_frames).random(6, np.float32)

    def indices(n, uniform):
        starts = tf.maximum(sampling.count_starts(n, clip), 1)
        chosen = sampling.segment_random(starts, 3, uniform[:3])
        frames = (
            sampling.segment_frames(chosen, clip, n),
            sampling.spread(n, 6),
            sampling.strided(n, 6, uniform),
            sampling.even(n, 6),
            sampling.even(n, 6, uniform, parts=4, part=2),
            sampling.intervals(starts, 6, uniform),
            sampling.intervals(starts, 6),
            sampling.consecutive(n, 6, uniform, step=2),
            sampling.consecutive(n, 6, view=1, views=3),
        )
        bounds = (*sampling.segment_bounds(starts, 3), sampling.segment_centre(starts, 3))
        return (*bounds, chosen, *frames, *(sampling.flow_windows(f, clip, n) for f in frames))

    for dtype in (np.int32, np.int64):
        n = np.array(n_frames, dtype)
        traced = mapped(indices, n, uniform)
        for eager, inside in zip(indices(tf.constant(n), uniform), traced, strict=True):
            np.testing.assert_array_equal(eager, inside)
        for frames in traced[4:13]:
            assert frames.dtype == np.int32
            assert (np.diff(frames) >= 0).all()
            assert frames.min() >= 0
            assert frames.max() < n_frames
