"""One stage of training: compile, fit, log, checkpoint."""

import dataclasses
import sys

import keras

from vidrec.training import callbacks, stages, strategy
from vidrec.training.checkpoints import restore_checkpoint
from vidrec.training.finishing import with_finishing


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagePlan:
    """What a stage does. `rate_of` maps an epoch to a learning rate, `stop` holds the arguments of
    `StopWhenStable` or is None, `backbones` and `weight_decay` are as in `vidrec.training.stages`;
    the rest is as in `vidrec.config.Stage`."""

    name: str
    layers: object
    epochs: int
    optimizer: object
    rate_of: object
    stop: dict | None = None
    freeze_bn: bool = False
    checkpoint_every: int = 1
    weight_decay: float = 0.0
    backbones: tuple = ("xception",)


def train_stage(
    model,
    plan,
    *,
    number,
    clips_from,
    steps,
    run_folder,
    seed,
    resume=None,
    validation=None,
    skipped=None,
    finish=None,
):
    """Trains one stage and leaves its last checkpoint in `run_folder/checkpoints`.

    Args:
        model: keras.Model from clips to logits, built under the strategy in use.
        plan: StagePlan.
        number: int, the position of the stage in the run.
        clips_from: function of the first epoch, gives the Dataset from there to the last epoch.
        steps: int, batches an epoch.
        run_folder: Path. `log.csv` and `checkpoints/` are written there.
        seed: int.
        resume: (path, state) of a checkpoint of this stage, or None to begin it.
        validation: Dataset or None; evaluated after each epoch.
        skipped: callbacks.Skipped or None.
        finish: what makes clips of the batches of `clips_from`, see `finishing.with_finishing`, or
            None if they are clips.

    Raises:
        keras' or TensorFlow's error if the loss becomes NaN; the last finite checkpoint stays.
    """
    stages.set_trainable(model, plan.layers, backbones=plan.backbones, freeze_bn=plan.freeze_bn)
    stages.decay_weights(model, plan.weight_decay)
    strategy.synchronise_batch_norm(model)
    clips_to_logits, model = model, with_finishing(model, finish)
    model.compile(
        optimizer=plan.optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    stages.build_optimizer(model.optimizer, model)
    first = 0
    if resume is not None:
        restore_checkpoint(resume[0], model)
        first = resume[1]["epochs_done"]
    log_path = run_folder / "log.csv"
    stop = []
    if plan.stop is not None:
        log = callbacks.read_log(log_path)
        log = log[(log.stage == plan.name) & (log.epoch < first)]
        seen = list(zip(log.learning_rate, log.accuracy, strict=True))
        stop = [callbacks.StopWhenStable(**plan.stop, seen=seen)]
    model.fit(
        clips_from(first),
        epochs=plan.epochs,
        initial_epoch=first,
        steps_per_epoch=steps,
        shuffle=False,  # the Dataset has its own order
        verbose=1 if sys.stdout.isatty() else 0,
        callbacks=[
            keras.callbacks.TerminateOnNaN(raise_error=True),
            keras.callbacks.LearningRateScheduler(plan.rate_of),
            callbacks.DropoutSeed(seed, number),
            *(
                [callbacks.Validation(validation, clips_to_logits)]
                if validation is not None
                else []
            ),
            callbacks.CsvLog(log_path, plan.name),
            *stop,
            callbacks.Checkpoint(
                run_folder / "checkpoints", number, plan.checkpoint_every, plan.epochs
            ),
            callbacks.EpochLine(plan.name, plan.epochs),
            *([skipped] if skipped else []),
        ],
    )
