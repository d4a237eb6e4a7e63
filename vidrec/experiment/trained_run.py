"""A trained run as what is exported: the model, how its clips are made, what is to be known."""

import dataclasses
import json
from pathlib import Path

import keras
import pandas as pd

import vidrec
from vidrec import config
from vidrec.clip import MODALITIES
from vidrec.experiment.clips import recipe_of
from vidrec.experiment.runs import CONFIG, PROVENANCE, WEIGHTS, fusion_of, lacking, load_for
from vidrec.export.recipe import ClipRecipe
from vidrec.files import sha256
from vidrec.models import registry
from vidrec.models.layers.fusion import fuse_streams


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """Attributes:
    experiment: config.Experiment.
    model: keras.Model of the only stream, or of the fused ones.
    classes: tuple of N str.
    recipe: ClipRecipe of the test.
    facts: JSON-able dict, all that is to be known of the model.
    """

    experiment: config.Experiment
    model: keras.Model
    classes: tuple
    recipe: ClipRecipe
    facts: dict


def load_run(run, **overrides):
    """Loads a run.

    Args:
        run: path of a stream's run folder, or of an experiment's, `<out>/<name>`: then of all its
            streams, fused if there are two.
        **overrides: values that replace keys of the experiment's `data`; None is ignored.

    Returns:
        TrainedRun.

    Raises:
        FileNotFoundError: if there is no such run, or a stream is not trained.
        ValueError: if the streams have different classes.
    """
    run = Path(run)
    home, names = (run.parent, (run.name,)) if (run / WEIGHTS).is_file() else (run, ())
    experiment = config.load(_config(home, names), allow_missing=True, **overrides)
    names = names or tuple(experiment.streams)
    streams = [load_for(experiment, name, home.parent) for name in names]
    if len({stream.classes for stream in streams}) > 1:
        raise ValueError(
            f"The streams in {[str(stream.run) for stream in streams]} must be trained on the same "
            f"classes. Received: {[len(stream.classes) for stream in streams]} classes, in "
            "different lists"
        )
    models, fusion = [stream.model for stream in streams], None
    if len(models) > 1:
        weights, on = fusion_of(experiment)
        settings = experiment.fusion
        options = {"normalize": settings.normalize, "layer": settings.layer}
        models = [fuse_streams(*models, weights=weights, on=on, **options)]
        fusion = {"weights": weights, "on": on}
    recipe = recipe_of(experiment, *names)
    facts = {
        "vidrec": vidrec.__version__,
        "experiment": experiment.name,
        "model": experiment.model.name,
        "paper": registry.PAPERS[experiment.model.name],
        "streams": names,
        "fusion": fusion,
        "classes": streams[0].classes,
        **recipe.facts(),
        "normalisation": _normalisation(models[0]),
        "data": streams[0].data | {"split": experiment.data.split.name},
        "partial": sorted(set().union(*(lacking(stream.data) for stream in streams))),
        "tested_on": _tested_on(experiment.evaluation),
        "accuracy": _accuracy(home / "evaluation", names),
        "runs": [_provenance(stream.run) for stream in streams],
    }
    return TrainedRun(experiment, models[0], streams[0].classes, recipe, facts)


def _config(home, names):
    """Path of the configuration: that of the last test, or of a stream's training."""
    places = [home / "evaluation", *(home / name for name in names or reversed(config.STREAMS))]
    for place in places:
        if (place / CONFIG).is_file():
            return place / CONFIG
    raise FileNotFoundError(
        f"{home} holds no run: there is no {CONFIG} in any of {[str(place) for place in places]}. "
        "Give the folder of a stream that `vidrec train` wrote, or the one above it."
    )


def _normalisation(model):
    """What the first layers do with each modality: [{"layer", "scale", "offset"}, ...]."""
    return {
        modality: [
            {"layer": layer.name, "scale": layer.scale, "offset": layer.offset}
            for layer in model._flatten_layers()
            if isinstance(layer, keras.layers.Rescaling) and layer.name.startswith(modality)
        ]
        for modality in MODALITIES
        if modality in model.input
    }


def _tested_on(settings):
    if settings.sampling == "random":
        return f"random frames, drawn {settings.draws} times; this model takes those in the middle"
    return "the same frames as this model takes"


def _accuracy(folder, names):
    """The row of `summary.csv` that is about these streams, or None."""
    if not (folder / "summary.csv").is_file():
        return None
    summary = pd.read_csv(folder / "summary.csv", index_col="stream")
    row = "fused" if len(names) > 1 else names[0]
    return json.loads(summary.loc[row].to_json()) if row in summary.index else None


def _provenance(run):
    """What made a run, without the paths of the machine: the folder is there to be shared."""
    facts = json.loads((run / PROVENANCE).read_text(encoding="utf-8"))
    facts = {name: fact for name, fact in facts.items() if name not in ("command", "config")}
    return facts | {"weights_sha256": sha256(run / WEIGHTS)}
