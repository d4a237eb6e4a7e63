"""Trains one stream of an experiment through its stages."""

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
from vidrec.files import flush
from vidrec.models import registry
from vidrec.models.transfer import transfer_weights
from vidrec.pipeline.order import steps_per_epoch
from vidrec.training import callbacks, checkpoints
from vidrec.training.finishing import with_finishing
from vidrec.training.fit import train_stage
from vidrec.training.stages import set_trainable
from vidrec.training.strategy import check_batch_size, choose_strategy


def train(experiment, stream, out, *, config_path="", resume=False):
    """Trains one stream through its stages.

    Args:
        experiment: config.Experiment.
        stream: "spatial", "temporal" or "joint".
        out: folder of all runs; this one's is `<out>/<name>/<stream>`.
        config_path: str, recorded.
        resume: bool, go on where this run stopped; nothing to do if it is complete.

    Returns:
        The Path of the run folder.

    Raises:
        FileExistsError: if the folder holds a run and `resume` is False.
        FileNotFoundError: if frames, flow or the run that this one starts from are not there.
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
    check_free(run, experiment, stream, resume)
    if (run / WEIGHTS).exists():
        print(f"{stream}: trained already, in {run}")
        return run

    split, classes = split_videos(experiment)
    clip = experiment.clip_spec(stream)
    source = clips.clip_source(experiment, split.train, classes, clip)
    watched = "test" if split.validation is None else "validation"  # without one, as the papers do
    each_epoch = experiment.evaluation.each_epoch
    held_out = clips.clip_source(experiment, split.sides[watched], classes, clip, cached=each_epoch)
    sizes = f"{len(source)} training and {len(held_out)} {watched} videos"
    print(f"{stream}: {sizes}, {len(classes)} classes", flush=True)
    validation = None
    if each_epoch:  # one draw: the paper's, noisy and cheap (3.4.2)
        validation = clips.validation_batches(experiment, held_out)

    keras.utils.set_random_seed(experiment.seed)
    with choose_strategy().scope():
        model, parent = _new_stream(experiment, stream, out, classes, clip, split.test.video_id)
        check_length(model, experiment.clip_spec(stream, test=True))
        backbones = registry.get(experiment.model.name).BACKBONES
        for stage in plan.stages:  # all that can be wrong is found before the first one trains
            set_trainable(model, stage.layers, backbones=backbones)
            check_batch_size(stage.batch_size)
            steps_per_epoch(len(source), stage.batch_size)
        begin(
            run,
            experiment,
            stream,
            classes,
            split,
            facts={
                "config": str(config_path),
                "data": describe(experiment, split) | {"parent": parent},
            },
        )
        caution(experiment, stream, split.train)
        finish = clips.finisher(experiment, clip)
        skipped = callbacks.Skipped(source.guard.report, run / "skipped.csv")
        saved = checkpoints.last_checkpoint(run / "checkpoints")
        for number, stage in enumerate(plan.stages):
            if saved and number < saved[1]["stage"]:
                continue
            here = saved if saved and number == saved[1]["stage"] else None
            if here and here[1]["epochs_done"] >= stage.epochs:
                checkpoints.restore_checkpoint(here[0], with_finishing(model, finish))
                continue
            with source.guard.explained(), held_out.guard.explained():
                train_stage(
                    model,
                    stage_plan(stage, backbones),
                    number=number,
                    clips_from=lambda first, stage=stage, number=number: clips.training_batches(
                        experiment, source, stage, number=number, first_epoch=first
                    ),
                    steps=steps_per_epoch(len(source), stage.batch_size),
                    run_folder=run,
                    seed=experiment.seed,
                    resume=here,
                    validation=validation,
                    skipped=skipped,
                    finish=finish,
                )
    plots.plot_curves(callbacks.read_log(run / "log.csv"), run / "curves.png", f"{stream} stream")
    partial = run / f"partial.{WEIGHTS}"
    keras.Model(model.input, model.output).save_weights(partial)  # without the optimizer
    flush(partial)
    partial.replace(run / WEIGHTS)  # from here on the run is complete
    shutil.rmtree(run / "checkpoints")
    return run


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
    print(f"{stream}: starts from {run}{how}", flush=True)
    return model, parent.data
