"""The LSTM cell with layer normalisation: against Keras' LSTM and the formulas in numpy."""

import keras
import numpy as np
import pytest
from keras import layers

from vidrec.models.layers.ln_lstm import LayerNormLSTMCell

UNITS, CHANNELS, STEPS = 7, 11, 4


def network(units=UNITS, **options):
    """Both directions of the cell over (B, 4, 11), all steps given, with weights of no symmetry."""
    steps = keras.Input((STEPS, CHANNELS))
    lstm = layers.RNN(LayerNormLSTMCell(units, **options), return_sequences=True)
    model = keras.Model(steps, layers.Bidirectional(lstm, name="both")(steps))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def sequences(batch=3, scale=1.0, seed=5):
    shape = (batch, STEPS, CHANNELS)
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def cell_of(model):
    return model.get_layer("both").forward_layer.cell


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def expected(cell, x, *, epsilon=1e-3):
    """The formulas of the docstring in float64, forward direction, (B, T, C) to (B, T, U)."""
    w, u, b = (np.asarray(v, float) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))

    def norm(part, z):
        if part not in cell.norms:
            return z
        gamma, beta = (np.asarray(v, float) for v in cell.norms[part].weights)
        mean, variance = z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)
        return gamma * (z - mean) / np.sqrt(variance + epsilon) + beta

    h = c = np.zeros((len(x), UNITS))
    found = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ w + h @ u + b, 4, axis=1)
        c = sigmoid(norm("forget", f)) * c
        c = c + sigmoid(norm("input", i)) * np.tanh(norm("candidate", g))
        h = sigmoid(norm("output", o)) * np.tanh(norm("cell", c))
        found.append(h)
    return np.stack(found, axis=1)


@pytest.mark.parametrize(
    ("options", "normalised"),
    [
        ({}, ["input", "forget", "output"]),
        ({"normalize_candidate": True}, ["input", "forget", "output", "candidate"]),
        ({"normalize_cell": True}, ["input", "forget", "output", "cell"]),
        ({"layer_norm": False}, []),
        ({"epsilon": 0.5}, ["input", "forget", "output"]),
    ],
)
def test_formulas(options, normalised):
    model, x = network(**options), sequences()
    cell = cell_of(model)
    assert list(cell.norms) == normalised
    arrays = CHANNELS * 4 * UNITS + UNITS * 4 * UNITS + 4 * UNITS
    assert model.count_params() == 2 * (arrays + 2 * UNITS * len(normalised))
    wanted = expected(cell, x, epsilon=options.get("epsilon", 1e-3))
    np.testing.assert_allclose(model(x)[:, :, :UNITS], wanted, atol=2e-6)


def test_without_norm_it_is_keras_lstm():
    model, x = network(layer_norm=False), sequences()
    steps = keras.Input((STEPS, CHANNELS))
    plain = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))
    plain = keras.Model(steps, plain(steps))
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(x), plain(x))
    assert np.abs(model(x) - network()(x)[0, 0, 0]).max() > 0.1


def test_a_sample_does_not_depend_on_its_batch():
    """Decision 25: statistics are over units. Over the batch, one sample alone would be lost."""
    model, x = network(), sequences(5)
    whole = np.asarray(model(x))
    for k in range(5):
        np.testing.assert_allclose(model(x[k : k + 1])[0], whole[k], atol=1e-6)
    assert np.abs(whole[0] - whole[1]).max() > 0.1


def test_a_constant_on_the_forget_gate_s_input_changes_nothing():
    """Decision 27: hence the forget bias is in beta, where it acts."""
    model, x = network(), sequences()
    before = np.asarray(model(x))
    cell = cell_of(model)
    cell.bias.assign(np.asarray(cell.bias) + np.repeat([0, 5, 0, 0], UNITS))
    np.testing.assert_allclose(model(x), before, atol=2e-6)
    cell.norms["forget"].beta.assign(np.asarray(cell.norms["forget"].beta) + 5)
    assert np.abs(model(x) - before).max() > 0.1


@pytest.mark.parametrize("layer_norm", [True, False])
def test_first_values(layer_norm):
    cell = LayerNormLSTMCell(UNITS, layer_norm=layer_norm, forget_bias=1.5)
    cell.build((None, CHANNELS))
    bias = np.split(np.asarray(cell.bias), 4)
    assert [set(part.tolist()) for part in bias] == [{0}, {0 if layer_norm else 1.5}, {0}, {0}]
    betas = {part: set(np.asarray(norm.beta).tolist()) for part, norm in cell.norms.items()}
    assert betas == ({"input": {0}, "forget": {1.5}, "output": {0}} if layer_norm else {})
    u = np.asarray(cell.recurrent_kernel)
    np.testing.assert_allclose(u @ u.T, np.eye(UNITS), atol=1e-5)  # orthogonal


def test_norms_are_float32_under_mixed_precision():
    """Of inputs of 300, the squares are beyond float16."""
    options = {"normalize_candidate": True, "normalize_cell": True}
    exact, x = network(**options), sequences(scale=100.0)
    mixed = network(**options, dtype="mixed_float16")
    mixed.set_weights(exact.get_weights())
    cell = cell_of(mixed)
    assert (cell.compute_dtype, cell.kernel.dtype) == ("float16", "float32")
    assert {norm.compute_dtype for norm in cell.norms.values()} == {"float32"}
    assert np.abs(x[:, 0] @ np.asarray(cell.kernel)).max() > 300
    np.testing.assert_allclose(mixed(x), exact(x), atol=0.02)


def test_config():
    options = {
        "layer_norm": True,
        "normalize_candidate": True,
        "normalize_cell": True,
        "forget_bias": 0.5,
        "epsilon": 1e-5,
    }
    config = LayerNormLSTMCell(UNITS, **options).get_config()
    assert {name: config[name] for name in options} == options
    again = LayerNormLSTMCell.from_config(config)
    assert again.get_config() == config
    assert [norm.epsilon for norm in again.norms.values()] == [1e-5] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, r"`units` must be at least 1 .* Received: units=0, epsilon=0.001"),
        ({"epsilon": 0.0}, r"`epsilon` > 0. Received: units=7, epsilon=0.0"),
        (
            {"layer_norm": False, "normalize_cell": True},
            r"go with layer_norm=True.*normalize_candidate=False, normalize_cell=True",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LayerNormLSTMCell(**{"units": UNITS, **options})
