"""Checkpoints that are whole or not there, and from which a run goes on as if it had never stopped.

A checkpoint is a folder `<stage>-<epoch>-<step>`: `variables.npz` holds all variables of the model,
the states of its random generators among them, and of the optimizer, `state.json` where the run
was. It is written under a temporary name and renamed, so that a killed run leaves the one before.
"""

import dataclasses
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

from vidrec.files import is_full, new_folder, remove_folder

STATE, VARIABLES = "state.json", "variables.npz"


@dataclasses.dataclass
class Progress:
    """Where a run is: in stage number `stage`, `epoch` epochs are done and `step` steps of the next
    one, whose losses and right answers sum up to `loss` and `hits`."""

    stage: int
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    hits: int = 0


def save_checkpoint(folder, variables, progress, *, keep=2):
    """Writes a checkpoint, then removes older ones.

    Args:
        folder: path, the run's checkpoints.
        variables: dict of lists of keras.Variable, as `{"model": ..., "optimizer": ...}`.
        progress: Progress.
        keep: int >= 1, how many stay, this one among them.

    Raises:
        RuntimeError: if a variable is not finite; the checkpoints before stay.
        OSError: if it cannot be written, because the disk is full for example; these stay, too.
    """
    folder = Path(folder)
    arrays = {
        f"{kind}/{i}": np.array(variable)
        for kind, found in variables.items()
        for i, variable in enumerate(found)
    }
    paths = [variable.path for found in variables.values() for variable in found]
    broken = [
        path for path, array in zip(paths, arrays.values(), strict=True)
        if not np.isfinite(array).all()
    ]  # fmt: skip
    if broken:
        raise RuntimeError(
            f"{len(broken)} weights became NaN or infinite, the first is {broken[0]}. The "
            f"checkpoint before stays in {folder}. Try a lower learning rate."
        )
    name = f"{progress.stage:02d}-{progress.epoch:04d}-{progress.step:06d}"
    try:
        with new_folder(folder / name, durable=True) as partial:
            np.savez(partial / VARIABLES, **arrays)
            (partial / STATE).write_text(
                json.dumps(dataclasses.asdict(progress), indent=1), encoding="utf-8"
            )
    except OSError as error:
        if not is_full(error):
            raise
        raise OSError(
            f"The disk is full, so that checkpoint {folder / name} could not be written. Those "
            "before it stay. Make room, and go on with --resume."
        ) from error
    for old in _all(folder)[:-keep]:
        remove_folder(old)


def last_checkpoint(folder):
    """(path, Progress) of the newest whole checkpoint, or None. Damaged ones are named and passed
    over."""
    for path in reversed(_all(Path(folder))):
        try:
            with zipfile.ZipFile(path / VARIABLES) as file:
                if file.testzip() is None:
                    return path, Progress(**json.loads((path / STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, zipfile.BadZipFile):
            pass
        print(f"{path} is damaged: taking the checkpoint before it.", file=sys.stderr, flush=True)
    return None


def restore_checkpoint(path, variables):
    """Gives variables the values that they had.

    Args:
        path: Path of a checkpoint.
        variables: as for `save_checkpoint`; a kind that is left out is not looked at.

    Raises:
        ValueError: if they are not those that were saved.
    """
    with np.load(Path(path) / VARIABLES) as arrays:
        for kind, found in variables.items():
            saved = [arrays[f"{kind}/{i}"] for i in range(_count(arrays, kind))]
            if [each.shape for each in saved] != [tuple(each.shape) for each in found]:
                raise ValueError(
                    f"{path} does not fit: it was saved with another model, another optimizer, or "
                    "other open layers. Train again without --resume, or as that run was "
                    f"configured. Received: {len(found)} variables of the {kind}, and "
                    f"{len(saved)} there, or others in shape"
                )
            for variable, value in zip(found, saved, strict=True):
                variable.assign(value)


def _count(arrays, kind):
    return sum(name.startswith(f"{kind}/") for name in arrays.files)


def _all(folder):
    return sorted(path for path in folder.glob("[0-9]*-[0-9]*-[0-9]*") if (path / STATE).exists())
