"""An experiment's clips: batches for training, and for evaluation by its protocol."""

import dataclasses
import functools
import json

from vidrec.export.recipe import ClipRecipe
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.pipeline import dataset, finishing
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store


def clip_source(experiment, videos, classes, clip, *, cached=True, test=False):
    """The videos as a source of clips for one stream.

    Places in a video are drawn for the clip of all streams of the experiment, so that streams
    which are scored apart see the same moments (decision 32 of the specification).

    Args:
        experiment: config.Experiment.
        videos: DataFrame, rows of the index.
        classes: sequence of str.
        clip: ClipSpec of the stream.
        cached: bool, whether `data.cache` counts.
        test: bool, whether `clip` is that of the test (`Experiment.clip_spec`).

    Raises:
        ValueError: if flow was extracted otherwise than the experiment says, or as `ClipSource`; if
            the folder of the cache holds something else, see `vidrec.extraction.pack.pack`.
    """
    if "flow" in clip.modalities:
        _check_flow(experiment, videos)
    return ClipSource(
        store=_store(experiment.data, cached),
        table=videos,
        classes=classes,
        clip=clip,
        short_video=experiment.data.short_video,
        sampling=Sampling(**experiment.sampling.model_dump()),
        timing=experiment.clip_spec(test=test),
        on_missing=experiment.data.on_missing,
        in_memory=cached and experiment.data.cache == "memory",
        fast_dct=experiment.data.fast_dct,
        clips=experiment.evaluation.clips if test else 1,
    )


def for_a_look(experiment, **evaluation):
    """The experiment for some of its clips: one of each video, by no cache and not finished on the
    device; `evaluation`: keys of that section."""
    data = experiment.data.model_copy(update={"cache": None, "finish": "pipeline"})
    test = experiment.evaluation.model_copy(update={"clips": 1} | evaluation)
    return experiment.model_copy(update={"data": data, "evaluation": test})


def recipe_of(experiment, *streams):
    """The ClipRecipe of the test of the given streams, or of all, without draws."""
    settings = experiment.evaluation
    return ClipRecipe(
        clip=experiment.clip_spec(*streams, test=True),
        sampling=Sampling(**experiment.sampling.model_dump()),
        timing=experiment.clip_spec(test=True),
        flow=FlowSettings(**experiment.data.flow.model_dump()),
        short_side=settings.short_side,
        resize=settings.resize,
        pad=experiment.data.short_video == "pad",
        clips=settings.clips,
        crops=settings.crops,
        flow_flip=experiment.augment.flow_flip,
        views_on=settings.views_on,
    )


def _store(data, cached):
    """The store that images are read from, a pack of it in the folder of the cache if there is one,
    which is made here if it is not there."""
    store = Store(data.root, data.layout)
    if not cached or data.cache in (None, "memory"):
        return store
    if data.layout == PACKED:
        raise ValueError(
            "data.cache packs loose files, and data.root is a pack already: copy its folder and "
            f"name the copy as data.root. Received: data.cache={data.cache!r}"
        )
    pack(store, data.cache)
    return Store(data.cache, PACKED)


def _check_flow(experiment, videos):
    """One kind of flow, and the one that an exported model will compute for itself."""
    wanted = FlowSettings(**experiment.data.flow.model_dump())
    kinds = videos[["flow_algorithm", "flow_parameters"]].drop_duplicates().to_numpy().tolist()
    for algorithm, parameters in kinds:
        if algorithm.startswith("unknown") or not parameters:
            continue  # extracted by another tool, or not at all, which ClipSource tells
        found = json.loads(parameters)
        found = FlowSettings(engine=algorithm, bound=found["bound"], quantize=found["quantize"])
        if found != wanted and found != wanted.available():
            raise ValueError(
                f"The flow in {experiment.data.root} must be what data.flow says: "
                f"{dataclasses.asdict(wanted)}. Received: {dataclasses.asdict(found)}. Run `vidrec "
                "extract-flow --config` with this experiment, or correct data.flow."
            )
    if len(kinds) > 1:
        raise ValueError(
            f"The flow in {experiment.data.root} was made in {len(kinds)} ways. Run `vidrec "
            f"extract-flow` again, which makes it alike. Received: {kinds}"
        )


def training_batches(
    experiment, source, stage, *, number, first_epoch, first_step=0, shard=(0, 1), facts=False
):
    """The batches of a stage from a step on; `number` is the stage's position in its run.

    first_epoch, first_step, shard, facts: see `dataset.training_clips`.
    """
    return dataset.training_clips(
        source,
        batch_size=stage.batch_size,
        seed=experiment.seed + 7919 * number,  # stages differ in their draws
        epochs=stage.epochs,
        first_epoch=first_epoch,
        first_step=first_step,
        shard=shard,
        shuffle_order=experiment.shuffle_order,
        options=_augmentation(experiment),
        finished=experiment.data.finish == "pipeline",
        facts=facts,
    )


def finisher(experiment, clip):
    """What makes clips of the training batches: None if the pipeline has done it, or a function.

    `clip`: ClipSpec of the stream.
    """
    if experiment.data.finish == "pipeline":
        return None
    return functools.partial(finishing.finish, size=clip.size, options=_augmentation(experiment))


def _augmentation(experiment):
    return Augmentation(**experiment.augment.model_dump())


def evaluation_batches(experiment, source, *, draw=0):
    """The clip of each test video, in all its views: random draw number `draw`, or the centre of
    each segment."""
    views = {"views": experiment.evaluation.crops, "flow_flip": experiment.augment.flow_flip}
    batch = max(1, experiment.evaluation.batch_size // experiment.evaluation.views)
    return _evaluation(experiment, source, batch, seed=draw, **views)


def validation_batches(experiment, source):
    """What each epoch is watched by: the first draw, in one view."""
    return _evaluation(experiment, source, experiment.evaluation.batch_size)


def _evaluation(experiment, source, batch_size, **options):
    settings = experiment.evaluation
    return dataset.evaluation_clips(
        source,
        batch_size=batch_size,
        sampling_mode=settings.sampling,
        short_side=settings.short_side,
        to=settings.resize,
        **options,
    )
