"""Run folders: what a trained stream leaves behind, and how it is taken up again.

<out>/<experiment>/<stream>/
    config.yaml        the experiment, every default written out
    provenance.json    seed, versions, git commit, command
    classes.txt        class names in the order of the logits
    train_videos.txt   the ids of the videos that it is trained on
    missing_videos.txt the ids of videos of the data set that were not there; as a rule, empty
    log.csv, curves.png, checkpoints/
    stream.weights.h5  when the last stage is done: the run is complete
"""

import dataclasses
import inspect
import json
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
import yaml

import vidrec
from vidrec import config
from vidrec.files import write_atomic
from vidrec.models import registry, weight_files

WEIGHTS = "stream.weights.h5"
CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
CLASSES = "classes.txt"
TRAIN_VIDEOS = "train_videos.txt"
MISSING_VIDEOS = "missing_videos.txt"


@dataclasses.dataclass(frozen=True)
class TrainedStream:
    """A stream from a run folder: its experiment and name there, keras.Model, class names, ids of
    the videos it was trained on, and what `splits.describe` says of them."""

    run: Path
    experiment: config.Experiment
    stream: str
    model: keras.Model
    classes: tuple
    train_videos: frozenset
    data: dict

    @property
    def missing(self):
        """(missing, expected) videos of what it, or a run that it starts from, was trained on: of
        that which lacked most."""
        return max(map(_missing, lineage(self.data)))

    def check_unseen(self, video_ids):
        """Refuses to score a stream on videos that it was trained on.

        Raises:
            ValueError: naming the first of them.
        """
        seen = [name for name in video_ids if name in self.train_videos]
        if seen:
            raise ValueError(
                f"{self.run} was trained on {len(seen)} of the {len(video_ids)} test videos, so "
                "its accuracy on them means nothing. Use the split that it was trained with. "
                f"Received: {seen[:3]}"
            )


def lineage(data):
    """What `splits.describe` says of a run, and of each run that it starts from."""
    while data:
        yield data
        data = data.get("parent")


def lacking(data):
    """{(missing, expected)} of each training of a lineage that lacked videos."""
    return {_missing(each) for each in lineage(data) if each["missing"]}


def stream_folder(experiment, stream, out):
    """Path of a stream's run: `<out>/<experiment>/<stream>`, or the `run` that it is taken from."""
    return Path(experiment.streams[stream].run or Path(out) / experiment.name / stream)


def build_stream(experiment, stream, num_classes, clip, *, weights=None):
    """A stream as the experiment configures it, untrained.

    Raises:
        ValueError: if an option is not one of the model's.
    """
    build = registry.get(experiment.model.name).build
    options = experiment.model.options | experiment.streams[stream].options
    known = set(inspect.signature(build).parameters) - {"num_classes", "clip", "weights"}
    if options.keys() - known:
        raise ValueError(
            f"`options` of {experiment.model.name} must be among {sorted(known)}. "
            f"Received: {sorted(options.keys() - known)}"
        )
    return build(num_classes, clip, weights=weights, **options)


def check_length(model, clip):
    """Refuses clips of another length than a model takes.

    Raises:
        ValueError: if the model has a fixed number of frames that is not the clip's.
    """
    lengths = {x.shape[1] for x in model.input.values()} - {None, clip.frames}
    if lengths:
        raise ValueError(
            f"{model.name} takes clips of {lengths.pop()} frames only: leave evaluation.segments "
            f"out, or take a model of any number. Received: {clip.frames} frames"
        )


def load_stream(run):
    """Loads a complete run as a TrainedStream.

    Raises:
        FileNotFoundError: if the folder holds no complete run.
        ValueError: if its weights are damaged, or not those of the stream that it describes.
    """
    run = Path(run)
    for name in (CONFIG, PROVENANCE, CLASSES, TRAIN_VIDEOS, WEIGHTS):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} holds no complete run: {run / name} is missing. Train this stream first "
                "(`vidrec train`), with --resume if it was interrupted."
            )
    saved = config.Experiment(**yaml.safe_load((run / CONFIG).read_text(encoding="utf-8")))
    provenance = json.loads((run / PROVENANCE).read_text(encoding="utf-8"))
    stream = provenance["stream"]
    classes = tuple((run / CLASSES).read_text(encoding="utf-8").splitlines())
    model = build_stream(saved, stream, len(classes), saved.clip_spec(stream))
    weight_files.load_weights(model, run / WEIGHTS)
    videos = frozenset((run / TRAIN_VIDEOS).read_text(encoding="utf-8").splitlines())
    return TrainedStream(run, saved, stream, model, classes, videos, provenance["data"])


def load_for(experiment, stream, out):
    """Loads a stream of an experiment, trained there or elsewhere, to test or export it.

    Raises:
        FileNotFoundError: if it is not trained.
        ValueError: if it was trained otherwise than the experiment will test it; names the keys.
    """
    trained = load_stream(stream_folder(experiment, stream, out))
    if trained.stream != stream:
        raise ValueError(
            f"streams.{stream} of {experiment.name} must be a {stream} stream. "
            f"Received: {trained.run}, a {trained.stream} stream"
        )
    here, there = (_tested(one, stream) for one in (experiment, trained.experiment))
    differ = [f"{key}: {there[key]!r} there, {here[key]!r} here" for key in here
              if here[key] != there[key]]  # fmt: skip
    if differ:
        raise ValueError(
            f"{trained.run} was trained otherwise than {experiment.name} says. "
            f"Received: {'; '.join(differ)}"
        )
    check_length(trained.model, experiment.clip_spec(stream, test=True))
    return trained


def fusion_of(experiment):
    """(weights, what is summed) of the spatial and the temporal stream: what the experiment says,
    or the default of its model's `fuse`."""
    settings = experiment.fusion
    defaults = inspect.signature(registry.get(experiment.model.name).fuse).parameters
    weights = defaults["weights"].default
    given = settings.spatial, settings.temporal
    weights = tuple(w if g is None else g for w, g in zip(weights, given, strict=True))
    consensus_on = experiment.model.options.get("consensus_on")
    return weights, settings.fuse_on or consensus_on or defaults["on"].default


def check_free(run, experiment, stream, resume):
    """Refuses a folder that holds another run, or this one if it is not to be resumed.

    Raises:
        FileExistsError: if there is a run and `resume` is False.
        ValueError: if that run has another configuration; names the keys that differ.
    """
    if not (run / "checkpoints").exists() and not (run / WEIGHTS).exists():
        return  # nothing was trained here
    if not resume:
        raise FileExistsError(
            f"{run} holds a run already. Pass --resume to go on with it, or another --out."
        )
    saved = config.Experiment(**yaml.safe_load((run / CONFIG).read_text(encoding="utf-8")))
    old, new = _decides(saved, stream), _decides(experiment, stream)
    changed = sorted(key for key in new if old[key] != new[key])
    if changed:
        raise ValueError(
            f"{run} was begun with another configuration: {', '.join(changed)} differ from "
            f"{run / CONFIG}. Pass another --out, or restore the configuration."
        )


def begin(run, experiment, stream, classes, split, *, facts, writes=True):
    """Writes what a run is made from; when it is resumed, checks that the videos are the same.

    Args:
        facts: dict that goes into the provenance.
        writes: bool; False only checks, for a machine that shares the folder with one that writes.

    Raises:
        ValueError: if the run that is resumed was begun on other videos or classes.
    """
    lists = {
        CLASSES: classes,
        TRAIN_VIDEOS: split.train.video_id,
        MISSING_VIDEOS: split.missing_names,
    }
    for name, lines in lists.items():
        text = "".join(f"{line}\n" for line in lines)
        if (run / "checkpoints").exists() and (run / name).read_text(encoding="utf-8") != text:
            raise ValueError(
                f"The data set has changed since {run} was begun: it has not the lines of "
                f"{run / name}. Pass another --out, or restore the data set."
            )
        if writes:
            write_atomic(run / name, text.encode())
    if (run / "checkpoints").exists() or not writes:
        return
    (run / "log.csv").unlink(missing_ok=True)  # of an attempt without a checkpoint
    provenance = {
        "stream": stream,
        **facts,
        "seed": experiment.seed,
        "command": sys.argv,
        "vidrec": vidrec.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.machine()}, {len(tf.config.list_physical_devices('GPU'))} GPUs",
    }
    write_atomic(run / PROVENANCE, json.dumps(provenance, indent=1).encode())
    write_atomic(run / CONFIG, config.dump(experiment).encode())


def _missing(data):
    return data["missing"], data["expected"]


def _decides(experiment, stream):
    """What of a configuration decides a stream's weights."""
    # begin() compares the videos themselves.
    places = {"root", "videos", "lists", "layout", "cache", "on_missing"}
    others = {"fusion": True, "evaluation": True, "streams": True, "data": places}
    content = experiment.model_dump(exclude=others)
    streams = experiment.streams
    # Places in a video are drawn for the clip of all streams.
    return content | {f"streams.{stream}": streams[stream], "streams": sorted(streams)}


def _tested(experiment, stream):
    """What training and test must share, by key."""
    content = {"model.name": experiment.model.name, "clip": experiment.clip.model_dump()}
    del content["clip"]["segments"]
    if "flow" in config.STREAMS[stream]:
        content["data.flow"] = experiment.data.flow.model_dump()
        content["augment.flow_flip"] = experiment.augment.flow_flip
    else:
        content["clip"] = {k: v for k, v in content["clip"].items() if not k.startswith("flow")}
    return content | {"sampling": experiment.sampling.model_dump()}


def _git_commit():
    """The commit of vidrec's code, with "+" for changes that are not committed; "" outside git."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not a repository around us
        return git("describe", "--always", "--dirty=+", "--abbrev=12")
    except (OSError, subprocess.CalledProcessError):
        return ""
