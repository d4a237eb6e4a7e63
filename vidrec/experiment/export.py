"""Exports an experiment's trained streams, fused, as a SavedModel."""

import dataclasses
import json
from pathlib import Path

import vidrec
from vidrec.experiment.runs import PROVENANCE, fusion_of, lacking, load_for
from vidrec.export import savedmodel
from vidrec.models.layers.fusion import fuse_streams


def export(experiment, out, destination=None):
    """Writes the fused model, or the only stream, as a SavedModel that equals the Keras model.

    Args:
        experiment: config.Experiment, its streams trained.
        out: folder of all runs.
        destination: path or None for `<out>/<name>/savedmodel`.

    Returns:
        (Path of the SavedModel, largest absolute difference of its logits from the Keras model's).

    Raises:
        FileNotFoundError: if a stream is not trained.
        ValueError: if the streams have different classes.
        RuntimeError: if the SavedModel does not equal the Keras model; then none is written.
    """
    streams = [load_for(experiment, name, out) for name in experiment.streams]
    if len({stream.classes for stream in streams}) > 1:
        raise ValueError(
            f"The streams in {[str(stream.run) for stream in streams]} must be trained on the same "
            f"classes. Received: {[len(stream.classes) for stream in streams]} classes, in "
            "different lists"
        )
    models = [stream.model for stream in streams]
    facts = {
        "vidrec": vidrec.__version__,
        "experiment": experiment.name,
        "clip": dataclasses.asdict(experiment.clip_spec(test=True)),
        "sampling": experiment.sampling.model_dump(mode="json"),
        "flow": experiment.data.flow.model_dump(),
        "short_side": experiment.evaluation.short_side,
        "resize": experiment.evaluation.resize,
        "crops": experiment.evaluation.crops,
        "views_on": experiment.evaluation.views_on,
        "flow_flip": experiment.augment.flow_flip,
        "short_video": experiment.data.short_video,
        "partial": sorted(set().union(*(lacking(stream.data) for stream in streams))),
        "runs": [_provenance(stream.run) for stream in streams],
    }
    destination = Path(destination or Path(out) / experiment.name / "savedmodel")
    difference = savedmodel.export_savedmodel(
        _fused(experiment, models) if len(models) == 2 else models[0],
        destination,
        classes=streams[0].classes,
        facts=facts,
    )
    return destination, difference


def _provenance(run):
    """What made a run, without the paths of the machine: the folder is there to be shared."""
    facts = json.loads((run / PROVENANCE).read_text())
    return {name: fact for name, fact in facts.items() if name not in ("command", "config")}


def _fused(experiment, models):
    weights, on = fusion_of(experiment)
    settings = experiment.fusion
    return fuse_streams(
        *models, weights=weights, normalize=settings.normalize, layer=settings.layer, on=on
    )
