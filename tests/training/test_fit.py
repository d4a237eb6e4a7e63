"""A stage trains, logs, stops, and resumes as if it had never been interrupted."""

import dataclasses
import json

import keras
import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import make_batches, make_model
from vidrec.training import callbacks, checkpoints
from vidrec.training.fit import StagePlan, train_stage
from vidrec.training.schedules import step_decay

STEPS, EPOCHS = 4, 6


def plan(**changes):
    optimizer = keras.optimizers.Adam(0.01)
    base = StagePlan(
        name="all",
        layers="all",
        epochs=EPOCHS,
        optimizer=optimizer,
        rate_of=lambda epoch: step_decay(epoch, rate=0.01, every=2, minimum=1e-6),
        backbones=("tiny",),
    )
    return dataclasses.replace(base, **changes)


def train(model, folder, *, resume=None, the_plan=None, **changes):
    train_stage(
        model,
        the_plan or plan(**changes),
        number=0,
        clips_from=lambda first: make_batches(first, EPOCHS, STEPS),
        steps=STEPS,
        run_folder=folder,
        seed=5,
        resume=resume,
    )


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    keras.utils.set_random_seed(11)
    model = make_model()
    train(model, folder)
    return folder, model.get_weights()


def test_the_stage_learns_and_logs(whole_run):
    log = callbacks.read_log(whole_run[0] / "log.csv")
    assert list(log.columns) == callbacks.LOG_COLUMNS
    assert list(log.epoch) == list(range(EPOCHS))
    assert set(log.stage) == {"all"}
    assert log.loss.iloc[-1] < 0.8 * log.loss.iloc[0]
    np.testing.assert_allclose(log.learning_rate, [0.01, 0.01, 0.002, 0.002, 0.0004, 0.0004])
    assert log.val_loss.isna().all()


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_resumed_run_equals_the_whole_one(whole_run, stop_after, tmp_path):
    keras.utils.set_random_seed(11)
    model = make_model()

    killed = plan()
    rate_of = killed.rate_of

    def rate_or_kill(epoch):
        if epoch == stop_after:
            raise KeyboardInterrupt
        return rate_of(epoch)

    with pytest.raises(KeyboardInterrupt):
        train(model, tmp_path, the_plan=dataclasses.replace(killed, rate_of=rate_or_kill))

    keras.utils.set_random_seed(99)  # other initial weights: the checkpoint must bring them all
    fresh = make_model()
    saved = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert saved[1] == {"stage": 0, "epochs_done": stop_after}
    train(fresh, tmp_path, resume=saved)
    for old, new in zip(whole_run[1], fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    pd.testing.assert_frame_equal(
        callbacks.read_log(tmp_path / "log.csv"), callbacks.read_log(whole_run[0] / "log.csv")
    )


def test_only_the_open_layers_change(tiny, tmp_path):
    before = {weight.path: np.array(weight) for weight in tiny.weights}
    train(tiny, tmp_path, layers="head")
    changed = {
        weight.path
        for weight in tiny.weights
        if "seed" not in weight.path and not np.array_equal(before[weight.path], np.array(weight))
    }
    assert changed == {"head/kernel", "head/bias"}


def test_validation_is_logged(tiny, tmp_path):
    held_out = make_batches(50, 51, STEPS)
    train_stage(
        tiny,
        plan(epochs=2),
        number=1,
        clips_from=lambda first: make_batches(first, 2, STEPS),
        steps=STEPS,
        run_folder=tmp_path,
        seed=5,
        validation=held_out,
    )
    log = callbacks.read_log(tmp_path / "log.csv")
    loss, accuracy = tiny.evaluate(held_out, verbose=0)
    assert log.val_loss.iloc[-1] == pytest.approx(loss, rel=1e-4)
    assert log.val_accuracy.iloc[-1] == pytest.approx(accuracy)


def test_a_nan_stops_the_run_and_the_last_finite_checkpoint_stays(tiny, tmp_path):
    def rate_of(epoch):
        return 1e-3 if epoch < 2 else float("nan")

    with pytest.raises(RuntimeError, match="NaN"):
        train(tiny, tmp_path, rate_of=rate_of)
    path, state = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert state["epochs_done"] == 2
    checkpoints.restore_checkpoint(path, tiny)
    assert all(np.isfinite(np.array(weight)).all() for weight in tiny.weights)


def test_weights_that_are_not_finite_are_not_kept(tiny, tmp_path):
    """The loss of an epoch's last step is finite still when its update breaks the weights."""
    train(tiny, tmp_path, epochs=1)
    head = tiny.get_layer("head")
    head.set_weights([head.get_weights()[0] * np.nan, head.get_weights()[1]])
    with pytest.raises(RuntimeError, match=r"1 weights became NaN.*head/kernel.*lower learning"):
        checkpoints.save_checkpoint(tmp_path / "checkpoints", tiny, stage=0, epochs_done=2)
    assert checkpoints.last_checkpoint(tmp_path / "checkpoints")[1]["epochs_done"] == 1


def test_dropout_seeds_differ_by_stage_and_epoch(tiny):
    dropout = next(layer for layer in tiny.layers if isinstance(layer, keras.layers.Dropout))
    states = set()
    for stage in range(3):
        for epoch in range(40):
            callback = callbacks.DropoutSeed(5, stage)
            callback.set_model(tiny)
            callback.on_epoch_begin(epoch)
            states.add(tuple(np.array(dropout.seed_generator.state).tolist()))
    assert len(states) == 120
    assert len({first for first, _ in states}) > 110  # a call adds to the second word alone


def test_names_of_stages_survive_the_log(tiny, tmp_path):
    for name in ("1", "NA"):
        train(tiny, tmp_path, epochs=1, name=name)
    assert callbacks.read_log(tmp_path / "log.csv").stage.tolist() == ["1", "NA"]


def test_a_stage_that_is_stable_ends_early_and_counts_as_done(tiny, tmp_path):
    train(tiny, tmp_path, stop={"patience": 1, "tolerance": 1.0})
    log = callbacks.read_log(tmp_path / "log.csv")
    assert len(log) == 2  # the first epoch sets the best, the second does not rise by 1.0
    assert checkpoints.last_checkpoint(tmp_path / "checkpoints")[1]["epochs_done"] == EPOCHS


def test_stability_is_counted_once_the_rate_has_come_down():
    stop = callbacks.StopWhenStable(
        patience=2, rate_at_most=0.005, seen=[(0.05, 0.9), (0.002, 0.5), (0.002, 0.504)]
    )
    assert (stop.best, stop.waited) == (0.5, 1)


def test_checkpoints_are_whole_and_the_older_ones_go(tiny, tmp_path):
    train(tiny, tmp_path, checkpoint_every=4)
    (only,) = (tmp_path / "checkpoints").iterdir()
    assert only.name == "00-0006"
    names = sorted(path.name for path in only.iterdir())
    assert names == ["model.weights.h5", "state.json"]
    (tmp_path / "checkpoints" / "00-0009").mkdir()  # torn: no state, so it is not looked at
    assert checkpoints.last_checkpoint(tmp_path / "checkpoints")[0] == only
    assert checkpoints.last_checkpoint(tmp_path / "nowhere") is None


def test_another_optimizer_does_not_take_the_checkpoint(whole_run, tiny, tmp_path):
    saved = checkpoints.last_checkpoint(whole_run[0] / "checkpoints")
    with pytest.raises(ValueError, match="another optimizer, or other open layers"):
        train(tiny, tmp_path, resume=saved, optimizer=keras.optimizers.SGD(0.1))
    assert json.loads((saved[0] / "state.json").read_text())["epochs_done"] == EPOCHS
