"""HST's attentions against its equations 10 to 17, computed anew in NumPy."""

import keras
import numpy as np
import pytest

from tests.models.hst_reference import gelu
from tests.models.small_hst import normal, peaks
from vidrec.models.layers.hybrid_attention import HybridAttention, expand, split
from vidrec.models.layers.spatial_feature_attention import SpatialFeatureAttention


@pytest.fixture
def rng():
    keras.utils.set_random_seed(2)
    return np.random.default_rng(5)


def test_spatial_attention_is_equations_10_to_12(rng):
    maps, layer = normal(rng, 2, 2, 4, 5, 3), SpatialFeatureAttention()
    found = np.asarray(layer(maps))
    gamma = gelu(maps[:, 0]) * gelu(maps[:, 1])
    np.testing.assert_allclose(layer.fused(maps), gamma, atol=1e-5)
    beta = np.asarray(layer.scores(maps))
    np.testing.assert_allclose(beta.sum(axis=(1, 2)), 1, atol=1e-6)
    np.testing.assert_allclose(
        beta, np.exp(gamma) / np.exp(gamma).sum(axis=(1, 2), keepdims=True), atol=1e-6
    )
    kernel, bias = (np.asarray(w) for w in layer.dense.weights)
    assert kernel.shape == (6, 3)
    np.testing.assert_allclose(
        found, np.concatenate([beta, gamma], axis=-1) @ kernel + bias, atol=1e-5
    )


def test_split_keeps_every_value_and_expand_the_shape(rng):
    maps = normal(rng, 2, 14, 14, 128)
    b1, b2 = (np.asarray(b) for b in split(maps))
    assert b1.shape == b2.shape == (2, 7, 7, 256)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([b1, b2], axis=-1), axis=None), np.sort(maps, axis=None)
    )
    np.testing.assert_array_equal(b1[1, 2, 3], maps[1, 4, 6:8].reshape(-1))
    np.testing.assert_array_equal(b2[1, 2, 3], maps[1, 5, 6:8].reshape(-1))
    wide = np.asarray(expand(b1))
    assert wide.shape == maps.shape
    np.testing.assert_array_equal(wide[..., ::2], wide[..., 1::2])
    np.testing.assert_array_equal(wide[1, 5, 6, ::2], b1[1, 2, 3, 2 * 64 : 3 * 64])


@pytest.mark.parametrize("order", ["softmax_then_t", "t_inside"])
@pytest.mark.parametrize("axis", ["channels", "positions"])
@pytest.mark.parametrize("gain", [True, False])
@pytest.mark.parametrize("fuse", ["add", "matmul"])
def test_hybrid_attention_is_equations_13_to_17(rng, axis, gain, order, fuse):
    height = 4 if fuse == "add" else 6
    maps, t = normal(rng, 2, height, 6, 8), normal(rng, 2, height, 6, 8)
    layer = HybridAttention(axis=axis, gain=gain, order=order, fuse=fuse)
    found = np.asarray(layer(maps, t))
    final = []
    for branch, dense in zip(split(maps), layer.dense, strict=True):
        kernel, bias = (np.asarray(w) for w in dense.weights)
        assert kernel.shape == (16, 16)
        pooled = np.stack([peaks(np.asarray(one)) for one in branch])
        final.append(np.asarray(expand(pooled @ kernel + bias)))
    w1, w2 = (np.asarray(w) for w in layer.kernels)
    first, second = final[0] @ w1, final[1] @ w2
    if fuse == "matmul":  # as PyTorch's, of channels first
        product = first.transpose(0, 3, 1, 2) @ second.transpose(0, 3, 1, 2)
        first, second = product.transpose(0, 2, 3, 1), 0
    logits = (first + second) / np.sqrt(8)
    np.testing.assert_allclose(layer.logits(maps), logits, atol=1e-4)
    axes = 3 if axis == "channels" else (1, 2)
    powers = np.exp(logits * t if order == "t_inside" else logits)
    wanted = (
        powers / powers.sum(axis=axes, keepdims=True) * ((8 if axes == 3 else 6 * height) ** gain)
    )
    wanted = wanted if order == "t_inside" else wanted * t
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(np.asarray(layer.scores(maps)).sum(axis=axes), 1, atol=1e-6)


def test_nothing_moves_nothing_is_weighted(rng):
    maps = normal(rng, 2, 4, 6, 8)
    np.testing.assert_array_equal(HybridAttention()(maps, np.zeros_like(maps)), 0)


def test_one_dense_layer_for_both_branches(rng):
    maps, t = normal(rng, 2, 4, 6, 8), normal(rng, 2, 4, 6, 8)
    shared, apart = HybridAttention(share_fc=True), HybridAttention()
    shared(maps, t), apart(maps, t)
    assert (len(shared.weights), len(apart.weights)) == (4, 6)
    for dense in apart.dense:
        dense.set_weights(shared.dense[0].get_weights())
    for mine, theirs in zip(apart.kernels, shared.kernels, strict=True):
        mine.assign(theirs)
    np.testing.assert_array_equal(shared(maps, t), apart(maps, t))


def test_hybrid_attention_refuses(rng):
    with pytest.raises(ValueError, match=r"`axis` must be one of \('channels', 'positions'\)"):
        HybridAttention(axis="time")
    with pytest.raises(ValueError, match="order='t_first'"):
        HybridAttention(order="t_first")
    with pytest.raises(ValueError, match=r"even height.*\(None, 7, 6, 8\)"):
        HybridAttention().build((None, 7, 6, 8), (None, 7, 6, 8))
    with pytest.raises(ValueError, match=r"fuse='matmul' takes square maps.*\(None, 4, 6, 8\)"):
        HybridAttention(fuse="matmul").build((None, 4, 6, 8), (None, 4, 6, 8))
    with pytest.raises(ValueError, match="temporal feature's shape"):
        HybridAttention().build((None, 4, 6, 8), (None, 4, 6, 4))
    maps = normal(rng, 3, 4, 6, 8)
    with pytest.raises(ValueError, match="hold the same videos. Received: 3 and 1 of them"):
        HybridAttention()(maps, maps[:1])
