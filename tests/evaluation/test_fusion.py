import numpy as np
import pytest

from vidrec.evaluation.fusion import average_scores, fuse
from vidrec.evaluation.scores import Scores

V, N = 9, 5
CLASSES = tuple(f"class_{n}" for n in range(N))
LABEL = np.random.default_rng(0).integers(0, N, V)


def stream(seed, name="spatial", **changes):
    """Random logits of the same V videos, in an order that differs with the seed."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(V)
    stamp = {"experiment": "e1", "stream": name, "protocol": "3x1", "split": "official1"}
    given = {
        "video_id": np.array([f"v{i}" for i in range(V)])[order],
        "logits": rng.normal(scale=3, size=(V, N)),
        "label": LABEL[order],
        "classes": CLASSES,
        "stamp": stamp,
    }
    return Scores(**{**given, **changes})


def by_id(scores):
    return dict(zip(scores.video_id.tolist(), scores.logits.astype(np.float64), strict=True))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_paper_sums_one_spatial_and_one_and_a_half_temporal():
    spatial, temporal = stream(1), stream(2, "temporal")
    assert spatial.video_id.tolist() != temporal.video_id.tolist()
    fused = fuse([spatial, temporal], (1, 1.5))
    s, t = by_id(spatial), by_id(temporal)
    expected = np.stack([s[name] + 1.5 * t[name] for name in spatial.video_id])
    np.testing.assert_allclose(fused.logits, expected, rtol=1e-6, atol=1e-6)
    assert fused.video_id.tolist() == spatial.video_id.tolist()
    np.testing.assert_array_equal(fused.label, spatial.label)


def test_normalize_divides_by_the_sum_of_the_weights():
    streams = [stream(seed) for seed in (1, 2, 3)]
    plain = fuse(streams, [1, 1.5, 0.25])
    mean = fuse(streams, [1, 1.5, 0.25], normalize=True)
    np.testing.assert_allclose(mean.logits * 2.75, plain.logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
def test_probabilities_are_averaged(normalize):
    streams = [stream(seed) for seed in (4, 5, 6)]
    weights = np.array([1, 1.5, 0])
    fused = fuse(streams, weights, on="probabilities", normalize=normalize)
    tables = [by_id(one) for one in streams]
    total = np.stack(
        [
            sum(w * softmax(table[name]) for w, table in zip(weights, tables, strict=True))
            for name in streams[0].video_id
        ]
    )
    np.testing.assert_allclose(softmax(fused.logits), total / 2.5, rtol=1e-5, atol=1e-7)
    scale = 2.5 if normalize else 1
    np.testing.assert_allclose(np.exp(fused.logits), total / scale, rtol=1e-5, atol=1e-7)


def test_tiny_probabilities_stay_finite():
    logits = np.random.default_rng(7).normal(scale=2e3, size=(V, N))
    fused = fuse([stream(7, logits=logits)], [1], on="probabilities")
    np.testing.assert_array_equal(fused.logits.argmax(axis=1), logits.argmax(axis=1))
    assert fused.logits.min() < -1000


def test_logits_and_probabilities_can_disagree():
    """One sure stream against one that leans: the two readings are not the same rule."""
    ids = {"video_id": ["a"], "label": [0], "classes": ["x", "y"]}
    sure = stream(1, **ids, logits=[[9.0, 0.0]])
    leans = stream(2, **ids, logits=[[0.0, 3.0]])
    assert fuse([sure, leans], (1, 1.5)).logits.argmax() == 0
    assert fuse([sure, leans], (1, 1.5), on="probabilities").logits.argmax() == 1


def test_stamp_records_the_parents_and_a_fusion_can_be_fused():
    spatial, temporal = stream(1), stream(2, "temporal")
    fused = fuse([spatial, temporal], (1, 1.5), normalize=True)
    assert fused.stamp == {
        "experiment": "e1",
        "stream": "fusion",
        "protocol": "3x1",
        "split": "official1",
        "fusion": {
            "weights": [1.0, 1.5],
            "on": "scores",
            "normalize": True,
            "parents": [spatial.stamp, temporal.stamp],
        },
    }
    again = fuse([fused, stream(3, "warped")], (1, 1))
    assert again.stamp["fusion"]["parents"][0] == fused.stamp


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ((1, 1.5), {"on": "softmax"}, r"`on` must be one of \('scores', .*on='softmax'"),
        ((1,), {}, r"one number per stream.*Received: weights=\(1,\) for 2 streams"),
        ((1, -1), {}, r"`weights` must be finite, >= 0 and not all 0. .*weights=\(1, -1\)"),
        ((0, 0), {}, "not all 0"),
        ((1, np.inf), {}, "must be finite"),
    ],
)
def test_options_out_of_range(weights, options, message):
    with pytest.raises(ValueError, match=message):
        fuse([stream(1), stream(2)], weights, **options)


def test_no_stream_is_refused():
    with pytest.raises(ValueError, match=r"at least one. Received: weights=\[\] for 0 streams"):
        fuse([], [])
    with pytest.raises(ValueError, match=r"`scores` must hold one or more draws. .*scores=\[\]"):
        average_scores([])


def test_differences_are_refused_and_shown():
    first, other = stream(1), stream(2)
    names = other.video_id.tolist()
    extra = [f"new{i}" for i in range(7)] + names[7:]
    swapped = (CLASSES[0], CLASSES[2], CLASSES[1], *CLASSES[3:])
    label = other.label.copy()
    label[names.index("v4")] = (LABEL[4] + 1) % N
    short = {"video_id": names[:-1], "logits": other.logits[:-1], "label": other.label[:-1]}
    cases = [
        (
            {"classes": swapped},
            r"scores\[0\] and scores\[1\] must have the same classes in the same order. Received: "
            "another order, first at position 1: 'class_1' and 'class_2'",
        ),
        (
            {"classes": (*CLASSES[:-1], "Yo")},
            r"5 and 5, of which 1 only in the first \['class_4'\] and 1 only in the second \['Yo'",
        ),
        (
            {"video_id": extra},
            r"must hold the same videos. Received: 9 and 9, of which 7 only in the first "
            r"\['v\d'(, 'v\d'){4}\] and 7 only in the second "
            r"\['new0', 'new1', 'new2', 'new3', 'new4'\]",
        ),
        (short, rf"9 and 8, of which 1 only in the first \['{names[-1]}'\] and 0 only .* \[\]"),
        (
            {"label": label},
            "the same label. Received: 1 videos with two, "
            rf"\{{'v4': \['class_{LABEL[4]}', 'class_{(LABEL[4] + 1) % N}'\]\}}",
        ),
        (
            {"stamp": {**other.stamp, "protocol": "25x10"}},
            "must have the same `protocol` in their stamps. Received: '3x1' and '25x10'",
        ),
        ({"stamp": {**other.stamp, "split": "official2"}}, "Received: 'official1' and 'official2'"),
        ({"stamp": {"protocol": "3x1"}}, "same `split` .* Received: 'official1' and None"),
    ]
    for changes, message in cases:
        for join in (lambda pair: fuse(pair, (1, 1.5)), average_scores):
            with pytest.raises(ValueError, match=message):
                join([first, stream(2, **changes)])


def test_more_videos_in_a_later_stream_are_refused_too():
    first, short = stream(1), stream(2)
    keep = {name: getattr(short, name)[:-2] for name in ("video_id", "logits", "label")}
    with pytest.raises(
        ValueError, match=r"Received: 7 and 9, of which 0 .* \[\] and 2 only in the"
    ):
        fuse([stream(2, **keep), first], (1, 1.5))


def test_an_unstamped_stream_is_refused():
    with pytest.raises(ValueError, match="same `protocol` in their stamps. .* None and None"):
        fuse([stream(1, stamp={}), stream(2, stamp={})], (1, 1.5))


def test_average_is_the_mean_of_the_draws_by_id():
    draws = [
        stream(seed, stamp={"protocol": "3x1", "split": "official1", "weights": "ab", "seed": seed})
        for seed in (0, 1, 2)
    ]
    mean = average_scores(draws)
    tables = [by_id(draw) for draw in draws]
    expected = np.stack([np.mean([t[name] for t in tables], axis=0) for name in draws[0].video_id])
    np.testing.assert_allclose(mean.logits, expected, rtol=1e-6, atol=1e-6)
    assert mean.video_id.tolist() == draws[0].video_id.tolist()
    np.testing.assert_array_equal(mean.label, draws[0].label)
    assert mean.stamp == {
        "protocol": "3x1",
        "split": "official1",
        "weights": "ab",
        "draws": [draw.stamp for draw in draws],
    }


def test_validation_and_test_do_not_mix():
    stamp = stream(1).stamp
    with pytest.raises(ValueError, match="same `side`.* Received: 'test' and 'validation'"):
        fuse([stream(1), stream(2, stamp=stamp | {"side": "validation"})], (1, 1))
    fuse([stream(1), stream(2, stamp=stamp | {"side": "test"})], (1, 1))  # an older file has none
