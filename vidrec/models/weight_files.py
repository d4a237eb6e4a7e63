"""HDF5 files of weights, which are looked at before anything is taken from them.

Such a file may come from anyone. HDF5 can name other files of the machine that reads it, and arrays
that are far larger than the file; h5py follows and makes them without a word. Keras in turn reads
the arrays that it looks for, and passes over the others: a file of another network can go in.
"""

import collections
import contextlib
import warnings
from pathlib import Path

import h5py
import numpy as np

SUFFIX = ".weights.h5"
AGAIN = "Copy or download it again, or have it written again by `model.save_weights`."
_BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError)  # what h5py raises


def load_weights(model, path):
    """Loads a `.weights.h5` file into a model that code has built.

    Args:
        model: keras.Model.
        path: path of a file that `model.save_weights` wrote for a model of the same layers. An
            optimizer in it is passed over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no whole HDF5 file of plain arrays, or not of just the arrays that the
            model has; the model then is as it was, unless they differ in their order alone.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise ValueError(
            f"A file of weights must be a {SUFFIX} of `model.save_weights`. Received: {path}"
        )
    shapes = {
        name: shape
        for name, shape in check_weights(path).items()
        if not name.startswith("optimizer/")
    }
    # What Keras does not look for, it passes over: a larger network's file would go in.
    there = collections.Counter(shapes.values())
    here = collections.Counter(tuple(weight.shape) for weight in model.weights)
    if there != here:
        raise ValueError(
            f"{path} holds the weights of another network than {model.name!r}. {_DIFFERS} "
            f"Received: {_counted(there)}, where the model has {_counted(here)}; "
            f"of shapes {list((there - here) or (here - there))[:3]}, there are "
            f"{'more' if there - here else 'fewer'} in the file"
        )
    with fitting(f"{path} holds the weights of another network than {model.name!r}. {_DIFFERS}"):
        model.load_weights(path)


def check_weights(path):
    """Looks at a file of weights, without reading an array.

    Args:
        path: path of an HDF5 file, of `model.save_weights` or of keras.applications.

    Returns:
        {name: shape} of its arrays.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no whole HDF5 file, or names other files, or holds anything but groups
            and arrays of numbers that are as large as they say.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"A file of weights must be there. Received: {path}")
    with opened(path, path) as file:
        return arrays_in(file, path)


@contextlib.contextmanager
def opened(source, name):
    """Opens HDF5 to read; `source` is a path or a binary file, `name` stands in messages.

    Raises:
        ValueError: if it is no HDF5, or not all of it.
    """
    try:
        file = h5py.File(source, "r")
    except _BROKEN as error:
        what = "is cut off" if "truncated" in str(error) else "is no HDF5 file, or a damaged one"
        raise ValueError(
            f"{name} cannot be read: it {what}. {AGAIN} Received: {first_line(error)}"
        ) from error
    with file:
        yield file


@contextlib.contextmanager
def fitting(message):
    """Turns what Keras raises where weights do not fit, or only warns of, into a ValueError."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Skipping nested container")
            yield
    except (*_BROKEN, UserWarning) as error:
        raise ValueError(f"{message} Received: {first_line(error)}") from error


def arrays_in(file, name):
    """{name: shape} of the arrays in an open HDF5 file; raises as `check_weights` does."""
    shapes, seen, groups = {}, set(), [("", file)]
    try:
        while groups:
            where, group = groups.pop()
            for key in group:
                inner = f"{where}{key}"
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    _refuse(name, f"{inner!r} is a link to another place or file")
                entry = group[key]
                address = h5py.h5o.get_info(entry.id).addr
                if address in seen:
                    _refuse(name, f"{inner!r} is there under another name as well")
                seen.add(address)
                if isinstance(entry, h5py.Group):
                    groups.append((f"{inner}/", entry))
                else:
                    shapes[inner] = _shape(entry, name, inner)
    except _BROKEN as error:
        if isinstance(error, _Refused):
            raise
        raise ValueError(f"{name} is damaged. {AGAIN} Received: {first_line(error)}") from error
    return shapes


def first_line(error):
    """The kind and the first line of an exception, which may be long."""
    first, _, _ = str(error).strip().partition("\n")
    return f"{type(error).__name__}: {first[:300]}"


def last_line(error):
    """The kind and the last line of an exception: of several that Keras wraps, the inmost."""
    _, _, last = str(error).strip().rpartition("\n")
    return f"{type(error).__name__}: {last[:300]}"


class _Refused(ValueError):
    """A file that is whole, and holds what it must not."""


def _shape(entry, name, inner):
    if not isinstance(entry, h5py.Dataset) or entry.dtype.kind not in "fiub":
        _refuse(name, f"{inner!r} is no array of numbers")
    if entry.external or entry.is_virtual:
        _refuse(name, f"the values of {inner!r} lie in another file")
    size = int(np.prod(entry.shape, dtype=object)) * entry.dtype.itemsize
    if entry.id.get_storage_size() < size:
        _refuse(name, f"{inner!r} says that it has {size} bytes, and has fewer")
    return entry.shape


def _refuse(name, what):
    raise _Refused(
        "A file of weights must hold plain, uncompressed arrays, each once, as Keras writes them. "
        f"Received: {name}, where {what}. Do not use it: have the weights written again by "
        " `model.save_weights`."
    )


_DIFFERS = (
    "It must be built as the one that they are of: same model, same options (of a run, they are in "
    "its config.yaml), same kinds of clips."
)


def _counted(shapes):
    numbers = sum(int(np.prod(shape)) * count for shape, count in shapes.items())
    return f"{shapes.total()} arrays of {numbers} numbers"
