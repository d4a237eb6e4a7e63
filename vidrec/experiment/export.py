"""Exports an experiment's trained streams, fused, as a SavedModel."""

import dataclasses
import json
from pathlib import Path

import numpy as np

import vidrec
from vidrec.experiment.runs import PROVENANCE, load_stream, stream_folder
from vidrec.export import savedmodel
from vidrec.models.multiseg_xception import fuse


def export(experiment, out, destination=None):
    """Writes the fused model, or the only stream, as a SavedModel and checks it against Keras.

    Returns:
        (Path of the SavedModel, largest difference of probabilities on random clips).
    """
    streams, classes = [], None
    for stream in experiment.streams:
        model, classes = load_stream(stream_folder(experiment, stream, out))
        streams.append(model)
    if len(streams) == 2:
        model = _fused(experiment, streams)
    clip = experiment.clip_spec()
    data, weights = experiment.data, [stream_folder(experiment, s, out) for s in experiment.streams]
    facts = {
        "vidrec": vidrec.__version__,
        "experiment": experiment.name,
        "clip": dataclasses.asdict(clip),
        "flow": data.flow.model_dump(),
        "short_side": experiment.evaluation.short_side,
        "runs": [json.loads((run / PROVENANCE).read_text()) for run in weights],
    }
    destination = Path(destination or Path(out) / experiment.name / "savedmodel")
    savedmodel.export_savedmodel(model, destination, classes=classes, facts=facts)
    rng = np.random.default_rng(experiment.seed)
    clips = {
        name: rng.integers(0, 256, (2, *clip.shape(name)), dtype=np.uint8)
        for name in clip.modalities
    }
    return destination, savedmodel.parity(model, destination, clips)


def _fused(experiment, streams):
    settings = experiment.fusion
    return fuse(
        *streams,
        weights=(settings.spatial, settings.temporal),
        normalize=settings.normalize,
        layer=settings.layer,
        on="scores" if experiment.fused_on == "logits" else "probabilities",
    )
