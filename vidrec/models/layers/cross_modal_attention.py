"""Multi-head attention between two modalities, each on the other (Gong and Li 2022, section 3.2).

Queries, keys and values are the features themselves: the layer has no weights unless `projections`
gives it some. Axis letters: B batch, T frames, H W cells, N = T H W nodes, D features, h heads.
"""

import math

import keras
from keras import ops

from vidrec.clip import MODALITIES
from vidrec.models.layers.same_videos import check_same
from vidrec.models.options import check_choices, check_counts

ATTN_SCALES = ("fro", "sqrt_dim")
PROJECTIONS = ("query", "key", "value", "output")


@keras.saving.register_keras_serializable(package="vidrec")
class CrossModalAttention(keras.layers.Layer):
    """Equations 11 and 12: R and F, each (B, T, H, W, D), to what each takes from the other.

        L = R F^T  of each head, D / h features wide                    (B, h, N, N)
        F_att_rgb  = softmax over rows of (L / scale) F                 eq. 11
        F_att_flow = softmax over rows of (L^T / scale) R               eq. 12

    Without projections a result has nothing of its own modality but the weights: each of its values
    lies between the least and the largest of the other's. Scores and softmax are float32 whatever
    the policy.

    Args:
        num_heads: int >= 1, h, which divides D.
        scale: "fro", the square root of L's Frobenius norm in each sample and head, which is what
            the equations have; it makes the shares nearly even. "sqrt_dim", that of D / h.
        literal_eq12: bool, L in equation 12 also, as it is printed.
        residual: bool, whether R is added to F_att_rgb, and F to F_att_flow.
        projections: bool, learnt matrices (D, D) for queries, keys, values and results of each
            direction; L then is not the same for both.
        return_attention: bool, F_att_rgb and F_att_flow are followed by the shares of each
            direction, float32 (B, h, N, N), whose rows are the nodes that ask.

    Raises:
        ValueError: if an argument is outside its range, or R and F do not go together.
    """

    def __init__(
        self,
        num_heads=8,
        scale="fro",
        literal_eq12=False,
        residual=False,
        projections=False,
        return_attention=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_counts(num_heads=num_heads)
        check_choices({"attn_scale": ATTN_SCALES}, attn_scale=scale)
        if literal_eq12 and projections:
            raise ValueError(
                "literal_eq12=True uses one score matrix twice, but mff_projections=True makes two."
            )
        self.num_heads, self.scale = num_heads, scale
        self.literal_eq12, self.residual, self.projections = literal_eq12, residual, projections
        self.return_attention = return_attention

    def build(self, rgb_shape, flow_shape):
        if tuple(rgb_shape[1:]) != tuple(flow_shape[1:]) or None in rgb_shape[1:]:
            raise ValueError(
                "`rgb` and `flow` must have the same shape, known but for the batch. "
                f"Received: {tuple(rgb_shape)} and {tuple(flow_shape)}"
            )
        features = rgb_shape[-1]
        if features % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the {features} features. "
                f"Received: num_heads={self.num_heads}"
            )
        if self.projections:
            self._kernels = {
                f"{modality}_{part}": self.add_weight(
                    name=f"{modality}_{part}_kernel",
                    shape=(features, features),
                    initializer="glorot_uniform",
                )
                for modality in MODALITIES
                for part in PROJECTIONS
            }

    def call(self, rgb, flow):
        check_same(rgb.shape, flow.shape)
        batch = ops.shape(rgb)[0]  # of flow also: a batch of one must not be repeated
        own, other = {"rgb": rgb, "flow": flow}, {"rgb": flow, "flow": rgb}

        def heads(x):
            width = x.shape[-1] // self.num_heads
            with keras.name_scope("flow_must_be_of_as_many_segments"):
                x = ops.reshape(x, (batch, math.prod(x.shape[1:-1]), self.num_heads, width))
            return ops.transpose(x, (0, 2, 1, 3))  # (B, h, N, D / h)

        if self.projections:
            queries, keys, values = (
                {m: heads(self._project(x, m, part)) for m, x in asked.items()}
                for part, asked in (("query", own), ("key", other), ("value", other))
            )
        else:
            queries = {modality: heads(x) for modality, x in own.items()}
            keys = values = {"rgb": queries["flow"], "flow": queries["rgb"]}

        scores = {"rgb": self._scores(queries["rgb"], keys["rgb"])}
        if self.projections:
            scores["flow"] = self._scores(queries["flow"], keys["flow"])
        elif self.literal_eq12:
            scores["flow"] = scores["rgb"]
        else:
            scores["flow"] = ops.transpose(scores["rgb"], (0, 1, 3, 2))
        shares = {modality: ops.softmax(x, axis=-1) for modality, x in scores.items()}

        results = []
        for modality in MODALITIES:
            x = values[modality]
            x = ops.matmul(ops.cast(shares[modality], x.dtype), x)
            x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, *rgb.shape[1:]))
            if self.projections:
                x = self._project(x, modality, "output")
            results.append(x + own[modality] if self.residual else x)
        return (*results, *shares.values()) if self.return_attention else tuple(results)

    def macs(self, rgb_shape, flow_shape):
        """Multiply-adds: scores, which both directions share unless they are projected, the two
        weighted sums, and the projections."""
        batch, *grid, features = rgb_shape
        nodes, products, dense = math.prod(grid), 3, 0
        if self.projections:
            products, dense = 4, 8 * features
        return batch * nodes * features * (products * nodes + dense)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "scale": self.scale,
            "literal_eq12": self.literal_eq12,
            "residual": self.residual,
            "projections": self.projections,
            "return_attention": self.return_attention,
        }

    def _scores(self, query, key):
        """(B, h, N, D / h) twice to float32 (B, h, N, N), scaled."""
        query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        if self.scale == "sqrt_dim":
            return scores / math.sqrt(query.shape[-1])
        squares = ops.sum(ops.square(scores), axis=(2, 3), keepdims=True)
        return scores / (squares + 1e-12) ** 0.25

    def _project(self, x, modality, part):
        return ops.matmul(x, self._kernels[f"{modality}_{part}"])
