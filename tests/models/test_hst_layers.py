"""HST's own layers against its equations 2 to 9, computed anew in NumPy and by other layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_hst import normal, peaks
from vidrec.models.layers.channel_shuffle import ChannelShuffle
from vidrec.models.layers.hierarchical_mix import HierarchicalMix
from vidrec.models.layers.hybrid_attention import HybridAttention
from vidrec.models.layers.per_window_conv3d import PerWindowConv3D
from vidrec.models.layers.spatial_feature_attention import SpatialFeatureAttention
from vidrec.models.layers.visual_window import SpatialVisualWindow


@pytest.fixture
def rng():
    keras.utils.set_random_seed(2)
    return np.random.default_rng(5)


def test_channel_shuffle():
    order = np.arange(64, dtype=np.float32)[None, None]
    found = np.asarray(ChannelShuffle(8)(order))[0, 0]
    assert list(found[:10]) == [0, 8, 16, 24, 32, 40, 48, 56, 1, 9]
    three, eight = order[..., :3], order[..., :8]
    np.testing.assert_array_equal(ChannelShuffle(3)(three), three)  # of RGB, nothing [H5]
    once = ChannelShuffle(2)(eight)
    assert np.abs(np.asarray(once) - eight).max() > 0
    np.testing.assert_array_equal(ChannelShuffle(4)(once), eight)


def test_channel_shuffle_refuses():
    with pytest.raises(ValueError, match="groups=3, 8 channels"):
        ChannelShuffle(3).build((None, 8))
    with pytest.raises(ValueError, match="at least 1. Received: groups=0"):
        ChannelShuffle(0)


def test_visual_window_is_equations_2_to_5(rng):
    maps = normal(rng, 2, 6, 4, 5, 3)
    found = np.asarray(SpatialVisualWindow(epsilon=0.1)(maps))
    assert found.shape == (2, 3, 4, 5, 3)
    for video in range(2):
        for window in range(3):
            a, b = maps[video, 2 * window : 2 * window + 2].astype(np.float64)
            u = np.abs(a - b).mean()
            sigma = 0.5 * (((a - u) ** 2).mean() + ((b - u) ** 2).mean())
            np.testing.assert_allclose(
                found[video, window], (a + b - u) / np.sqrt(sigma + 0.1), atol=1e-5
            )


def test_visual_window_does_not_know_which_frame_came_first(rng):
    maps = normal(rng, 2, 16, 4, 4, 3)
    swapped = maps.reshape(2, 8, 2, 4, 4, 3)[:, :, ::-1].reshape(maps.shape)
    svn = SpatialVisualWindow()
    np.testing.assert_array_equal(svn(maps), svn(swapped))


def test_visual_window_of_equal_and_of_empty_frames_is_finite(rng):
    same = normal(rng, 1, 1, 4, 4, 3).repeat(2, axis=1)
    for norm in ("mean", "frobenius"):
        svn = SpatialVisualWindow(norm=norm)
        for maps in (same, np.zeros_like(same)):
            maps = tf.constant(maps)
            with tf.GradientTape() as tape:
                tape.watch(maps)
                out = svn(maps)
            assert np.isfinite(out).all()
            assert np.isfinite(tape.gradient(out, maps)).all()


def test_frobenius_norms_leave_nothing(rng):
    """[H9]: with the mean, deviations near 1; with sums over the map, 10^-4 of that."""
    maps = normal(rng, 1, 2, 56, 56, 32)
    assert 0.5 < np.std(SpatialVisualWindow()(maps)) < 2
    assert np.std(SpatialVisualWindow(norm="frobenius")(maps)) < 1e-4


def test_visual_window_s_noise_is_of_training_alone(rng):
    maps = normal(rng, 2, 4, 4, 4, 3)
    quiet, noisy = SpatialVisualWindow(), SpatialVisualWindow(noise_std=5.0)
    np.testing.assert_array_equal(noisy(maps), quiet(maps))
    first, second = (np.asarray(noisy(maps, training=True)) for _ in range(2))
    assert np.isfinite(first).all()
    assert np.abs(first - second).max() > 0.01
    assert (np.abs(first) <= np.abs(np.asarray(quiet(maps))) + 1e-6).all()  # a larger divisor


def test_visual_window_refuses():
    with pytest.raises(ValueError, match=r"`norm` must be one of .*norm='l1'"):
        SpatialVisualWindow(norm="l1")
    with pytest.raises(ValueError, match="epsilon=0.0, noise_std=0.0"):
        SpatialVisualWindow(epsilon=0.0)
    with pytest.raises(ValueError, match="two frames each. Received: T=5"):
        SpatialVisualWindow().build((None, 5, 4, 4, 3))


def mix_inputs(rng, windows=8, channels=6):
    s, p = normal(rng, 2, windows, 4, 5, channels), normal(rng, 2, windows, 4, 5, channels)
    return s, p, 1 / (1 + np.exp(-normal(rng, 2, windows, 4, 5, 1)))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("hierarchy", ["input", "output"])
@pytest.mark.parametrize("share", [False, True])
def test_hierarchical_mix_is_equations_7_to_9(rng, share, hierarchy, hard):
    s, p, m = mix_inputs(rng)
    mix = HierarchicalMix(share=share, hierarchy=hierarchy, hard_mask=hard, leaky_slope=0.2)
    found = np.asarray(mix(s, p, m))
    kernel, gate = (np.asarray(w) for w in mix.weights)
    assert (kernel.shape, gate.shape) == (((1 if share else 8), 6, 6), ((1 if share else 8), 6))
    m = (m > 0.5).astype(np.float32) if hard else m
    before = np.zeros_like(s[0, 0])
    for window in range(8):
        w, g = kernel[0 if share else window], gate[0 if share else window]
        delta = (1 - m[0, window]) * p[0, window] + m[0, window] * (p[0, window] * g)
        product = delta @ w
        wanted = peaks(p[0, window] @ w) + np.where(product > 0, product, 0.2 * product) + before
        np.testing.assert_allclose(found[0, window], wanted, atol=1e-5)
        before = wanted if hierarchy == "output" else s[0, window]


def test_a_window_reaches_the_next_one_alone(rng):
    s, p, m = mix_inputs(rng)
    mix = HierarchicalMix()
    before = np.asarray(mix(s, p, m))
    s[:, 4] += 1  # s_5
    changed = np.abs(np.asarray(mix(s, p, m)) - before).max(axis=(0, 2, 3, 4))
    np.testing.assert_allclose(changed, [0, 0, 0, 0, 0, 1, 0, 0], atol=1e-5)  # out_6
    recursive = HierarchicalMix(hierarchy="output")
    before = np.asarray(recursive(s, p, m))
    p[:, 4] += 1
    changed = np.abs(np.asarray(recursive(s, p, m)) - before).max(axis=(0, 2, 3, 4))
    assert (changed[:4] == 0).all()
    assert changed[4:].min() > 0.01


def test_the_mask_learns_from_the_start(rng):
    """[H18]: with gates of exactly 1 it would mean nothing."""
    s, p, m = (tf.constant(x) for x in mix_inputs(rng))
    for hard in (False, True):
        mix = HierarchicalMix(hard_mask=hard)
        with tf.GradientTape() as tape:
            tape.watch(m)
            loss = tf.reduce_sum(mix(s, p, m) ** 2)
        assert np.abs(tape.gradient(loss, m)).max() > 1e-3
        mix.gate.assign(np.ones(mix.gate.shape))
        with tf.GradientTape() as tape:
            tape.watch(m)
            loss = tf.reduce_sum(mix(s, p, m) ** 2)
        assert np.abs(tape.gradient(loss, m)).max() == 0


def test_kernels_of_windows_start_as_glorot_s_of_one():
    keras.utils.set_random_seed(4)
    mix, conv = HierarchicalMix(), PerWindowConv3D(32)
    mix.build((None, 8, 4, 4, 64), (None, 8, 4, 4, 64), (None, 8, 4, 4, 1))
    conv.build((None, 8, 4, 4, 16))
    np.testing.assert_allclose(np.abs(mix.kernel).max(), np.sqrt(6 / 128), rtol=0.01)
    np.testing.assert_allclose(np.abs(conv.kernel).max(), np.sqrt(6 / (27 * 16 + 9 * 32)), rtol=0.1)


def test_hierarchical_mix_refuses():
    with pytest.raises(ValueError, match="hierarchy='both', leaky_slope=0.01"):
        HierarchicalMix(hierarchy="both")
    with pytest.raises(ValueError, match="leaky_slope=-1"):
        HierarchicalMix(leaky_slope=-1)


def test_per_window_convolution_is_eight_convolutions(rng):
    maps, layer = normal(rng, 2, 8, 6, 5, 3), PerWindowConv3D(4)
    layer.build(maps.shape)
    layer.bias.assign(normal(rng, 8, 4))
    found = np.asarray(layer(maps))
    assert found.shape == (2, 8, 6, 5, 4)
    for window in range(8):
        conv = keras.layers.Conv3D(4, 3, padding="same")
        conv.build(maps.shape)
        kernel = np.asarray(layer.kernel[window]).reshape(3, 3, 3, 3, 4)  # (h, w, depth, C, F)
        conv.set_weights([kernel.transpose(2, 0, 1, 3, 4), np.asarray(layer.bias[window])])
        np.testing.assert_allclose(found[:, window], np.asarray(conv(maps))[:, window], atol=1e-5)


def test_per_window_convolution_of_two_windows_and_none(rng):
    maps = normal(rng, 1, 2, 4, 4, 3)
    assert PerWindowConv3D(4)(maps).shape == (1, 2, 4, 4, 4)
    with pytest.raises(ValueError, match="at least 1. Received: filters=0"):
        PerWindowConv3D(0)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (ChannelShuffle(4), [(2, 3, 3, 8)]),
        (SpatialVisualWindow(epsilon=1e-3, norm="frobenius"), [(2, 4, 3, 3, 8)]),
        (
            HierarchicalMix(share=True, hierarchy="output", hard_mask=True, leaky_slope=0.3),
            [(2, 4, 3, 3, 8)] * 2 + [(2, 4, 3, 3, 1)],
        ),
        (PerWindowConv3D(5), [(2, 4, 3, 3, 8)]),
        (SpatialFeatureAttention(), [(2, 2, 4, 4, 8)]),
        (
            HybridAttention(
                axis="positions", gain=False, order="t_inside", fuse="matmul", share_fc=True
            ),
            [(2, 4, 4, 8)] * 2,
        ),
    ],
)
def test_layers_say_their_shape_and_their_options(rng, layer, shapes):
    inputs = [normal(rng, *shape) for shape in shapes]
    out = layer(*inputs)
    assert layer.compute_output_shape(*shapes) == tuple(out.shape)
    again = type(layer).from_config(layer.get_config())
    again.build(*shapes)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(*inputs), out)
    registered = keras.saving.get_registered_name(type(layer))
    assert registered == f"vidrec>{type(layer).__name__}"
