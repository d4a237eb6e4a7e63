"""Trains one stream of an experiment through its stages."""

from pathlib import Path

import keras

from vidrec import config
from vidrec.evaluation import plots
from vidrec.experiment.runs import (
    CLASSES,
    WEIGHTS,
    build_stream,
    claim,
    load_stream,
    stream_folder,
)
from vidrec.experiment.videos import split_videos
from vidrec.files import write_atomic
from vidrec.models.transfer import transfer_weights
from vidrec.pipeline import dataset
from vidrec.pipeline.augmentation import Augmentation
from vidrec.store import Store
from vidrec.training import callbacks, checkpoints, schedules
from vidrec.training.fit import StagePlan, train_stage
from vidrec.training.strategy import choose_strategy


def train(experiment, stream, out, *, config_path="", resume=False):
    """Trains one stream through its stages.

    Args:
        experiment: config.Experiment.
        stream: "spatial" or "temporal".
        out: folder of all runs; this one's is `<out>/<name>/<stream>`.
        config_path: str, recorded.
        resume: bool, go on where this run stopped; nothing to do if it is complete.

    Returns:
        The Path of the run folder.

    Raises:
        FileExistsError: if the folder holds a run and `resume` is False.
        ValueError: if that run has another configuration, or `stream` is not trained here.
    """
    plan = experiment.streams.get(stream)
    if plan is None or plan.run is not None:
        raise ValueError(
            f"{experiment.name} does not train a stream {stream!r}. "
            f"Received: streams {sorted(s for s, p in experiment.streams.items() if p.stages)}"
        )
    run = stream_folder(experiment, stream, out)
    claim(run, experiment, stream, config_path, resume)
    if (run / WEIGHTS).exists():
        print(f"{stream}: trained already, in {run}")
        return run

    train_videos, test_videos, classes = split_videos(experiment)
    clip = experiment.clip_spec(config.STREAMS[stream])
    store = Store(experiment.data.root, experiment.data.layout)
    shared = {"store": store, "classes": classes, "clip": clip}
    shared["short_video"] = experiment.data.short_video
    source = dataset.ClipSource(table=train_videos, **shared)
    held_out = dataset.ClipSource(table=test_videos, **shared)
    write_atomic(run / CLASSES, ("\n".join(classes) + "\n").encode())
    print(
        f"{stream}: {len(source)} training and {len(held_out)} test videos, {len(classes)} classes"
    )

    keras.utils.set_random_seed(experiment.seed)
    with choose_strategy().scope():
        model = _new_stream(experiment, stream, out, len(classes), clip)
        saved = checkpoints.last_checkpoint(run / "checkpoints")
        for number, stage in enumerate(plan.stages):
            if saved and number < saved[1]["stage"]:
                continue
            here = saved if saved and number == saved[1]["stage"] else None
            if here and here[1]["epochs_done"] >= stage.epochs:
                checkpoints.restore_checkpoint(here[0], model)
                continue
            seed = experiment.seed + 7919 * number
            train_stage(
                model,
                _stage_plan(stage),
                number=number,
                clips_from=lambda first, stage=stage, seed=seed: dataset.training_clips(
                    source,
                    batch_size=stage.batch_size,
                    seed=seed,
                    epochs=stage.epochs,
                    first_epoch=first,
                    shuffle_order=experiment.shuffle_order,
                    options=Augmentation(**experiment.augment.model_dump()),
                ),
                steps=dataset.steps_per_epoch(source, stage.batch_size),
                run_folder=run,
                seed=experiment.seed,
                resume=here,
                validation=_validation(experiment, held_out)
                if experiment.evaluation.each_epoch
                else None,
            )
    partial = run / f"partial.{WEIGHTS}"
    model.save_weights(partial)
    partial.replace(run / WEIGHTS)
    plots.plot_curves(callbacks.read_log(run / "log.csv"), run / "curves.png", f"{stream} stream")
    return run


def _new_stream(experiment, stream, out, num_classes, clip):
    """A stream with its initial weights."""
    init = experiment.streams[stream].init
    model = build_stream(experiment, stream, num_classes, clip, weights=init.weights)
    if init.run is not None:
        from_here = init.run in experiment.streams
        run = stream_folder(experiment, init.run, out) if from_here else Path(init.run)
        parent, _ = load_stream(run)
        averaged = transfer_weights(
            parent, model, include_head=init.include_head, scale=init.cross_modality_scale
        )
        how = f", {averaged} averaged over its input channels" if averaged else ""
        print(f"{stream}: starts from {run}{how}")
    return model


def _stage_plan(stage):
    schedule = stage.schedule
    if schedule.kind == "step":
        arguments = schedule.model_dump(include={"rate", "factor", "every", "minimum"})
        rate_of = lambda epoch: schedules.step_decay(epoch, **arguments)  # noqa: E731
    else:
        arguments = schedule.model_dump(include={"rate", "minimum"}) | {"epochs": stage.epochs}
        rate_of = lambda epoch: schedules.cosine_decay(epoch, **arguments)  # noqa: E731
    if stage.optimizer.name == "sgd":
        optimizer = keras.optimizers.SGD(schedule.rate, momentum=stage.optimizer.momentum)
    else:
        optimizer = keras.optimizers.Adam(schedule.rate)
    return StagePlan(
        name=stage.name,
        layers=stage.layers,
        epochs=stage.epochs,
        optimizer=optimizer,
        rate_of=rate_of,
        stop=stage.stop.model_dump() if stage.stop else None,
        freeze_bn=stage.freeze_bn,
        checkpoint_every=stage.checkpoint_every,
    )


def _validation(experiment, source):
    """One random draw of the test videos: the paper's, noisy and cheap (section 3.4.2)."""
    settings = experiment.evaluation
    return dataset.evaluation_clips(
        source,
        batch_size=settings.batch_size,
        sampling_mode=settings.sampling,
        short_side=settings.short_side,
    )
