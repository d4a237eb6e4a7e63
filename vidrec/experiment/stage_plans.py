"""What a stage of an experiment says, as what training does: optimizer and rate."""

import functools

import keras

from vidrec.training import schedules
from vidrec.training.fit import StagePlan


def stage_plan(stage, backbones, precision="float32"):
    """The StagePlan of a stage.

    Args:
        stage: config.training.Stage.
        backbones: the model's `BACKBONES`.
        precision: see `config.Experiment`; float16 has its loss scaled.
    """
    optimizer = _optimizer(stage.optimizer, stage.schedule.rate)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return StagePlan(
        name=stage.name,
        layers=stage.layers,
        epochs=stage.epochs,
        batch_size=stage.batch_size,
        accumulate=stage.accumulate,
        compiled=stage.compiled,
        optimizer=optimizer,
        clip_norm=stage.optimizer.clip_norm,
        rate_of=_rate_of(stage.schedule, stage.epochs),
        stop=stage.stop.model_dump() if stage.stop else None,
        freeze_bn=stage.freeze_bn,
        checkpoint_every=stage.checkpoint_every,
        weight_decay=0.0 if stage.optimizer.name == "adamw" else stage.optimizer.weight_decay,
        backbones=backbones,
    )


def _optimizer(settings, rate):
    if settings.name == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum)
    if settings.name == "adam":
        return keras.optimizers.Adam(rate, epsilon=settings.epsilon)
    decay = settings.weight_decay
    return keras.optimizers.AdamW(rate, weight_decay=decay, epsilon=settings.epsilon)


def _rate_of(schedule, epochs):
    """The function of an epoch that a schedule stands for."""
    function, *names = {
        "step": (schedules.step_decay, "rate", "factor", "every", "minimum"),
        "milestones": (schedules.milestone_decay, "rate", "factor", "at"),
        "cosine": (schedules.cosine_decay, "rate", "minimum"),
        "constant": (schedules.constant, "rate"),
    }[schedule.kind]
    arguments = schedule.model_dump(include=set(names))
    if schedule.kind == "cosine":
        arguments["epochs"] = epochs
    rate_of = functools.partial(function, **arguments)
    if not schedule.warm_up:
        return rate_of
    return functools.partial(schedules.warm_up, rate_of=rate_of, epochs=schedule.warm_up)
