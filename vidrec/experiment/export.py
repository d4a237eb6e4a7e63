"""Exports a trained run, so that it can be used without vidrec."""

import dataclasses
import json
from pathlib import Path

import jinja2
import numpy as np

from vidrec.experiment import clips
from vidrec.experiment.runs import WEIGHTS, stream_folder
from vidrec.experiment.splits import split_videos
from vidrec.experiment.trained_run import load_run
from vidrec.export import savedmodel
from vidrec.export.agreement import Agreement, agreement
from vidrec.export.litert import export_litert
from vidrec.export.onnx import export_onnx
from vidrec.export.predictor import newest, versions
from vidrec.export.video_graph import lacks_graph
from vidrec.extraction.progress import progress_bar
from vidrec.files import sha256, write_atomic

CONVERTED = (".tflite", ".onnx")
TEMPLATE = Path(__file__).with_name("model_card.md")
REAL_CLIPS = 4  # of the test, on which Keras and the SavedModel are compared
NOT_COMPARED = "not compared"


@dataclasses.dataclass(frozen=True)
class Exported:
    """Attributes:
    folder: Path of the version.
    difference: float, the largest of a logit from Keras, see `savedmodel.parity`.
    real_clips: int, how many clips of real videos it was looked for on, beside a random one.
    agreement: Agreement of the `frames` signature with flow that the processor computes, or None.
    notes: list of str, what is missing and why.
    """

    folder: Path
    difference: float
    real_clips: int
    agreement: Agreement | None
    notes: list


def export(run, folder=None, *, check=10, compiled=False, **overrides):
    """Writes a run's model as the next version of a SavedModel that equals the Keras model.

    Args:
        run: path of a run, see `trained_run.load_run`.
        folder: path or None for `<run>/savedmodel`. The model goes into its sub-folder `<n>`, one
            more than the highest there, or 1, as TensorFlow Serving looks for models.
        check: int, on how many videos of the test the `frames` signature is compared with flow that
            the processor computes. They are looked for where the index says.
        compiled: bool, whether XLA compiles the flow of `frames`.
        **overrides: values that replace keys of the experiment's `data`, as `root`, the store.

    Returns:
        Exported.

    Raises:
        FileNotFoundError, ValueError: as `load_run`.
        RuntimeError: if the SavedModel does not equal the Keras model; then none is written.
    """
    trained = load_run(run, **overrides)
    real, videos, why = _of_the_test(trained)
    agreed, notes = None, []
    if why:
        notes.append(f"Keras and the SavedModel were compared on no real clip: {why}")
    paths = [path for path in videos if Path(path).exists()][:check]
    lacking = lacks_graph(trained.recipe)
    if lacking:
        notes.append(f"There is no signature `frames`: {lacking}.")
    elif check and not paths:
        notes.append("`frames` was compared with the processor's flow on no video: none is there")
    elif check:
        with progress_bar("flow in graph", len(paths)) as advance:
            options = {"compiled": compiled, "progress": advance}
            agreed = agreement(trained.model, trained.recipe, paths, **options)
    folder = Path(folder or Path(run) / "savedmodel")
    version = folder / str(max(versions(folder), default=0) + 1)
    facts = trained.facts | {"agreement": agreed and dataclasses.asdict(agreed)}
    difference = savedmodel.export_savedmodel(
        trained.model,
        version,
        classes=trained.classes,
        facts=facts,
        recipe=trained.recipe,
        clips=real,
        card=lambda difference: _card(trained, difference, len(real), agreed, lacking),
        compiled=compiled,
    )
    return Exported(version, difference, len(real), agreed, notes)


def published(experiment, out):
    """The newest version in `<out>/<name>/savedmodel` (Path) if it is of the weights that the
    experiment's streams have now; else None."""
    folder = newest(Path(out) / experiment.name / "savedmodel")
    if not (folder / "assets" / savedmodel.FACTS).is_file():
        return None
    facts = json.loads((folder / "assets" / savedmodel.FACTS).read_text(encoding="utf-8"))
    there = [made.get("weights_sha256") for made in facts["runs"]]
    runs = [stream_folder(experiment, name, out) for name in experiment.streams]
    return folder if there == [sha256(run / WEIGHTS) for run in runs] else None


def convert(run, path, *, quantize=None, **overrides):
    """Writes a run's model for another runtime, with its facts beside it.

    Args:
        run: path of a run, see `trained_run.load_run`.
        path: the `.tflite` (LiteRT) or `.onnx` file to write; `<name>.json` beside it holds what
            `vidrec.json` of an exported SavedModel does, the class names too.
        quantize: see `vidrec.export.litert.export_litert`; of LiteRT alone.
        **overrides: values that replace keys of the experiment's `data`, as `root`, the store.

    Returns:
        (vidrec.export.converted.Converted, list of notes): on real clips of the test where they are
        there, and else on random ones.

    Raises:
        FileNotFoundError: as `load_run`.
        ValueError, RuntimeError, ImportError: as `export_litert` and `export_onnx`.
    """
    path = Path(path)
    if quantize and path.suffix != ".tflite":
        raise ValueError(f"`quantize` is of a .tflite file alone. Received: {path}")
    trained = load_run(run, **overrides)
    real, _, why = _of_the_test(trained)
    notes = [f"It was compared with Keras on no real clip: {why}"] if why else []
    if real:
        given = {name: np.concatenate([clip[name] for clip in real]) for name in real[0]}
    else:
        given = savedmodel.random_clips(trained.model, trained.recipe.clip, REAL_CLIPS)
    if path.suffix == ".tflite":
        found = export_litert(trained.model, path, clips=given, quantize=quantize)
    else:
        found = export_onnx(trained.model, path, clips=given)
    facts = trained.facts | {"converted": dataclasses.asdict(found)}
    write_atomic(path.with_suffix(".json"), json.dumps(facts, indent=1).encode())
    return found, notes


def _of_the_test(trained):
    """(clips of some videos, paths of all videos, why there are none or ""); both are lists."""
    try:
        split, _ = split_videos(trained.experiment)
        return _real_clips(trained, split.test), list(split.test.path), ""
    except (FileNotFoundError, ValueError) as error:
        return [], [], str(error)


def _real_clips(trained, videos):
    """Batches of one clip each, of videos of the test."""
    experiment = clips.for_a_look(trained.experiment, crops=1, batch_size=1)
    source = clips.clip_source(
        experiment, videos.head(REAL_CLIPS), trained.classes, trained.recipe.clip, test=True
    )
    with source.guard.explained():
        return [images for images, *_ in clips.evaluation_batches(experiment, source)]


def _card(trained, difference, real_clips, agreed, lacking):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    flow = trained.facts["flow"]
    how = "codes of {engine} flow, 128 is no motion".format(**flow)
    if flow["quantize"] == "bound":
        how += f", 0 to 255 is -{flow['bound']:g} to {flow['bound']:g} px"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        facts=trained.facts,
        classes=trained.classes,
        shapes={name: tuple(x.shape) for name, x in trained.model.input.items()},
        flow=how,
        difference=difference,
        real_clips=real_clips,
        agreement=agreed or NOT_COMPARED,
        shortest=trained.recipe.shortest,
        no_frames=lacking,
    )
