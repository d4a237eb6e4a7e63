"""A stage trains, logs, stops, and resumes as if it had never been interrupted."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.training.conftest import make_batches, make_model
from tests.training.small_run import EPOCHS, STEPS, state_of, train
from vidrec.training import callbacks, checkpoints
from vidrec.training.checkpoints import Progress
from vidrec.training.fit import Saving
from vidrec.training.step import TrainingStep


class AtStep(keras.callbacks.Callback):
    """Does something after a step, counted from 0 through all epochs."""

    def __init__(self, step, act):
        super().__init__()
        self.left, self.act = step, act

    def on_train_batch_end(self, batch, logs=None):
        if self.left == 0:
            self.act()
        self.left -= 1


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    keras.utils.set_random_seed(11)
    train(make_model(), folder)
    return folder


def test_the_stage_learns_and_logs(whole_run):
    log = callbacks.read_log(whole_run / "log.csv")
    assert list(log.columns) == callbacks.LOG_COLUMNS
    assert list(log.epoch) == list(range(EPOCHS))
    assert set(log.stage) == {"all"}
    assert log.loss.iloc[-1] < 0.8 * log.loss.iloc[0]
    np.testing.assert_allclose(log.learning_rate, [0.01, 0.01, 0.002, 0.002, 0.0004, 0.0004])
    assert log.val_loss.isna().all()
    speed = callbacks.read_log(whole_run / "speed.csv", callbacks.SPEED_COLUMNS)
    assert (speed.clips_per_second > 1).all()
    assert speed.waiting.between(0, 1, inclusive="neither").all()


def test_the_log_is_of_the_model_as_it_was_at_each_step(tiny, tmp_path):
    """Without dropout and a change of weights, it is what Keras finds."""
    for layer in tiny.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    tiny.get_layer("rgb_tiny").trainable = False
    head = tiny.get_layer("head")
    head.set_weights([10 * head.get_weights()[0], head.get_weights()[1]])
    tiny.compile(loss=keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    loss, accuracy = tiny.evaluate(make_batches(0, 1, STEPS), verbose=0)
    train(tiny, tmp_path, epochs=1, layers="head", freeze_bn=True, rate_of=lambda epoch: 1e-12)
    log = callbacks.read_log(tmp_path / "log.csv")
    assert log.loss.item() == pytest.approx(loss, rel=1e-5)
    assert log.accuracy.item() == pytest.approx(accuracy)


@pytest.mark.parametrize("step", [0, 3, 4, 10, EPOCHS * STEPS - 1])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(whole_run, step, tmp_path):
    keras.utils.set_random_seed(11)
    stop = AtStep(step, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        train(make_model(), tmp_path, options={"watchers": [stop]})
    path, progress = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    done = progress.epoch * STEPS + progress.step
    assert done == min(step + 2, EPOCHS * STEPS)  # the signal is heeded after the next step
    if done == EPOCHS * STEPS:
        assert progress.step == 0
        return
    keras.utils.set_random_seed(99)  # other initial weights: the checkpoint must bring them all
    train(make_model(), tmp_path, options={"resume": (path, progress)})
    assert state_of(tmp_path) == state_of(whole_run)


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
    validation = callbacks.Validation(held_out, tiny)
    train(tiny, tmp_path, epochs=2, options={"validation": validation})
    log = callbacks.read_log(tmp_path / "log.csv")
    tiny.compile(loss=keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    loss, accuracy = tiny.evaluate(held_out, verbose=0)
    assert log.val_loss.iloc[-1] == pytest.approx(loss, rel=1e-4)
    assert log.val_accuracy.iloc[-1] == pytest.approx(accuracy)


def test_a_nan_stops_the_run_and_the_last_finite_checkpoint_stays(tiny, tmp_path):
    def rate_of(epoch):
        return 1e-3 if epoch < 2 else float("nan")

    message = (
        "The loss became nan .* at step 2 of epoch 3 of stage all, at a learning rate of nan. Its "
        "videos: a-2-1, b-2-1."
    )
    options = {"videos_of": lambda epoch, step: [f"{name}-{epoch}-{step}" for name in "ab"]}
    with pytest.raises(RuntimeError, match=message):
        train(tiny, tmp_path, rate_of=rate_of, options=options)
    path, progress = checkpoints.last_checkpoint(tmp_path / "checkpoints")
    assert progress == Progress(0, 2)
    checkpoints.restore_checkpoint(path, {"model": tiny.variables})
    assert all(np.isfinite(np.array(weight)).all() for weight in tiny.weights)
    assert len(callbacks.read_log(tmp_path / "log.csv")) == 2


def test_too_little_memory_says_what_to_change(tiny, tmp_path, monkeypatch):
    def fail(step, parts, stop):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating 3 GB\nmore")

    monkeypatch.setattr(TrainingStep, "__call__", fail)
    message = "stage all.*batch_size=8, accumulate=2 on 1 devices, so 4 clips.*OOM when.* 3 GB"
    with pytest.raises(RuntimeError, match=message):
        train(tiny, tmp_path, accumulate=2)


def test_names_of_stages_survive_the_log(tiny, tmp_path):
    for name in ("1", "NA"):
        train(tiny, tmp_path, epochs=1, name=name)
    assert callbacks.read_log(tmp_path / "log.csv").stage.tolist() == ["1", "NA"]


def test_a_stage_that_is_stable_ends_early_and_counts_as_done(tiny, tmp_path):
    train(tiny, tmp_path, stop={"patience": 1, "tolerance": 1.0})
    log = callbacks.read_log(tmp_path / "log.csv")
    assert len(log) == 2  # the first epoch sets the best, the second does not rise by 1.0
    assert checkpoints.last_checkpoint(tmp_path / "checkpoints")[1].epoch == EPOCHS
    train(tiny, tmp_path, name="next")
    assert len(callbacks.read_log(tmp_path / "log.csv")) == 2 + EPOCHS


def test_stability_is_counted_once_the_rate_has_come_down():
    stop = callbacks.StopWhenStable(
        patience=2, rate_at_most=0.005, seen=[(0.05, 0.9), (0.002, 0.5), (0.002, 0.504)]
    )
    assert (stop.best, stop.waited) == (0.5, 1)


def test_checkpoints_by_epoch_by_time_and_how_many_stay(tiny, tmp_path):
    def names(folder):
        return sorted(path.name for path in (folder / "checkpoints").iterdir())

    train(tiny, tmp_path / "epochs", checkpoint_every=4)
    assert names(tmp_path / "epochs") == ["00-0004-000000", "00-0006-000000"]
    options = {"saving": Saving(keep=3, minutes=1e-9)}
    train(tiny, tmp_path / "time", options=options)
    assert names(tmp_path / "time") == ["00-0005-000003", "00-0005-000004", "00-0006-000000"]
    with pytest.raises(ValueError, match="keep=0, minutes=15"):
        Saving(keep=0)


def test_another_optimizer_does_not_take_the_checkpoint(whole_run, tiny, tmp_path):
    saved = checkpoints.last_checkpoint(whole_run / "checkpoints")
    optimizer = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="another optimizer, or other open layers"):
        train(tiny, tmp_path, optimizer=optimizer, options={"resume": saved})
    with pytest.raises(ValueError, match="other open layers"):
        train(tiny, tmp_path, layers="head", options={"resume": saved})


def test_a_resumed_stage_counts_stability_from_the_log(tiny, tmp_path):
    rows = [("all", epoch, 0.01, 1.0, accuracy) for epoch, accuracy in enumerate([0.5, 0.9, 0.9])]
    log = pd.DataFrame(rows, columns=callbacks.LOG_COLUMNS[:5])
    log.reindex(columns=callbacks.LOG_COLUMNS).to_csv(tmp_path / "log.csv", index=False)
    train(tiny, tmp_path / "begun", epochs=3)
    path, progress = checkpoints.last_checkpoint(tmp_path / "begun" / "checkpoints")
    resume = path, dataclasses.replace(progress, epoch=3)
    train(tiny, tmp_path, stop={"patience": 2, "tolerance": 1.0}, options={"resume": resume})
    assert len(callbacks.read_log(tmp_path / "log.csv")) == 4
