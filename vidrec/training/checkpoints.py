"""Checkpoints that are whole or not there, and that resume where the run stopped.

A checkpoint is a folder: `model.weights.h5`, in which Keras also keeps the state of the optimizer,
and `state.json` (stage, epochs done). It is written under a temporary name and renamed, so a killed
run leaves the one before.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from vidrec.files import new_folder

STATE, WEIGHTS = "state.json", "model.weights.h5"


def save_checkpoint(folder, model, *, stage, epochs_done):
    """Writes `folder/<stage>-<epochs_done>`, then removes the one before.

    Args:
        folder: path, the run's checkpoints.
        model: compiled keras.Model.
        stage: int, the position of the stage.
        epochs_done: int, finished epochs of this stage.

    Raises:
        RuntimeError: if a weight is not finite; the checkpoint before stays.
    """
    broken = [w.path for w in model.weights if not np.isfinite(np.array(w)).all()]
    if broken:
        raise RuntimeError(
            f"{len(broken)} weights became NaN or infinite, the first is {broken[0]}. The "
            f"checkpoint before stays in {folder}. Try a lower learning rate."
        )
    folder = Path(folder)
    with new_folder(folder / f"{stage:02d}-{epochs_done:04d}", durable=True) as partial:
        model.save_weights(partial / WEIGHTS)
        state = {"stage": stage, "epochs_done": epochs_done}
        (partial / STATE).write_text(json.dumps(state, indent=1))
    for old in _all(folder)[:-1]:
        shutil.rmtree(old)


def last_checkpoint(folder):
    """(path, state) of the newest checkpoint, or None."""
    found = _all(Path(folder))
    return (found[-1], json.loads((found[-1] / STATE).read_text())) if found else None


def restore_checkpoint(path, model):
    """Loads weights into `model`, and the state of its optimizer if it is compiled and built.

    Raises:
        ValueError: if the checkpoint was saved with another optimizer or other open layers.
    """
    try:
        model.load_weights(Path(path) / WEIGHTS)
    except ValueError as error:
        raise ValueError(
            f"{path} does not fit: it was saved with another model, another optimizer, or other "
            f"open layers. Train again without --resume, or as that run was configured. ({error})"
        ) from error


def _all(folder):
    return sorted(path for path in folder.glob("[0-9]*-[0-9]*") if (path / STATE).exists())
