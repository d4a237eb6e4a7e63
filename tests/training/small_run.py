"""A stage of a small model: `python -m tests.training.small_run FOLDER [KILL_AFTER [plain]]` trains
it, or goes on with it, and kills itself after so many steps; plain: by SGD and without dropout."""

import dataclasses
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from tests.training.conftest import make_batches, make_model
from vidrec.training import checkpoints
from vidrec.training.fit import Saving, StagePlan, train_stage
from vidrec.training.schedules import step_decay
from vidrec.training.strategy import choose_strategy

STEPS, EPOCHS = 4, 6


def plan(**changes):
    base = StagePlan(
        name="all",
        layers="all",
        epochs=EPOCHS,
        batch_size=8,
        optimizer=keras.optimizers.Adam(0.01),
        rate_of=lambda epoch: step_decay(epoch, rate=0.01, every=2, minimum=1e-6),
        backbones=("tiny",),
    )
    return dataclasses.replace(base, **changes)


def train(model, folder, *, options=None, **changes):
    """`options` of `train_stage`; `changes` of the plan."""
    train_stage(
        model,
        plan(**changes),
        number=0,
        clips_from=lambda epoch, step, shard: make_batches(
            epoch, EPOCHS, STEPS, step=step, shard=shard
        ),
        steps=STEPS,
        run_folder=folder,
        **(options or {}),
    )


def state_of(folder):
    """All that a run ends with, but for times: bytes of each variable, of the model (the states of
    its random generators among them) and of the optimizer, and of the log."""
    path, progress = checkpoints.last_checkpoint(folder / "checkpoints")
    with np.load(path / checkpoints.VARIABLES) as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    assert len(arrays) > 20
    return {"progress": progress, "log": (folder / "log.csv").read_bytes(), **arrays}


class Kill(keras.callbacks.Callback):
    """After so many steps of this process."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, kill_after="0", *options):
    saved = checkpoints.last_checkpoint(Path(folder) / "checkpoints")
    keras.utils.set_random_seed(99 if saved else 11)
    with choose_strategy().scope():
        model = make_model()
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout) and "plain" in options:
                layer.rate = 0.0  # what is dropped depends on how a batch is parted
        # Adam makes as much of the rounding of a gradient that should be zero as of a gradient.
        plain = {"optimizer": keras.optimizers.SGD(0.01, momentum=0.9)} if options else {}
        watchers, saving = [Kill(int(kill_after))], Saving(minutes=1e-9)
        options = {"resume": saved, "watchers": watchers, "saving": saving}
        train(model, Path(folder), options=options, **plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
