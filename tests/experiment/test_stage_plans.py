"""Optimizers and rates are what a stage says."""

import keras
import numpy as np
import pytest

from vidrec.config.training import Stage
from vidrec.experiment.stage_plans import stage_plan
from vidrec.models.layers.ln_lstm import LayerNormLSTMCell
from vidrec.training.stages import build_optimizer


def plan(optimizer=None, *, precision="float32", stage=None, **schedule):
    content = {"name": "a", "epochs": 4, "batch_size": 6, "optimizer": optimizer or {}}
    content |= stage or {}
    return stage_plan(Stage(**content, schedule={"rate": 0.5, **schedule}), ("tiny",), precision)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"kind": "step", "every": 2, "factor": 0.1, "minimum": 0}, [0.5, 0.5, 0.05, 0.05]),
        ({"kind": "milestones", "at": [1, 3], "factor": 0.1}, [0.5, 0.05, 0.05, 0.005]),
        ({"kind": "cosine", "minimum": 0.1}, [0.5, 0.441421, 0.3, 0.158579]),
        ({"kind": "constant"}, [0.5] * 4),
        ({"kind": "constant", "rate": 1e-6, "warm_up": 2}, [5e-7, 1e-6, 1e-6, 1e-6]),
    ],
)
def test_rates(schedule, expected):
    rate_of = plan(**schedule).rate_of
    assert [rate_of(epoch) for epoch in range(4)] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "kind", "attribute", "value"),
    [
        ({"name": "sgd", "momentum": 0.9}, keras.optimizers.SGD, "momentum", 0.9),
        ({"name": "adam", "epsilon": 1e-8}, keras.optimizers.Adam, "epsilon", 1e-8),
        ({"name": "adamw", "epsilon": 1e-9}, keras.optimizers.AdamW, "epsilon", 1e-9),
    ],
)
def test_optimizers(settings, kind, attribute, value):
    optimizer = plan(settings).optimizer
    assert type(optimizer) is kind
    assert getattr(optimizer, attribute) == value
    assert float(optimizer.learning_rate) == 0.5


def test_decay_is_of_the_loss_or_of_the_optimizer_never_both():
    assert plan({"name": "sgd", "weight_decay": 0.1}).weight_decay == 0.1
    decoupled = plan({"name": "adamw", "weight_decay": 0.1})
    assert decoupled.weight_decay == 0
    cell = LayerNormLSTMCell(2, name="unbiased")  # names of layers mean nothing
    stack = [keras.layers.Dense(3, bias_initializer="ones"), keras.layers.BatchNormalization()]
    clips = keras.Input((4, 2))
    x = keras.layers.RNN(cell)(clips)
    for layer in stack:
        x = layer(x)
    model = keras.Model(clips, x)
    build_optimizer(decoupled.optimizer, model)
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    still = [np.zeros_like(value) for value in before.values()]
    decoupled.optimizer.apply(still, model.trainable_weights)
    kernels = {"kernel", "recurrent_kernel"}
    assert {weight.name for weight in model.trainable_weights} == kernels | {
        "bias",
        "gamma",
        "beta",
    }
    for weight in model.trainable_weights:
        factor = 1 - 0.5 * 0.1 if weight.name in kernels else 1
        np.testing.assert_allclose(weight, before[weight.path] * factor, rtol=1e-6)


def test_how_a_step_is_taken():
    usual = plan()
    assert (usual.batch_size, usual.accumulate, usual.clip_norm, usual.compiled) == (
        6,
        1,
        None,
        False,
    )
    other = plan({"clip_norm": 20}, stage={"accumulate": 3, "compiled": True})
    assert (other.batch_size, other.accumulate, other.clip_norm, other.compiled) == (6, 3, 20, True)


def test_float16_scales_its_loss():
    settings = {"name": "adamw", "weight_decay": 0.1}
    scaled = plan(settings, precision="mixed_float16").optimizer
    assert type(scaled) is keras.optimizers.LossScaleOptimizer
    assert type(scaled.inner_optimizer) is keras.optimizers.AdamW
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    build_optimizer(scaled, model)
    inner = scaled.inner_optimizer
    kept = [inner._use_weight_decay(variable.value) for variable in model.trainable_variables]
    assert kept == [True, False]
    for precision in ("float32", "mixed_bfloat16"):
        assert type(plan(settings, precision=precision).optimizer) is keras.optimizers.AdamW
