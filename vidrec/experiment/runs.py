"""Run folders: what a trained stream leaves behind, and how it is taken up again.

<out>/<experiment>/<stream>/
    config.yaml        the experiment, every default written out
    provenance.json    seed, versions, git commit, command
    classes.txt        class names in the order of the logits
    log.csv, curves.png, checkpoints/
    stream.weights.h5  when the last stage is done: the run is complete
"""

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
from vidrec.models import registry

WEIGHTS = "stream.weights.h5"
CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
CLASSES = "classes.txt"


def stream_folder(experiment, stream, out):
    """Where a stream's run lies: its `run` if it is taken from elsewhere."""
    return Path(experiment.streams[stream].run or Path(out) / experiment.name / stream)


def load_stream(run):
    """A trained stream from its run folder: (model, classes).

    Raises:
        FileNotFoundError: if the folder holds no complete run.
    """
    run = Path(run)
    for name in (CONFIG, CLASSES, WEIGHTS):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} holds no complete run: {run / name} is missing. Train this stream first "
                "(`vidrec train`), with --resume if it was interrupted."
            )
    saved = config.Experiment(**yaml.safe_load((run / CONFIG).read_text()))
    stream = json.loads((run / PROVENANCE).read_text())["stream"]
    classes = tuple((run / CLASSES).read_text().splitlines())
    model = build_stream(saved, stream, len(classes), saved.clip_spec(config.STREAMS[stream]))
    model.load_weights(run / WEIGHTS)
    return model, classes


def build_stream(experiment, stream, num_classes, clip, *, weights=None):
    """A stream as the experiment configures it, untrained."""
    options = experiment.model.options | experiment.streams[stream].options
    return registry.get(experiment.model.name).build(num_classes, clip, weights=weights, **options)


def claim(run, experiment, stream, config_path, resume):
    """Begins a run folder, or takes up one with the same configuration."""
    resolved = config.dump(experiment)
    if (run / CONFIG).exists():
        if not resume:
            raise FileExistsError(
                f"{run} holds a run already. Pass --resume to go on with it, or another --out."
            )
        old = yaml.safe_load((run / CONFIG).read_text())
        new = yaml.safe_load(resolved)
        if _trained_by(old, stream) != _trained_by(new, stream):
            changed = sorted(key for key in new if old.get(key) != new[key])
            raise ValueError(
                f"{run} was begun with another configuration: {', '.join(changed)} differ from "
                f"{run / CONFIG}. Pass another --out, or restore the configuration."
            )
        return
    provenance = {
        "stream": stream,
        "config": str(config_path),
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
    write_atomic(run / CONFIG, resolved.encode())


def _trained_by(content, stream):
    """What of a configuration decides a stream's weights."""
    ignored = ("fusion", "evaluation", "streams")
    kept = {key: value for key, value in content.items() if key not in ignored}
    return kept | {"stream": content["streams"][stream]}


def _git_commit():
    """The commit of the code, with "+" for changes that are not committed; "" outside git."""
    where = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=where,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
