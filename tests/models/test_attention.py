"""The attention layers against the paper's equations, written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vidrec.models.layers.attention import SpatialAttentionPool, TemporalAttentionPool

B, T, H, W, D, A, J = 2, 3, 4, 5, 6, 7, 2


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def normal(rng, *shape, scale=1.0):
    return rng.normal(0, scale, shape).astype(np.float32)


def test_temporal_scores_and_feature(rng):
    """Equations 2 and 3, with the mean over the 256 softmaxes as a frame's score."""
    frames, logits = normal(rng, B, T, D), normal(rng, B, T, A, scale=2)
    feature, scores = np.zeros((B, D)), np.zeros((B, T))
    for b in range(B):
        for c in range(A):
            scores[b] += np.exp(logits[b, :, c]) / np.exp(logits[b, :, c]).sum() / A
        feature[b] = sum(scores[b, i] * frames[b, i] for i in range(T))
    pool = TemporalAttentionPool()
    np.testing.assert_allclose(pool.scores(logits), scores, rtol=1e-5)
    np.testing.assert_allclose(pool(frames, logits), feature, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ops.sum(pool.scores(logits), axis=1), 1, atol=1e-6)
    assert np.ptp(scores) > 0.1


def test_temporal_channel_mode_weights_each_feature_alone(rng):
    frames, logits = normal(rng, B, T, D), normal(rng, B, T, D, scale=2)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    pool = TemporalAttentionPool("channel")
    np.testing.assert_allclose(pool(frames, logits), (shares * frames).sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(pool.scores(logits), shares.mean(axis=-1), atol=1e-6)
    mean = TemporalAttentionPool("mean")(frames, logits)
    assert np.abs(np.asarray(mean) - (shares * frames).sum(axis=1)).max() > 0.1


def test_equal_frames_get_equal_scores(rng):
    logits = np.repeat(normal(rng, B, 1, A), 25, axis=1)
    np.testing.assert_allclose(TemporalAttentionPool().scores(logits), 1 / 25, rtol=1e-6)


@pytest.mark.parametrize(
    ("agg", "factor"), [("sum", 1), ("mean", 1 / T), ("sum_ref", 6 / T)], ids=lambda x: str(x)
)
def test_spatial_scores_and_features(rng, agg, factor):
    """Equations 6 and 7: a softmax over the cells of each frame, a sum over cells and frames."""
    cells, logits = normal(rng, B, T, H, W, D), normal(rng, B, T, H, W, J, scale=2)
    features, scores = np.zeros((B, J, D)), np.zeros(logits.shape)
    for b, i, j in np.ndindex(B, T, J):
        powers = np.exp(logits[b, i, :, :, j])
        scores[b, i, :, :, j] = powers / powers.sum()
        features[b, j] += (scores[b, i, :, :, j, None] * cells[b, i]).sum(axis=(0, 1))
    pool = SpatialAttentionPool(agg)
    np.testing.assert_allclose(pool.scores(logits), scores, rtol=1e-5)
    np.testing.assert_allclose(pool(cells, logits), factor * features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ops.sum(pool.scores(logits), axis=(2, 3)), 1, atol=1e-6)


def test_equal_spatial_logits_give_the_mean_cell_of_each_frame(rng):
    cells, logits = normal(rng, B, T, H, W, D), np.full((B, T, H, W, J), 3.0, np.float32)
    found = SpatialAttentionPool("sum")(cells, logits)
    np.testing.assert_allclose(found[:, 1], T * cells.mean(axis=(1, 2, 3)), atol=1e-5)


def test_a_shift_of_all_logits_changes_nothing(rng):
    cells, logits = normal(rng, B, T, H, W, D), normal(rng, B, T, H, W, J)
    pool = SpatialAttentionPool()
    np.testing.assert_allclose(pool(cells, logits + 1000), pool(cells, logits), atol=1e-3)


@pytest.mark.parametrize(("agg", "growth"), [("sum_ref", 1), ("mean", 1), ("sum", 25 / 6)])
def test_the_sum_grows_with_frames_and_the_others_do_not(rng, agg, growth):
    frame, logits = normal(rng, B, 1, H, W, D), normal(rng, B, 1, H, W, J)
    pool = SpatialAttentionPool(agg)
    six, more = (pool(frame.repeat(t, 1), logits.repeat(t, 1)) for t in (6, 25))
    np.testing.assert_allclose(more, growth * np.asarray(six), atol=1e-4)


def small_model():
    frames, cells = keras.Input((None, D)), keras.Input((None, H, W, D))
    channels, logits = keras.Input((None, D)), keras.Input((None, H, W, J))
    temporal = TemporalAttentionPool("channel", name="t")(frames, channels)
    spatial = SpatialAttentionPool("sum_ref", ref_frames=4, name="s")(cells, logits)
    return keras.Model([frames, cells, channels, logits], [temporal, spatial])


def test_any_number_of_frames_and_saved_options(rng, tmp_path):
    model = small_model()
    assert [tuple(x.shape) for x in model.outputs] == [(None, D), (None, J, D)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.get_layer("t").mode == "channel"
    assert (loaded.get_layer("s").agg, loaded.get_layer("s").ref_frames) == ("sum_ref", 4)
    for t in (1, 9):  # one frame is no error and no warning
        shapes = [(B, t, D), (B, t, H, W, D), (B, t, D), (B, t, H, W, J)]
        given = [normal(rng, *shape) for shape in shapes]
        for found, wanted in zip(loaded(given), model(given), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_float32_under_a_mixed_policy(rng):
    """Scores that differ by 1e-4 in 200 are equal in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        pools = TemporalAttentionPool(), SpatialAttentionPool()
    finally:
        keras.config.set_dtype_policy("float32")
    logits = 200 + normal(rng, B, T, A, scale=0.01)
    assert pools[0](normal(rng, B, T, D), logits).dtype == "float32"
    assert len(np.unique(pools[0].scores(logits)[0])) == T
    cells = normal(rng, B, T, H, W, D).astype(np.float16)
    found = pools[1](cells, normal(rng, B, T, H, W, J).astype(np.float16))
    assert found.dtype == "float32"


def test_options_out_of_range_are_refused(rng):
    with pytest.raises(ValueError, match=r"`mode` must be one of .*Received: mode='max'"):
        TemporalAttentionPool("max")
    with pytest.raises(ValueError, match="Received: 6 features, 7 logits"):
        TemporalAttentionPool("channel")(normal(rng, B, T, D), normal(rng, B, T, A))
    with pytest.raises(ValueError, match=r"`agg` must be one of .*Received: agg='max'"):
        SpatialAttentionPool("max")
    with pytest.raises(ValueError, match="`ref_frames` at least 1. Received: .*ref_frames=0"):
        SpatialAttentionPool(ref_frames=0)
