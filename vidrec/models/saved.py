"""Models as whole files, `model.save("<name>.keras")`, loaded without trusting who made them.

Such a file describes its layers by the names of classes and functions, and Keras looks them up.
Keras' safe mode refuses Python code in the file, but still finds whatever Keras exports: layers
that read other files, functions that do something else. Here only the names that vidrec's models
are made of are let through, before Keras sees the file; nothing is imported for it.
"""

import io
import json
import zipfile
import zlib
from pathlib import Path

import keras

import vidrec.models.registry  # noqa: F401  so that all layers of ours are registered
from vidrec.models import weight_files
from vidrec.models.weight_files import first_line, last_line

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST = 64, 2**24  # times the file's size, and bytes more, that its members may have in all
OURS = "vidrec>"  # what the names begin with that vidrec's layers are registered under
BUILT_IN = {  # of Keras, what vidrec's models are made of
    "keras": {"DTypePolicy"},
    "keras.initializers": {
        *("GlorotUniform", "HeNormal", "LecunNormal", "Ones", "RandomNormal", "VarianceScaling"),
        "Zeros",
    },
    "keras.layers": {
        *("Activation", "Add", "Average", "AveragePooling2D", "AveragePooling3D"),
        *("BatchNormalization", "Bidirectional", "Concatenate", "Conv1D", "Conv2D", "Conv3D"),
        *("Dense", "Dropout", "Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
        *("GlobalAveragePooling3D", "GlobalMaxPooling1D", "Identity", "InputLayer", "Lambda"),
        *("LeakyReLU", "MaxPooling2D", "MaxPooling3D", "Maximum", "Multiply", "RNN", "ReLU"),
        *("Rescaling", "Reshape", "SeparableConv2D", "Softmax", "ZeroPadding2D", "ZeroPadding3D"),
    },
    "keras.src.models.functional": {"Functional"},
    "keras.src.ops.core": {"Unstack"},
    "keras.src.ops.numpy": {"Log", "Maximum", "Mean", "Stack", "Sum"},
}
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
INSTEAD = (
    f"If you need this model, ask for its weights alone (a {weight_files.SUFFIX} file), and load "
    "them into the model that vidrec builds: vidrec.models.weight_files.load_weights."
)


def load_model(path):
    """Loads a model of vidrec's that was saved by `model.save("<name>.keras")`.

    Args:
        path: path of a `.keras` file.

    Returns:
        keras.Model, not compiled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no whole `.keras` file, names anything that vidrec's models are not
            made of, holds Python code, or would become far larger than it is.
    """
    path = Path(path)
    _check_kind(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            config, weights = archive.read(CONFIG), io.BytesIO(archive.read(WEIGHTS))
    except _DAMAGED as error:
        raise ValueError(
            f"{path} is cut off or damaged. Copy or download it again. "
            f"Received: {first_line(error)}"
        ) from error
    try:
        config = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise ValueError(_no_keras_file(path, f"{CONFIG} is no JSON")) from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(_no_keras_file(path, f"{CONFIG} describes no model"))
    check_description(
        config | {"compile_config": None}, path
    )  # which is not looked at by Keras either
    with weight_files.opened(weights, f"{path}/{WEIGHTS}") as file:
        weight_files.arrays_in(file, f"{path}/{WEIGHTS}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # of any kind, as the layers' options are the file's
        raise ValueError(
            f"{path} describes no model that can be built with these weights. Save it again, with "
            f"this version of vidrec. Received: {last_line(error)}"
        ) from error


def _check_kind(path):
    """Says what a path is, if it is no `.keras` file."""
    if path.is_dir():
        raise ValueError(
            "A model must be a .keras file. A folder is a SavedModel, which `vidrec predict` and "
            f"tf.saved_model.load take. Received: {path}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"A model must be a .keras file that is there. Received: {path}")
    if path.name.endswith(weight_files.SUFFIX):
        raise ValueError(
            "A model must be a .keras file. This one holds weights alone: build the model, and "
            f"load them by vidrec.models.weight_files.load_weights. Received: {path}"
        )
    if path.suffix in (".h5", ".hdf5"):
        raise ValueError(
            "A model must be a .keras file. Older .h5 files can carry code and are not loaded as "
            f"models. {INSTEAD} Received: {path}"
        )
    if path.suffix != ".keras":
        raise ValueError(f"A model must be a .keras file. Received: {path}")
    with open(path, "rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        raise ValueError(_no_keras_file(path, f"it begins with {start!r}"))


def _check_members(archive, path):
    """Refuses other members than Keras writes, by any name, and those that would not fit."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != [CONFIG, METADATA, WEIGHTS]:
        raise ValueError(_no_keras_file(path, f"it holds {names[:9]}"))
    total, size = sum(member.file_size for member in members), path.stat().st_size
    factor, more = MOST
    if total > factor * size + more:
        raise ValueError(
            f"A .keras file must not become more than {factor} times its size, and {more} bytes. "
            f"Received: {path}, whose {size} bytes would become {total}. Do not use it."
        )


def _no_keras_file(path, what):
    return (
        f"A .keras file must be a zip of {CONFIG}, {METADATA} and {WEIGHTS}, as "
        f'model.save("<name>.keras") writes it. Received: {path}: {what}'
    )


def check_description(config, path):
    """Refuses the description of a model that names anything but `BUILT_IN` and vidrec's own.

    Args:
        config: dict as `keras.saving.serialize_keras_object` gives it.
        path: where it comes from, for the message.

    Raises:
        ValueError: naming what it is, and in which layer.
    """
    ours = {name for name in keras.saving.get_custom_objects() if name.startswith(OURS)}
    parts = [(config, "the model")]
    while parts:
        part, layer = parts.pop()
        if isinstance(part, list | tuple):
            parts += [(each, layer) for each in part]
        elif isinstance(part, dict):
            if isinstance(part.get("name"), str):
                layer = repr(part["name"])
            if "class_name" in part:
                _check_object(part, layer, ours, path)
            parts += [(each, layer) for each in part.values()]


def _check_object(part, layer, ours, path):
    words = {key: value for key, value in part.items() if isinstance(value, str)}
    kind, module, name = (words.get(key) for key in ("class_name", "module", "registered_name"))
    options = part.get("config")
    if kind == "__lambda__" or (kind == "Lambda" and not _has_named_function(options)):
        raise ValueError(
            "A .keras file must hold no Python code. A Lambda layer of a Python lambda is code, "
            f"which would run on this machine. Received: {path}, with code in {layer}. {INSTEAD}"
        )
    if kind == "function":  # Keras finds it by its name in "config", whatever the other keys say
        name = words.get("config")
        known, said = name in ours, f"{module}.{name}"
    elif name in (None, kind):
        known, said = kind in BUILT_IN.get(module, ()), f"{module}.{kind}"
    else:  # found by its registered name; in older descriptions by the other, so both must fit
        known, said = name in ours and name == OURS + str(kind) and bool(module), name
    if not known and kind != "__keras_tensor__":
        raise ValueError(
            "A .keras file must be made of the layers that vidrec's models are made of. "
            f"Received: {path}, which names {said!r} in {layer}; it was not looked up. If vidrec "
            f"wrote the file, use the version that did. {INSTEAD}"
        )


def _has_named_function(options):
    return isinstance(options, dict) and isinstance(options.get("function"), dict)
