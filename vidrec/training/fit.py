"""One stage of training: step after step, log, checkpoint; the one loop for all five papers."""

import contextlib
import dataclasses
import math
import sys
import time

import keras
import tensorflow as tf

from vidrec.training import callbacks, stages, strategy
from vidrec.training.checkpoints import Progress, restore_checkpoint, save_checkpoint
from vidrec.training.finishing import with_finishing
from vidrec.training.speed import Speed
from vidrec.training.step import TrainingStep
from vidrec.training.stopping import stop_request


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagePlan:
    """What a stage does. `rate_of` maps an epoch to a learning rate, `stop` holds the arguments of
    `StopWhenStable` or is None, `backbones` and `weight_decay` are as in `vidrec.training.stages`,
    `accumulate`, `clip_norm` and `compiled` as in `TrainingStep`; the rest is as in
    `vidrec.config.Stage`."""

    name: str
    layers: object
    epochs: int
    batch_size: int
    optimizer: object
    rate_of: object
    stop: dict | None = None
    freeze_bn: bool = False
    checkpoint_every: int = 1
    weight_decay: float = 0.0
    backbones: tuple = ("xception",)
    accumulate: int = 1
    clip_norm: float | None = None
    compiled: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saving:
    """keep: int, how many checkpoints stay. minutes: float, after so long the next step is followed
    by one, beside those of `checkpoint_every`; 0 for these alone."""

    keep: int = 2
    minutes: float = 15

    def __post_init__(self):
        if self.keep < 1 or self.minutes < 0:
            raise ValueError(
                "`keep` must be at least 1 and `minutes` at least 0. "
                f"Received: keep={self.keep}, minutes={self.minutes}"
            )


def train_stage(
    model,
    plan,
    *,
    number,
    clips_from,
    steps,
    run_folder,
    resume=None,
    validation=None,
    watchers=(),
    finish=None,
    saving=None,
    videos_of=None,
):
    """Trains one stage and leaves its last checkpoint in `run_folder/checkpoints`.

    A stop that is asked for, by SIGTERM or ctrl-C, waits for the step in work and for a checkpoint.

    Args:
        model: keras.Model from clips to logits, built under the strategy in use.
        plan: StagePlan.
        number: int, the position of the stage in the run.
        clips_from: function of (epoch, step, shard), gives the Dataset from there to the last epoch
            of batches of `plan.batch_size`, of which a worker gets its part: see
            `vidrec.pipeline.dataset.training_clips`.
        steps: int, batches an epoch.
        run_folder: Path. `log.csv`, `speed.csv` and `checkpoints/` are written there.
        resume: (path, Progress) of a checkpoint of this stage, or None to begin it.
        validation: callbacks.Validation or None.
        watchers: keras.callbacks.Callback, more of them; the model is not compiled.
        finish: what makes clips of the batches of `clips_from`, see `finishing.with_finishing`, or
            None if they are clips.
        saving: Saving, or None for its defaults.
        videos_of: function of (epoch, step), names what that batch is of; or None.

    Raises:
        KeyboardInterrupt: if a stop was asked for; all is saved.
        RuntimeError: if the loss is not finite, or the device's memory too small; the last finite
            checkpoint stays.
    """
    stages.set_trainable(model, plan.layers, backbones=plan.backbones, freeze_bn=plan.freeze_bn)
    stages.decay_weights(model, plan.weight_decay)
    strategy.synchronise_batch_norm(model)
    optimizer, progress = plan.optimizer, Progress(number)
    stages.build_optimizer(optimizer, model)
    variables = {"model": model.variables, "optimizer": optimizer.variables}
    if resume is not None:
        restore_checkpoint(resume[0], variables)
        progress = dataclasses.replace(resume[1])
    saving, chief = saving or Saving(), strategy.is_chief()
    saved_at = time.monotonic()

    def save():
        nonlocal saved_at
        if chief:
            save_checkpoint(run_folder / "checkpoints", variables, progress, keep=saving.keep)
        saved_at = time.monotonic()

    data = strategy.distribute(
        clips_from, progress.epoch, progress.step, plan.batch_size, plan.accumulate
    )
    step = TrainingStep(
        with_finishing(model, finish),
        optimizer,
        data.element_spec,
        batch_size=plan.batch_size,
        accumulate=plan.accumulate,
        clip_norm=plan.clip_norm,
        compiled=plan.compiled,
    )
    batches, speed = iter(data), Speed(plan.batch_size)
    stopping = _stop_when_stable(plan, run_folder, progress)
    watching = _watching(model, plan, run_folder, steps, [validation, *stopping, *watchers], chief)
    model.stop_training = False
    with stop_request() as stop:
        watching.on_train_begin()
        while progress.epoch < plan.epochs:
            epoch, rate = progress.epoch, plan.rate_of(progress.epoch)
            optimizer.learning_rate = rate
            watching.on_epoch_begin(epoch)
            while progress.step < steps:
                with speed.waiting():
                    parts = [next(batches) for _ in range(plan.accumulate)]
                with speed.working(), _memory_explained(plan):
                    loss, hits, stopped = step(parts, bool(stop))
                if not math.isfinite(loss):
                    raise RuntimeError(_not_finite(plan, loss, rate, progress, videos_of))
                progress.step += 1
                progress.loss += loss
                progress.hits += hits
                watching.on_train_batch_end(progress.step - 1, _means(progress, plan))
                late = 0 < 60 * saving.minutes < time.monotonic() - saved_at
                if stopped or late:
                    save()
                if stopped:
                    raise KeyboardInterrupt
            logs = _means(progress, plan) | {"learning_rate": rate, **speed.of_epoch()}
            watching.on_epoch_end(epoch, logs)
            progress = Progress(number, plan.epochs if model.stop_training else epoch + 1)
            if progress.epoch % plan.checkpoint_every == 0 or progress.epoch == plan.epochs:
                save()
        watching.on_train_end()
    if stop:
        raise KeyboardInterrupt


def _means(progress, plan):
    accuracy = progress.hits / (progress.step * plan.batch_size)
    return {"loss": progress.loss / progress.step, "accuracy": accuracy}


def _stop_when_stable(plan, run_folder, progress):
    if plan.stop is None:
        return []
    log = callbacks.read_log(run_folder / "log.csv")
    log = log[(log.stage == plan.name) & (log.epoch < progress.epoch)]
    seen = list(zip(log.learning_rate, log.accuracy, strict=True))
    return [callbacks.StopWhenStable(**plan.stop, seen=seen)]


def _watching(model, plan, run_folder, steps, watchers, chief):
    """All callbacks; of the machines, one writes and prints."""
    told = [
        callbacks.CsvLog(run_folder / "log.csv", plan.name),
        callbacks.CsvLog(run_folder / "speed.csv", plan.name, callbacks.SPEED_COLUMNS),
        callbacks.EpochLine(plan.name, plan.epochs),
    ]
    if sys.stdout.isatty():
        told.insert(0, keras.callbacks.ProgbarLogger())
    if not chief:
        told, watchers = [], [w for w in watchers if isinstance(w, callbacks.StopWhenStable)]
    return keras.callbacks.CallbackList(
        [*(w for w in watchers if w is not None), *told],
        model=model,
        epochs=plan.epochs,
        steps=steps,
        verbose=1,
    )


@contextlib.contextmanager
def _memory_explained(plan):
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        at_once = plan.batch_size // replicas // plan.accumulate
        raise RuntimeError(
            f"The device's memory is too small for stage {plan.name}. Received: "
            f"batch_size={plan.batch_size}, accumulate={plan.accumulate} on {replicas} devices, "
            f"so {at_once} clips at a time. Raise `accumulate` (the step stays that of the whole "
            "batch), set `precision: mixed_float16` or `mixed_bfloat16`, or lower `batch_size` or "
            f"`clip.size`. ({error.message.splitlines()[0]})"
        ) from error


def _not_finite(plan, loss, rate, progress, videos_of):
    videos = videos_of(progress.epoch, progress.step) if videos_of else []
    named = f" Its videos: {', '.join(videos)}." if videos else ""
    return (
        f"The loss became {loss} (NaN or infinite) at step {progress.step + 1} of epoch "
        f"{progress.epoch + 1} of stage {plan.name}, at a learning rate of {rate:g}.{named} The "
        "last checkpoint is finite and stays. Try a lower rate, a warm-up or `clip_norm`."
    )
