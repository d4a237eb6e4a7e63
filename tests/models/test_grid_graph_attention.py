"""Attention by place: the graph's edges, equations 6 to 10, and the invariants of section 4.4."""

import keras
import numpy as np
import pytest

from vidrec.models.layers.grid_graph_attention import (
    GridGraphAttention,
    geometry,
    grid_offsets,
    neighbours,
)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def build(grid=(6, 7, 7), seed=0, scale=0.5, **options):
    layer = GridGraphAttention(**options)
    layer.build((None, *grid, 4))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, scale, w.shape) for w in layer.get_weights()])
    return layer


@pytest.fixture(scope="module")
def layer():
    return build()


@pytest.fixture(scope="module")
def shares(layer):
    return np.asarray(layer.attention())


@pytest.fixture(scope="module")
def offsets():
    return grid_offsets(6, 7, 7)


# The specification's table, section 4.4: ordered pairs with self, edges, least and largest degree.
EDGES = {
    ("chebyshev", 1): (841, 396, 9, 25),
    ("chebyshev", 3): (7_569, 3_711, 27, 75),
    ("chebyshev", 6): (20_184, 9_945, 27, 125),
    ("chebyshev", 8): (28_594, 14_101, 27, 125),
    ("euclidean", 1): (501, 226, 6, 13),
    ("euclidean", 3): (3_045, 1_449, 11, 31),
    ("euclidean", 6): (7_008, 3_357, 11, 33),
    ("euclidean", 8): (9_650, 4_629, 11, 33),
    ("manhattan", 1): (501, 226, 6, 13),
    ("manhattan", 3): (2_469, 1_161, 10, 23),
    ("manhattan", 6): (5_568, 2_637, 10, 25),
    ("manhattan", 8): (7_634, 3_621, 10, 25),
}


@pytest.mark.parametrize(("neighbourhood", "frames"), EDGES)
def test_edges_of_a_7_x_7_grid(neighbourhood, frames):
    offsets = grid_offsets(frames, 7, 7)
    near = neighbours(offsets, neighbourhood=neighbourhood)
    degrees = near.sum(axis=1)
    pairs, edges, least, largest = EDGES[neighbourhood, frames]
    assert (near.sum(), degrees.min(), degrees.max()) == (pairs, least, largest)
    np.testing.assert_array_equal(near, near.T)
    alone = neighbours(offsets, neighbourhood=neighbourhood, self_loops=False)
    assert alone.sum() == 2 * edges
    np.testing.assert_array_equal(near, alone | np.eye(len(near), dtype=bool))


def test_edges_of_a_box_in_closed_form():
    """5 n - 6 ordered pairs on an axis of n >= 3 cells, multiplied over the axes."""
    near = neighbours(grid_offsets(4, 9, 5))
    assert near.sum() == (5 * 4 - 6) * (5 * 9 - 6) * (5 * 5 - 6)
    assert neighbours(grid_offsets(2, 3, 3), radius=9).all()


def test_nodes_are_in_order_of_time_row_and_column():
    offsets = grid_offsets(2, 3, 4)
    first, second = (1 * 3 + 0) * 4 + 3, (0 * 3 + 2) * 4 + 1  # (t, y, x) = (1, 0, 3) and (0, 2, 1)
    assert offsets[first, second].tolist() == [1, 2, 2]
    g = geometry(offsets, 2, 1e-3)[first, second]
    np.testing.assert_allclose(g, -np.log([2 + 1e-3, 2 + 1e-3, 1 / 2 + 1e-3]), rtol=1e-6)


def test_geometry_is_larger_the_nearer(offsets):
    """Row V1 of the decision table: 6.908, -0.001, -0.694 at distances of 0, 1 and 2 cells."""
    g = geometry(offsets, 6, 1e-3)
    np.testing.assert_allclose(g[0, [0, 1, 2], 0], [6.908, -0.001, -0.694], atol=1e-3)
    near = neighbours(offsets)
    assert len(np.unique(g[near], axis=0)) == 27


def test_equations_6_to_9_written_out(layer, shares, offsets):
    """For every pair, where the layer looks up the N offsets that there are."""
    w_p, w_g = layer.get_weights()
    time, row, column = np.moveaxis(offsets.astype(float), -1, 0)
    g = -np.log(np.stack([column, row, time / 6], axis=-1) + 1e-3)
    sim = (np.maximum(g @ w_p, 0) @ w_g)[..., 0]
    near = offsets.max(axis=-1) <= 2
    wanted = softmax(np.where(near, sim, -np.inf))
    np.testing.assert_allclose(layer.similarity(), sim, atol=1e-4)
    np.testing.assert_allclose(shares, wanted, atol=1e-5)
    assert np.ptp(shares[near]) > 0.05
    features = np.random.default_rng(1).normal(size=(2, 6, 7, 7, 4)).astype(np.float32)
    fused = np.einsum("ij,bjd->bid", wanted, features.reshape(2, 294, 4))
    np.testing.assert_allclose(layer(features), fused.reshape(features.shape), atol=1e-5)


def test_rows_sum_to_1_and_are_0_where_there_is_no_edge(layer, shares, offsets):
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares[offsets.max(axis=-1) > 2] == 0).all()
    assert (shares[offsets.max(axis=-1) <= 2] > 0).all()
    sim = np.asarray(layer.similarity())
    np.testing.assert_array_equal(sim, sim.T)


def test_the_same_smoothing_wherever_the_box_is_whole(shares, offsets):
    places = np.indices((6, 7, 7)).reshape(3, -1).T
    inside = [n for n, (t, y, x) in enumerate(places) if t in (2, 3) and {y, x} <= {2, 3, 4}]
    assert len(inside) == 18
    found = {}
    for i in inside:
        for j in np.flatnonzero(offsets[i].max(axis=-1) <= 2):
            found.setdefault(tuple(offsets[i, j]), []).append(shares[i, j])
    assert len(found) == 27
    assert max(np.ptp(values) for values in found.values()) < 1e-6


def test_a_constant_field_stays(layer):
    features = np.broadcast_to(np.float32([1, -2, 30, 0.1]), (2, 6, 7, 7, 4))
    np.testing.assert_allclose(layer(features), features, rtol=1e-5)


def test_even_shares_without_w_g(offsets):
    layer = build()
    w_p, w_g = layer.get_weights()
    layer.set_weights([w_p, 0 * w_g])
    near = neighbours(offsets)
    wanted = near / near.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer.attention(), wanted, rtol=1e-5)


def test_weights_are_128_whatever_the_grid():
    assert [tuple(w.shape) for w in build((2, 3, 4)).weights] == [(3, 32), (32, 1)]
    assert build((6, 7, 7)).count_params() == build((2, 3, 4)).count_params() == 128
    grown = build((3, 5, 5))
    grown.set_weights(build((2, 3, 4)).get_weights())  # and they go from one grid to another


def test_glorot_s_start_is_as_the_specification_saw():
    """What an inner cell keeps of itself, over six seeds: from 0.002 to 0.33; even were 1 / 125.

    Less is left to it than to a cell at the border, which has fewer neighbours.
    """
    least = []
    for seed in range(6):
        keras.utils.set_random_seed(seed)
        layer = GridGraphAttention()
        layer.build((None, 6, 7, 7, 4))
        own = np.diag(np.asarray(layer.attention())).reshape(6, 7, 7)
        assert own[2, 3, 3] == pytest.approx(own.min(), rel=1e-5)
        least.append(own.min())
    assert (round(min(least), 3), round(max(least), 2)) == (0.002, 0.33)


def test_options(offsets):
    features = np.random.default_rng(1).normal(size=(1, 6, 7, 7, 4)).astype(np.float32)
    plain, added = build(), build(residual=True)
    np.testing.assert_allclose(added(features), features + plain(features), atol=1e-6)
    alone = np.asarray(build(self_loops=False).attention())
    assert (np.diag(alone) == 0).all()
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-6)
    wide = np.asarray(build(radius=6).attention())
    assert (wide > 0).all()
    diamond = np.asarray(build(neighbourhood="manhattan").attention())
    assert ((diamond > 0) == (offsets.sum(axis=-1) <= 2)).all()
    assert np.abs(build(eps=0.1).similarity() - plain.similarity()).max() > 0.1
    both = build(return_attention=True)
    mixed, shares = both(features)
    np.testing.assert_array_equal(mixed, plain(features))
    np.testing.assert_array_equal(shares, plain.attention())


def test_shapes_known_beforehand():
    x = keras.Input((6, 7, 7, 4))
    assert GridGraphAttention()(x).shape == (None, 6, 7, 7, 4)
    mixed, shares = GridGraphAttention(return_attention=True, dtype="mixed_float16")(x)
    assert (mixed.shape, mixed.dtype) == ((None, 6, 7, 7, 4), "float16")
    assert (shares.shape, shares.dtype) == ((294, 294), "float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_similarity_and_softmax_stay_float32(policy, shares):
    mixed = build(dtype=policy)
    assert [w.dtype for w in mixed.weights] == ["float32", "float32"]
    mixed.return_attention = True
    _, found = mixed(np.zeros((1, 6, 7, 7, 4), np.float32))  # within a call Keras casts weights
    np.testing.assert_array_equal(found, shares)
    mixed.return_attention = False
    features = np.random.default_rng(1).uniform(0, 50, size=(1, 6, 7, 7, 4)).astype(np.float32)
    found = keras.ops.convert_to_numpy(keras.ops.cast(mixed(features), "float32"))
    np.testing.assert_allclose(found, build()(features), rtol=0.02, atol=0.2)


def test_config_goes_round():
    layer = GridGraphAttention(0.01, 3, "euclidean", False, True, True, name="stc")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, GridGraphAttention)
    assert again.get_config() == layer.get_config()
    assert (again.eps, again.radius, again.neighbourhood) == (0.01, 3, "euclidean")
    assert (again.self_loops, again.residual, again.return_attention) == (False, True, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0}, "`geom_eps` must be a finite number > 0. Received: geom_eps=0"),
        ({"eps": "1e-3"}, "`geom_eps` must be a finite number > 0. Received: geom_eps='1e-3'"),
        ({"eps": float("inf")}, "`geom_eps` must be a finite number > 0. Received: geom_eps=inf"),
        ({"eps": float("nan")}, "`geom_eps` must be a finite number > 0. Received: geom_eps=nan"),
        ({"radius": 0}, "`radius` must be an integer >= 1. Received: radius=0"),
        ({"radius": "2"}, "`radius` must be an integer >= 1. Received: radius='2'"),
        ({"radius": 1.5}, "`radius` must be an integer >= 1. Received: radius=1.5"),
        ({"radius": float("nan")}, "`radius` must be an integer >= 1. Received: radius=nan"),
        ({"neighbourhood": "cube"}, r"`neighbourhood` must be one of \('chebyshev', .*='cube'"),
        ({"neighbourhood": ["manhattan"]}, r"must be one of \('chebyshev', .*=\['manhattan'\]"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GridGraphAttention(**options)


def test_grids_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match=r"known T, H and W. Received: \(2, None, 7, 7, 4\)"):
        GridGraphAttention().build((2, None, 7, 7, 4))
    with pytest.raises(ValueError, match=r"\(B, T, H, W, D\).*Received: \(2, 294, 4\)"):
        GridGraphAttention().build((2, 294, 4))
    with pytest.raises(ValueError, match=r"needs more than one cell. .*\(1, 1, 1\)"):
        GridGraphAttention(self_loops=False).build((2, 1, 1, 1, 4))
