"""Attention of the modalities on each other: equations 11 and 12, invariants of section 4.4."""

import keras
import numpy as np
import pytest

from vidrec.models.layers.cross_modal_attention import CrossModalAttention

SHAPE = (2, 3, 2, 2, 16)  # B, T, h, w, D: 12 nodes
NODES = 12


@pytest.fixture(scope="module")
def pair():
    """Non-negative features of RGB and flow, unlike in size."""
    rng = np.random.default_rng(4)
    features = rng.normal(0.3, 1, size=(2, *SHAPE)), rng.normal(0.1, 2, size=(2, *SHAPE))
    return [np.maximum(x[0], 0).astype(np.float32) for x in features]


def attend(pair, **options):
    layer = CrossModalAttention(**{"num_heads": 4, "return_attention": True, **options})
    return [np.asarray(x, np.float32) for x in layer(*pair)]


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def by_hand(pair, heads=4, scale="fro", literal=False):
    """Equations 11 and 12, one sample and one head at a time."""
    rgb, flow = (x.reshape(2, NODES, 16).astype(float) for x in pair)
    results, width = [np.zeros_like(rgb), np.zeros_like(rgb)], 16 // heads
    for b in range(2):
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            r, f = rgb[b, :, own], flow[b, :, own]
            scores = r @ f.T
            scaled = scores / (np.sqrt(np.linalg.norm(scores)) if scale == "fro" else width**0.5)
            results[0][b, :, own] = softmax(scaled) @ f
            results[1][b, :, own] = softmax(scaled if literal else scaled.T) @ r
    return [x.reshape(SHAPE) for x in results]


@pytest.mark.parametrize("heads", [1, 4, 16])
@pytest.mark.parametrize("scale", ["fro", "sqrt_dim"])
def test_equations_11_and_12_written_out(pair, heads, scale):
    found = attend(pair, num_heads=heads, scale=scale)
    for result, wanted in zip(found, by_hand(pair, heads, scale), strict=False):
        assert np.ptp(wanted, axis=(1, 2, 3)).max() > 0.05
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-5)


def test_equation_12_as_it_is_printed(pair):
    """The misprint would not crash: both modalities have the same nodes."""
    rgb, flow, of_rgb, of_flow = attend(pair, literal_eq12=True)
    wanted = by_hand(pair, literal=True)
    np.testing.assert_allclose(rgb, wanted[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(flow, wanted[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(of_rgb, of_flow)
    assert np.abs(flow - attend(pair)[1]).max() > 0.01


def test_shares_are_of_the_nodes_that_ask(pair):
    rgb, _, of_rgb, of_flow = attend(pair)
    assert of_rgb.shape == of_flow.shape == (2, 4, NODES, NODES)
    for shares in (of_rgb, of_flow):
        np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)
        assert np.abs(shares.sum(axis=-2) - 1).max() > 0.01
    flow = pair[1].reshape(2, NODES, 4, 4)
    np.testing.assert_allclose(
        np.einsum("bhij,bjhd->bihd", of_rgb, flow).reshape(SHAPE), rgb, rtol=1e-4, atol=1e-5
    )


def test_the_other_modality_s_nodes_may_be_shuffled(pair):
    order = np.random.default_rng(0).permutation(NODES)
    flow = pair[1].reshape(2, NODES, 16)[:, order].reshape(SHAPE)
    plain, turned = attend(pair), attend([pair[0], flow])
    np.testing.assert_allclose(turned[0], plain[0], atol=1e-5)
    wanted = plain[1].reshape(2, NODES, 16)[:, order].reshape(SHAPE)
    np.testing.assert_allclose(turned[1], wanted, atol=1e-5)
    assert np.abs(turned[1] - plain[1]).max() > 0.01


def test_modalities_change_places(pair):
    plain, turned = attend(pair), attend(pair[::-1])
    for one, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        np.testing.assert_allclose(turned[one], plain[other], rtol=1e-5, atol=1e-6)


def test_results_lie_within_the_other_modality(pair):
    for result, other in zip(attend(pair), pair[::-1], strict=False):
        nodes = other.reshape(2, NODES, 16)
        low, high = (f(axis=1)[:, None] for f in (nodes.min, nodes.max))
        assert (result.reshape(2, NODES, 16) >= low - 1e-5).all()
        assert (result.reshape(2, NODES, 16) <= high + 1e-5).all()


def test_the_printed_scale_makes_attention_nearly_even():
    """Row V12 of the decision table: entropies of 5.6824 and 5.6471 nats, ln 294 = 5.6836.

    How large its features are, it does not say; at 0.797 both come out.
    """
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.797, size=(2, 1, 6, 7, 7, 2048))
    pair = np.maximum(noise, 0).astype(np.float32)
    for scale, wanted in (("fro", 5.6824), ("sqrt_dim", 5.6471)):
        shares = attend(pair, num_heads=8, scale=scale)[2]
        entropy = -(shares * np.log(shares)).sum(axis=-1).mean()
        assert abs(entropy - wanted) < 5e-4


def test_nothing_in_gives_even_shares_and_finite_gradients():
    """Of a black clip: 0 / 0 but for the epsilon."""
    import tensorflow as tf

    x = tf.Variable(np.zeros(SHAPE, np.float32))
    layer = CrossModalAttention(4, return_attention=True)
    with tf.GradientTape() as tape:
        rgb, _, shares, _ = layer(x, x)
        loss = tf.reduce_sum(rgb)
    np.testing.assert_allclose(shares, 1 / NODES)
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_no_weights_unless_projections_are_asked_for(pair):
    layer = CrossModalAttention(4)
    assert len(layer(*pair)) == 2
    assert not layer.weights
    projected = CrossModalAttention(4, projections=True)
    projected(*pair)
    assert projected.count_params() == 8 * 16 * 16
    # With identities they are not there.
    projected.set_weights([np.eye(16)] * 8)
    for one, other in zip(projected(*pair), layer(*pair), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_each_projection_is_of_its_own_direction(pair):
    layer = CrossModalAttention(4, projections=True)
    plain = [np.asarray(x) for x in layer(*pair)]
    for weight in layer.weights:
        kept = np.array(weight)
        weight.assign(np.random.default_rng(1).normal(size=kept.shape))
        changed = [np.abs(x - y).max() > 1e-3 for x, y in zip(layer(*pair), plain, strict=True)]
        assert changed == [weight.name.startswith("rgb"), weight.name.startswith("flow")]
        weight.assign(kept)
    names = [weight.name for weight in layer.weights]
    assert names[:4] == ["rgb_query_kernel", "rgb_key_kernel", "rgb_value_kernel",
                         "rgb_output_kernel"]  # fmt: skip


def test_residual(pair):
    for plain, added, own in zip(attend(pair), attend(pair, residual=True), pair, strict=False):
        np.testing.assert_allclose(added, plain + own, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_scores_and_softmax_are_float32(pair, policy):
    """Features of some 100 make scores that float16 cannot hold."""
    half = policy.removeprefix("mixed_")
    large = [keras.ops.cast(keras.ops.cast(100 * x, half), "float32") for x in pair]
    found, wanted = attend(large, dtype=policy), attend(large)
    for shares, others in zip(found[2:], wanted[2:], strict=True):
        np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)
        np.testing.assert_allclose(shares, others, atol=1e-5)
    for result, other in zip(found[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(result, other, rtol=0.02, atol=2)
    layer = CrossModalAttention(4, dtype=policy, return_attention=True)
    outputs = layer(*(keras.Input(SHAPE[1:]) for _ in pair))
    assert [x.dtype for x in outputs] == [half, half, "float32", "float32"]
    assert [x.shape for x in outputs[1:3]] == [(None, *SHAPE[1:]), (None, 4, NODES, NODES)]
    assert [x.dtype for x in layer(*pair)] == [half, half, "float32", "float32"]


def test_config_goes_round():
    layer = CrossModalAttention(2, "sqrt_dim", True, True, False, True, name="mff")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, CrossModalAttention)
    assert again.get_config() == layer.get_config()
    assert (again.num_heads, again.scale) == (2, "sqrt_dim")
    assert (again.literal_eq12, again.residual, again.projections) == (True, True, False)
    assert CrossModalAttention(projections=True).get_config()["projections"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be an integer >= 1. Received: num_heads=0"),
        ({"num_heads": 5}, "`num_heads` must divide the 16 features. Received: num_heads=5"),
        ({"scale": "max"}, r"`attn_scale` must be one of \('fro', 'sqrt_dim'\).*='max'"),
        ({"literal_eq12": True, "projections": True}, "one score matrix twice.*makes two"),
    ],
)
def test_options_out_of_range_are_refused(pair, options, message):
    with pytest.raises(ValueError, match=message):
        attend(pair, **options)


def test_what_does_not_go_together_is_refused(pair):
    rgb, flow = pair
    layer = CrossModalAttention(4)
    layer(rgb, flow)
    with pytest.raises(ValueError, match="hold the same videos. Received: 2 and 1 of them"):
        layer(rgb, flow[:1])
    with pytest.raises(ValueError, match="hold the same videos. Received: 1 and 2 of them"):
        layer(rgb[:1], flow)
    with pytest.raises(ValueError, match=r"the same shape.*\(2, 3, 2, 2, 16\) and \(2, 2, 2, 2, 1"):
        CrossModalAttention(4)(rgb, flow[:, :2])
