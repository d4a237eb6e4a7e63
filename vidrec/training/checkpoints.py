"""Checkpoints that are whole or not there, and that resume where the run stopped.

A checkpoint is a folder: `model.weights.h5`, `optimizer.npz` and `state.json` (stage, epochs done).
It is written under a temporary name and renamed, so a killed run leaves the one before.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from vidrec.files import new_folder

STATE = "state.json"


def save_checkpoint(folder, model, *, stage, epochs_done, keep=1):
    """Writes `folder/<stage>-<epochs_done>` and removes older ones of the run but for `keep`.

    Args:
        folder: path, the run's checkpoints.
        model: compiled keras.Model.
        stage: int, the position of the stage.
        epochs_done: int, finished epochs of this stage.
        keep: int >= 1.
    """
    folder = Path(folder)
    with new_folder(folder / f"{stage:02d}-{epochs_done:04d}") as partial:
        model.save_weights(partial / "model.weights.h5")
        variables = {str(i): v.numpy() for i, v in enumerate(model.optimizer.variables)}
        np.savez(partial / "optimizer.npz", **variables)
        state = {"stage": stage, "epochs_done": epochs_done}
        (partial / STATE).write_text(json.dumps(state, indent=1))
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old)


def last_checkpoint(folder):
    """(path, state) of the newest checkpoint, or None."""
    found = _all(Path(folder))
    return (found[-1], json.loads((found[-1] / STATE).read_text())) if found else None


def restore_checkpoint(path, model):
    """Loads weights into `model`, and the optimizer's variables if it is compiled and built.

    Raises:
        ValueError: if the optimizer has other variables than the one that was saved.
    """
    model.load_weights(Path(path) / "model.weights.h5")
    if getattr(model, "optimizer", None) is None:
        return
    with np.load(Path(path) / "optimizer.npz") as saved:
        variables = model.optimizer.variables
        if [saved[key].shape for key in saved] != [tuple(v.shape) for v in variables]:
            raise ValueError(
                f"{path} was saved with another optimizer, or other open layers. "
                f"Received: {len(variables)} optimizer variables, saved: {len(saved)}. "
                "Train again without --resume, or with the configuration of that run."
            )
        for i, variable in enumerate(variables):
            variable.assign(saved[str(i)])


def _all(folder):
    return sorted(path for path in folder.glob("[0-9]*-[0-9]*") if (path / STATE).exists())
