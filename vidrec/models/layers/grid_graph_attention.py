"""Attention over the graph of a clip's grid cells, by where they are alone (Gong and Li 2022, 3.1).

A node is a cell of a frame's feature map; an edge joins two that are at most `radius` apart. What a
node takes from its neighbours depends on their distance in width, height and time, never on what is
seen there: the layer learns one smoothing kernel, cut at the borders, and its (N, N) matrix is the
same for every clip. Axis letters: B batch, T frames, H W cells, N = T H W nodes, D features.
"""

import math

import keras
import numpy as np
from keras import ops

from vidrec.models.options import check_choices, check_counts, check_positive

NEIGHBOURHOODS = {  # distance of offsets (..., 3) in frames and cells
    "chebyshev": lambda offsets: offsets.max(axis=-1),
    "euclidean": lambda offsets: np.sqrt((offsets**2).sum(axis=-1)),
    "manhattan": lambda offsets: offsets.sum(axis=-1),
}
HIDDEN = 32
OUTSIDE = -1e9  # similarity of what is no neighbour; its share is exactly 0


def grid_offsets(frames, height, width):
    """Distances of all pairs of nodes, int (N, N, 3): in time, height and width."""
    places = np.indices((frames, height, width)).reshape(3, -1).T  # time-major, then row, column
    return np.abs(places[:, None] - places[None])


def neighbours(offsets, *, radius=2, neighbourhood="chebyshev", self_loops=True):
    """Edges of the graph, bool (N, N), of offsets (N, N, 3)."""
    near = NEIGHBOURHOODS[neighbourhood](offsets) <= radius
    return near if self_loops else near & (offsets.max(axis=-1) > 0)


def geometry(offsets, frames, eps):
    """Equation 6, float32 (..., 3): minus the logarithms of distances in width, height and time.

    Width and height are in cells, time in shares of the clip; `eps` keeps a distance of 0 finite.
    """
    time, row, column = np.moveaxis(offsets, -1, 0)
    return -np.log(np.stack([column, row, time / frames], axis=-1) + eps).astype(np.float32)


@keras.saving.register_keras_serializable(package="vidrec")
class GridGraphAttention(keras.layers.Layer):
    """Equations 6 to 10: features (B, T, H, W, D), mixed among neighbours to the same shape.

    The only weights are W_p (3, 32) and W_g (32, 1), of which T, H and W are independent. What is
    between the geometry and the shares is float32 whatever the policy.

    Args:
        eps: float > 0, of the logarithms.
        radius: int >= 1, the largest distance of neighbours, in frames and in cells.
        neighbourhood: the distance, "chebyshev" (a box), "euclidean" or "manhattan".
        self_loops: bool, whether a node is its own neighbour.
        residual: bool, whether the features are added to the result.
        return_attention: bool, the result is followed by the shares, float32 (N, N).

    Raises:
        ValueError: if an argument is outside its range, T, H or W is unknown, or a node has no
            neighbour.
    """

    def __init__(
        self,
        eps=1e-3,
        radius=2,
        neighbourhood="chebyshev",
        self_loops=True,
        residual=False,
        return_attention=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(geom_eps=eps)
        check_counts(radius=radius)
        check_choices({"neighbourhood": tuple(NEIGHBOURHOODS)}, neighbourhood=neighbourhood)
        self.eps, self.radius, self.neighbourhood = eps, radius, neighbourhood
        self.self_loops, self.residual = self_loops, residual
        self.return_attention = return_attention

    def build(self, features_shape):
        grid = tuple(features_shape[1:4])
        if len(features_shape) != 5 or None in grid:
            raise ValueError(
                "`features` must have shape (B, T, H, W, D) with known T, H and W. "
                f"Received: {tuple(features_shape)}"
            )
        offsets = grid_offsets(*grid)
        self._mask = neighbours(
            offsets,
            radius=self.radius,
            neighbourhood=self.neighbourhood,
            self_loops=self.self_loops,
        )
        if not self._mask.any(axis=1).all():
            raise ValueError(
                "Each cell must have a neighbour: self_loops=False needs more than one cell. "
                f"Received: a grid of {grid} (T, H, W)"
            )
        # Offsets are all that counts, and node 0 is in a corner: its N pairs have all there are.
        self._geometry = geometry(offsets[0], grid[0], self.eps)
        self._pair = np.ravel_multi_index(tuple(np.moveaxis(offsets, -1, 0)), grid).astype("int32")
        self.w_p = self._matrix("w_p", (3, HIDDEN))
        self.w_g = self._matrix("w_g", (HIDDEN, 1))

    def attention(self):
        """Equation 8: the nodes' shares, float32 (N, N); rows sum to 1, and are 0 without edge."""
        return ops.softmax(ops.where(self._mask, self.similarity(), OUTSIDE), axis=-1)

    def similarity(self):
        """Equation 7 for all pairs of nodes, float32 (N, N), symmetric."""
        hidden = ops.relu(ops.matmul(self._geometry, self.w_p))
        return ops.take(ops.squeeze(ops.matmul(hidden, self.w_g), -1), self._pair)

    def call(self, features):
        shares = self.attention()
        nodes = ops.reshape(features, (-1, len(self._pair), features.shape[-1]))
        mixed = ops.matmul(ops.cast(shares, nodes.dtype), nodes)
        mixed = ops.reshape(mixed, (-1, *features.shape[1:]))
        mixed = features + mixed if self.residual else mixed
        return (mixed, shares) if self.return_attention else mixed

    def macs(self, features_shape):
        """Multiply-adds: all nodes of all nodes, and the similarity of N offsets once a batch."""
        batch, *grid, features = features_shape
        nodes = math.prod(grid)
        return batch * nodes**2 * features + nodes * 4 * HIDDEN

    def get_config(self):
        return {
            **super().get_config(),
            "eps": self.eps,
            "radius": self.radius,
            "neighbourhood": self.neighbourhood,
            "self_loops": self.self_loops,
            "residual": self.residual,
            "return_attention": self.return_attention,
        }

    def _matrix(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer="glorot_uniform",
            dtype="float32",
            autocast=False,
        )
