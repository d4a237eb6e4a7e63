import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.pipeline import sampling
from vidrec.pipeline.policies import POLICIES, Sampling

RGB = ClipSpec(segments=1, frames_per_segment=6, modalities=("rgb",))
BOTH = ClipSpec(segments=3, frames_per_segment=2, flow_length=4)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return lambda count: tf.constant(rng.random(count, np.float32))


def frames(policy, n_frames, clip, draw=None, **options):
    return Sampling(policy=policy, **options).frames(n_frames, clip, draw).numpy().tolist()


def test_each_name_stands_for_its_function():
    assert frames("segments", 29, BOTH) == [4, 5, 12, 13, 20, 21]
    assert frames("strided", 60, RGB) == sampling.spread(60, 6).numpy().tolist()
    assert frames("even", 60, RGB) == [5, 15, 25, 35, 45, 55]
    assert frames("intervals", 61, RGB) == [5, 15, 25, 35, 45, 55]  # S = 61
    assert frames("consecutive", 60, RGB) == [27, 28, 29, 30, 31, 32]
    assert frames("consecutive", 60, RGB, step=4) == [19, 23, 27, 31, 35, 39]
    wide = frames("strided", 60, RGB, drawn(), interval=(11, 11))
    assert np.diff(wide).tolist() == [11] * 5


@pytest.mark.parametrize("policy", POLICIES)
def test_draws_decide_training_and_tests_have_none(policy):
    found = [frames(policy, 200, BOTH, drawn(seed)) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert len({tuple(f) for f in found}) > 2
    assert frames(policy, 200, BOTH) == frames(policy, 200, BOTH)
    for chosen in (*found, frames(policy, 200, BOTH)):
        assert len(chosen) == 6
        assert chosen == sorted(chosen)
        assert 0 <= chosen[0] <= chosen[-1] < 200


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("n_frames", [2, 3, 5, 6, 7, 11])
def test_short_videos_give_whole_clips(policy, n_frames):
    chosen = frames(policy, n_frames, BOTH, drawn())
    pairs = sampling.flow_windows(tf.constant(chosen), BOTH, n_frames).numpy()
    assert len(chosen) == 6
    assert max(chosen) < n_frames
    assert pairs.shape == (6, 4)
    assert pairs.min() >= 0
    assert pairs.max() <= n_frames - 2


@pytest.mark.parametrize(
    ("policy", "options", "least"),  # flow of two pairs in each of the four frames
    [
        ("segments", {}, 6),
        ("intervals", {}, 6),
        ("strided", {}, 4),
        ("even", {}, 4),
        ("consecutive", {"step": 3}, 8),
    ],
)
def test_from_how_many_frames_on_none_repeats(policy, options, least):
    clip = ClipSpec(segments=4, flow_length=2)
    sampling = Sampling(policy=policy, **options)
    lengths = np.arange(2, 14)
    expected = [n < least for n in lengths.tolist()]
    assert sampling.repeats(lengths, clip).tolist() == expected
    for n in lengths:
        frames = sampling.frames(n, clip).numpy()
        assert (len(set(frames)) < 4) == expected[n - 2], (n, frames)


def test_places():
    needs = {policy: Sampling(policy=policy).places(100, BOTH) for policy in POLICIES}
    # L = 4 pairs behind each of two frames, where the flow must lie within the video
    assert needs == {"segments": 95, "strided": 99, "even": 99, "intervals": 96, "consecutive": 99}
    assert Sampling(policy="even").places(100, RGB) == 99 + 1


def test_a_part_of_the_video_in_training_and_all_of_it_in_a_test():
    policy = Sampling(policy="even", parts=8)
    seen = set()
    for seed in range(60):
        chosen = policy.frames(480, RGB, drawn(seed), training=True).numpy()
        (part,) = set(chosen // 60)
        seen.add(int(part))
        assert (chosen % 60 // 10).tolist() == [0, 1, 2, 3, 4, 5]
    assert seen == set(range(8))
    assert policy.frames(480, RGB).numpy().tolist() == [40, 120, 200, 280, 360, 440]


def test_segments_of_a_random_test_lie_in_parts_of_their_own():
    """Where `parts` counted as in training, all sixteen would lie in one."""
    tested = dataclasses.replace(RGB, segments=16)
    policy = Sampling(policy="even", parts=16)
    drawings = [policy.frames(960, tested, drawn(seed)).numpy() for seed in range(3)]
    for chosen in drawings:
        assert (chosen // 60).tolist() == [segment for segment in range(16) for _ in range(6)]
        assert (chosen % 60 // 10).tolist() == [0, 1, 2, 3, 4, 5] * 16
    assert len({tuple(chosen) for chosen in drawings}) == 3


def test_parts_want_longer_videos_in_training():
    """16 parts of 6 frames; in a video of 24 a part has less than two."""
    policy, lengths = Sampling(policy="even", parts=16), np.array([5, 6, 24, 95, 96])
    assert policy.repeats(lengths, RGB).tolist() == [True, False, False, False, False]
    found = policy.repeats(lengths, RGB, training=True)
    assert found.tolist() == [True, True, True, True, False]
    chosen = policy.frames(24, RGB, drawn(), training=True).numpy()
    assert len(set(chosen)) <= 3


def test_streams_that_see_other_images_see_the_same_moments():
    flow = dataclasses.replace(BOTH, modalities=("flow",))
    for policy in POLICIES:
        for clip in (BOTH, flow):
            assert frames(policy, 90, BOTH, drawn(4)) == frames(policy, 90, clip, drawn(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "random"}, r"`policy` must be one of .*Received: policy='random'"),
        ({"interval": (3, 2)}, r"1 <= low <= high. Received: interval=\(3, 2\)"),
        ({"interval": (0, 2)}, "1 <= low"),
        ({"parts": 8}, "`parts` must be at least 1, and 1 for another policy than 'even'"),
        ({"policy": "even", "parts": 0}, "Received: parts=0, policy='even'"),
        ({"policy": "even", "step": 2}, "another policy than 'consecutive'. Received: step=2"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)
