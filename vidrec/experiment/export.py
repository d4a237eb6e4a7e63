"""Exports an experiment's trained streams, fused, as a SavedModel."""

import dataclasses
import json
from pathlib import Path

import vidrec
from vidrec.experiment import clips
from vidrec.experiment.runs import PROVENANCE, load_stream, stream_folder
from vidrec.experiment.videos import split_videos
from vidrec.export import savedmodel
from vidrec.models.multiseg_xception import fuse


def export(experiment, out, destination=None):
    """Writes the fused model, or the only stream, as a SavedModel, and checks it against Keras.

    Args:
        experiment: config.Experiment, its streams trained.
        out: folder of all runs.
        destination: path or None for `<out>/<name>/savedmodel`.

    Returns:
        (Path of the SavedModel, largest absolute difference of its logits from the Keras model's
        on a batch of test clips).

    Raises:
        FileNotFoundError: if a stream is not trained.
        ValueError: if the streams have different classes.
    """
    runs = [stream_folder(experiment, stream, out) for stream in experiment.streams]
    streams, names = zip(*(load_stream(run) for run in runs), strict=True)
    if len(set(names)) > 1:
        raise ValueError(
            f"The streams in {[str(run) for run in runs]} must be trained on the same classes. "
            f"Received: {[len(found) for found in names]} classes, in different lists"
        )
    model = _fused(experiment, streams) if len(streams) == 2 else streams[0]
    facts = {
        "vidrec": vidrec.__version__,
        "experiment": experiment.name,
        "clip": dataclasses.asdict(experiment.clip_spec()),
        "flow": experiment.data.flow.model_dump(),
        "short_side": experiment.evaluation.short_side,
        "runs": [json.loads((run / PROVENANCE).read_text()) for run in runs],
    }
    destination = Path(destination or Path(out) / experiment.name / "savedmodel")
    savedmodel.export_savedmodel(model, destination, classes=names[0], facts=facts)
    _, test_videos, classes = split_videos(experiment)
    source = clips.clip_source(experiment, test_videos, classes, experiment.clip_spec())
    batch, _ = next(iter(clips.evaluation_batches(experiment, source)))
    return destination, savedmodel.parity(model, destination, batch)


def _fused(experiment, streams):
    settings = experiment.fusion
    return fuse(
        *streams,
        weights=(settings.spatial, settings.temporal),
        normalize=settings.normalize,
        layer=settings.layer,
        on="scores" if experiment.fused_on == "logits" else "probabilities",
    )
