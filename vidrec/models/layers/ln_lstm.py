"""LSTM cell with layer normalisation before its gates (Ou and Sun 2021, section 3.4).

Layer normalisation is that of Ba, Kiros and Hinton, arXiv:1607.06450: mean and variance over the
units of one sample, never over the batch. Axis letters: B batch, C channels, U units.
"""

import keras
from keras import layers, ops

PARTS = ("input", "forget", "candidate", "output")  # as Keras' LSTM lays out its arrays
SIGMOIDS = ("input", "forget", "output")


@keras.saving.register_keras_serializable(package="vidrec")
class LayerNormLSTMCell(layers.Layer):
    """One step of an LSTM, for `keras.layers.RNN`; three arrays as in Keras' LSTM, and the norms'.

        i, f, g, o = split(x kernel + h recurrent_kernel + bias)
        c = sigmoid(LN(f)) * c + sigmoid(LN(i)) * tanh(g)
        h = sigmoid(LN(o)) * tanh(c)

    Every LN is one of its own over the U units, with gamma and beta, computed in float32 whatever
    the dtype policy.

    Args:
        units: int >= 1, U.
        layer_norm: bool; False is Keras' LSTM.
        normalize_candidate: bool, tanh(LN(g)) as well.
        normalize_cell: bool, tanh(LN(c)) as well; the c that is handed on stays as it is.
        forget_bias: float, what the forget gate starts with: its beta, since LN takes out whatever
            is added before it; without `layer_norm` its part of the bias.
        epsilon: float > 0, added to the variance.

    Raises:
        ValueError: if a value is outside its range, or a part is to be normalised without
            `layer_norm`.
    """

    def __init__(
        self,
        units,
        *,
        layer_norm=True,
        normalize_candidate=False,
        normalize_cell=False,
        forget_bias=1.0,
        epsilon=1e-3,
        **kwargs,
    ):
        if units < 1 or epsilon <= 0:
            raise ValueError(
                "`units` must be at least 1 and `epsilon` > 0. "
                f"Received: units={units}, epsilon={epsilon}"
            )
        if not layer_norm and (normalize_candidate or normalize_cell):
            raise ValueError(
                "`normalize_candidate` and `normalize_cell` go with layer_norm=True. Received: "
                f"normalize_candidate={normalize_candidate}, normalize_cell={normalize_cell}"
            )
        super().__init__(**kwargs)
        self.units = units
        self.layer_norm = layer_norm
        self.normalize_candidate = normalize_candidate
        self.normalize_cell = normalize_cell
        self.forget_bias = forget_bias
        self.epsilon = epsilon
        self.state_size = [units, units]
        self.output_size = units
        chosen = [*SIGMOIDS] if layer_norm else []
        chosen += ["candidate"] * normalize_candidate + ["cell"] * normalize_cell
        self.norms = {
            part: layers.LayerNormalization(
                epsilon=epsilon,
                beta_initializer=keras.initializers.Constant(forget_bias * (part == "forget")),
                dtype="float32",
                name=f"{part}_norm",
            )
            for part in chosen
        }

    def build(self, shape):
        columns = 4 * self.units
        self.kernel = self.add_weight(
            shape=(shape[-1], columns), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(columns,), initializer=self._first_bias, name="bias")
        for norm in self.norms.values():
            norm.build((None, self.units))

    def call(self, inputs, states):
        hidden, cell = states
        z = ops.matmul(inputs, self.kernel)
        z = ops.add(z, ops.matmul(hidden, self.recurrent_kernel))
        z = ops.split(ops.add(z, self.bias), 4, axis=-1)
        i, f, g, o = (self._norm(part, x) for part, x in zip(PARTS, z, strict=True))
        cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.sigmoid(o) * ops.tanh(self._norm("cell", cell))
        return hidden, [hidden, cell]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "layer_norm": self.layer_norm,
            "normalize_candidate": self.normalize_candidate,
            "normalize_cell": self.normalize_cell,
            "forget_bias": self.forget_bias,
            "epsilon": self.epsilon,
        }

    def _norm(self, part, x):
        """LN(x) where this part is normalised, else x."""
        if part not in self.norms:
            return x
        return ops.cast(self.norms[part](ops.cast(x, "float32")), self.compute_dtype)

    def _first_bias(self, shape, dtype=None):
        forget = 0.0 if self.layer_norm else self.forget_bias
        return ops.repeat(ops.array([0.0, forget, 0.0, 0.0], dtype), self.units)
