"""Trains one stream of an experiment through its stages."""

import contextlib
import functools
import shutil
from pathlib import Path

import keras

from vidrec.evaluation import plots
from vidrec.experiment import clips
from vidrec.experiment.cautions import caution
from vidrec.experiment.runs import (
    WEIGHTS,
    begin,
    build_stream,
    check_free,
    check_length,
    load_stream,
    stream_folder,
)
from vidrec.experiment.splits import describe, split_videos
from vidrec.experiment.stage_plans import stage_plan
from vidrec.experiment.watchers import Watchers
from vidrec.files import flush
from vidrec.models import registry
from vidrec.models.transfer import transfer_weights
from vidrec.pipeline.order import steps_per_epoch
from vidrec.training import callbacks, checkpoints
from vidrec.training.fit import Saving, train_stage
from vidrec.training.stages import set_trainable
from vidrec.training.strategy import (
    check_parts,
    check_precision,
    choose_strategy,
    is_chief,
    parts_of,
    wait_for_all,
)


def train(
    experiment,
    stream,
    out,
    *,
    config_path="",
    resume=False,
    keep=2,
    minutes=15,
    slurm=False,
    wandb=None,
):
    """Trains one stream through its stages, on all devices there are, of all machines.

    Args:
        experiment: config.Experiment.
        stream: "spatial", "temporal" or "joint".
        out: folder of all runs; this one's is `<out>/<name>/<stream>`. Machines share it.
        config_path: str, recorded.
        resume: bool, go on where this run stopped; nothing to do if it is complete.
        keep, minutes: see `vidrec.training.fit.Saving`.
        slurm: bool, see `vidrec.training.strategy.choose_strategy`.
        wandb: str or None, see `vidrec.experiment.watchers.Watchers`.

    Returns:
        The Path of the run folder.

    Raises:
        FileExistsError: if the folder holds a run and `resume` is False.
        FileNotFoundError: if frames, flow or the run that this one starts from are not there.
        KeyboardInterrupt: if a stop was asked for, see `vidrec.training.fit.train_stage`.
        RuntimeError: if the loss is not finite, or the device's memory too small.
        ValueError: if that run has another configuration or other videos, if the videos cannot give
            the clips, if a stage cannot be trained as it says, or if `stream` is not trained here.
    """
    plan = experiment.streams.get(stream)
    if plan is None or plan.run is not None:
        raise ValueError(
            f"{experiment.name} does not train a stream {stream!r}. "
            f"Received: streams {sorted(s for s, p in experiment.streams.items() if p.stages)}"
        )
    run = stream_folder(experiment, stream, out)
    with choose_strategy(slurm=slurm).scope(), _precision(experiment.precision):
        check_free(run, experiment, stream, resume)
        if (run / WEIGHTS).exists():
            _say(f"{stream}: trained already, in {run}")
            return run
        saving = Saving(keep=keep, minutes=minutes)
        model = _train(experiment, stream, out, run, config_path, saving, wandb)
        if is_chief():
            _complete(run, model, f"{stream} stream")
        wait_for_all()
    return run


def _train(experiment, stream, out, run, config_path, saving, wandb):
    """The trained model; its last checkpoint is in the run folder."""
    split, classes = split_videos(experiment)
    clip = experiment.clip_spec(stream)
    source = clips.clip_source(experiment, split.train, classes, clip)
    watched = "test" if split.validation is None else "validation"  # without one, as the papers do
    each_epoch = experiment.evaluation.each_epoch
    held_out = clips.clip_source(experiment, split.sides[watched], classes, clip, cached=each_epoch)
    sizes = f"{len(source)} training and {len(held_out)} {watched} videos"
    _say(f"{stream}: {sizes}, {len(classes)} classes")

    keras.utils.set_random_seed(experiment.seed)
    held_out_ids = [
        name for side in split.sides if side != "train" for name in split.sides[side].video_id
    ]
    model, parent = _new_stream(experiment, stream, out, classes, clip, held_out_ids)
    check_length(model, experiment.clip_spec(stream, test=True))
    check_precision(model)
    stages = experiment.streams[stream].stages
    backbones = registry.get(experiment.model.name).BACKBONES
    for stage in stages:  # all that can be wrong is found before the first one trains
        set_trainable(model, stage.layers, backbones=backbones)
        check_parts(stage.batch_size, stage.accumulate, compiled=stage.compiled)
        steps_per_epoch(len(source), stage.batch_size)
    data = describe(experiment, split) | {"parent": parent}
    facts = {"config": str(config_path), "data": data}
    begin(run, experiment, stream, classes, split, facts=facts, writes=is_chief())

    validation = None
    if each_epoch:  # one draw: the paper's, noisy and cheap (3.4.2)
        batches = clips.validation_batches(experiment, held_out)
        validation = callbacks.Validation(batches, model)
    caution(experiment, stream, split.train)
    watchers = None
    if is_chief():
        watchers = Watchers(experiment, stream, run, classes, validation, wandb=wandb)
    skipped = callbacks.Skipped(source.guard.report, run / "skipped.csv")
    saved = checkpoints.last_checkpoint(run / "checkpoints")
    for number, stage in enumerate(stages):
        if saved and number < saved[1].stage:
            continue
        here = saved if saved and number == saved[1].stage else None
        if here and here[1].epoch >= stage.epochs:
            checkpoints.restore_checkpoint(here[0], {"model": model.variables})
            continue
        _say(f"{stream}: {stage.name}, {parts_of(stage.batch_size, stage.accumulate)}")
        batches_from = _batches_from(experiment, source, stage, number)
        with source.guard.explained(), held_out.guard.explained():
            train_stage(
                model,
                stage_plan(stage, backbones, experiment.precision),
                number=number,
                clips_from=batches_from,
                steps=steps_per_epoch(len(source), stage.batch_size),
                run_folder=run,
                resume=here,
                validation=validation,
                watchers=[skipped, *(watchers.of_stage(stage.name) if watchers else [])],
                finish=clips.finisher(experiment, clip),
                saving=saving,
                videos_of=functools.partial(_videos_of, batches_from),
            )
    if watchers:
        watchers.close()
    return model


def _batches_from(experiment, source, stage, number):
    def batches_from(epoch, step, shard=(0, 1), **options):
        return clips.training_batches(
            experiment,
            source,
            stage,
            number=number,
            first_epoch=epoch,
            first_step=step,
            shard=shard,
            **options,
        )

    return batches_from


def _videos_of(batches_from, epoch, step):
    """The videos of a batch, which can be had again: it is fixed by its number."""
    *_, facts = next(iter(batches_from(epoch, step, facts=True)))
    return [name.decode() for name in facts["video_id"].numpy()]


def _complete(run, model, title):
    """Writes what a run ends with. From its weights on it is complete."""
    plots.plot_curves(callbacks.read_log(run / "log.csv"), run / "curves.png", title)
    partial = run / f"partial.{WEIGHTS}"
    keras.Model(model.input, model.output).save_weights(partial)
    flush(partial)
    partial.replace(run / WEIGHTS)
    shutil.rmtree(run / "checkpoints")


@contextlib.contextmanager
def _precision(name):
    """Layers that are made inside compute in it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _say(text):
    if is_chief():
        print(text, flush=True)


def _new_stream(experiment, stream, out, classes, clip, test_videos):
    """A stream with its initial weights, and what the run that they are from was trained on."""
    init = experiment.streams[stream].init
    model = build_stream(experiment, stream, len(classes), clip, weights=init.weights)
    if init.run is None:
        return model, None
    from_here = init.run in experiment.streams
    run = stream_folder(experiment, init.run, out) if from_here else Path(init.run)
    parent = load_stream(run)
    parent.check_unseen(test_videos)
    if init.include_head and parent.classes != classes:
        raise ValueError(
            f"{run} was trained on other classes, so its head does not fit. Set "
            "init.include_head: false to take the rest of its weights. "
            f"Received: {len(parent.classes)} classes there, {len(classes)} here"
        )
    averaged = transfer_weights(
        parent.model, model, include_head=init.include_head, scale=init.cross_modality_scale
    )
    how = f", {averaged} averaged over its input channels" if averaged else ""
    how += "" if init.include_head else ", with a new head"
    _say(f"{stream}: starts from {run}{how}")
    return model, parent.data
