"""An experiment's clips: batches for training, and for evaluation by its protocol."""

from vidrec.pipeline import dataset
from vidrec.pipeline.augmentation import Augmentation
from vidrec.store import Store


def clip_source(experiment, videos, classes, clip):
    """The videos as a source of clips for one stream.

    Places in a video are drawn for the clip of all streams of the experiment, so that streams
    which are scored apart see the same moments (decision 32 of the specification).
    """
    return dataset.ClipSource(
        store=Store(experiment.data.root, experiment.data.layout),
        table=videos,
        classes=classes,
        clip=clip,
        short_video=experiment.data.short_video,
        timing=experiment.clip_spec(),
    )


def training_batches(experiment, source, stage, *, number, first_epoch):
    """The batches of a stage from `first_epoch` on; `number` is the stage's position in its run."""
    return dataset.training_clips(
        source,
        batch_size=stage.batch_size,
        seed=experiment.seed + 7919 * number,  # stages differ in their draws
        epochs=stage.epochs,
        first_epoch=first_epoch,
        shuffle_order=experiment.shuffle_order,
        options=Augmentation(**experiment.augment.model_dump()),
    )


def evaluation_batches(experiment, source, *, draw=0):
    """One clip of each test video: random draw number `draw`, or the centre of each segment."""
    settings = experiment.evaluation
    return dataset.evaluation_clips(
        source,
        batch_size=settings.batch_size,
        sampling_mode=settings.sampling,
        seed=draw,
        short_side=settings.short_side,
    )
