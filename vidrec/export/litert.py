"""A Keras model as a LiteRT file (`.tflite`), for phones and other small machines.

TensorFlow's own converter makes it. All that it may hold are the operations that every LiteRT
runtime has: those of TensorFlow, which it could hold beside them, need a larger runtime that the
package ai-edge-litert is not. Axis letters: B batch, T frames, H W pixels, C channels, N classes.
"""

import os
import re
import tempfile
import warnings

import keras
import numpy as np
import tensorflow as tf

from vidrec.export.converted import (
    cannot_convert,
    check_difference,
    check_precision,
    clips_of,
    compare,
)
from vidrec.export.flat_pools import flat_pools
from vidrec.export.savedmodel import CLIPS, Servable
from vidrec.files import write_atomic

QUANTIZE = ("none", "float16", "dynamic")
LACKING = re.compile(r"^(?:TF Select|Custom) ops: (.+)$", re.MULTILINE)


def export_litert(model, path, *, clips, quantize=None):
    """Writes a LiteRT file and compares it with the Keras model.

    Its signature `serving_default` takes "rgb" and/or "flow", uint8 (1, T, H, W, C): one clip, of
    the length of `clips` also where the model takes any. It gives "logits" and "probabilities",
    float32 (1, N), and "class_id", int32 (1,).

    Args:
        model: keras.Model from a dict of clips to logits.
        path: path of the file, usually `.tflite`; it appears by one rename and replaces one that is
            there.
        clips: dict of uint8 (B, T, H, W, C), clips that both are compared on.
        quantize: how weights are stored. "none" or None as they are; "float16", in half the space;
            "dynamic", 8 bits with a scale for each channel, in a quarter; the layer's inputs then
            become 8 bits too while it runs. LiteRT does the last for dense layers and 2D
            convolutions, and leaves 3D ones in float32.

    Returns:
        Converted: the file's size, and how far its logits are from the Keras model's. What is
        quantised may be as far as it is, if it is a number.

    Raises:
        ValueError: if `quantize` is unknown or, being "dynamic", finds nothing to quantise; if the
            model does not take the clips, or computes in 16 bits.
        RuntimeError: if the model has operations that LiteRT has not, or if unquantised logits
            differ by more than `converted.TOLERANCE`, or others are not finite. Nothing is written
            then.
        ImportError: if there is no LiteRT interpreter.
    """
    quantize = quantize or "none"
    if quantize not in QUANTIZE:
        raise ValueError(f"`quantize` must be one of {QUANTIZE}. Received: quantize={quantize!r}")
    check_precision(model)
    clips = clips_of(model, clips)
    content = _convert(_of_one_clip(model, clips), quantize, path)
    interpreter = interpreter_of(content)
    if quantize == "dynamic" and not _has_8_bits(interpreter):
        raise ValueError(
            f"quantize='dynamic' changes nothing in {model.name!r}: LiteRT does not quantise 3D "
            f"convolutions so. Take 'float16'. Nothing was written to {path}."
        )
    runner = interpreter.get_signature_runner(CLIPS)
    converted = compare(model, lambda clip: runner(**clip)["logits"], clips, size=len(content))
    if quantize == "none" or not np.isfinite(converted.difference):
        check_difference(converted, path, "LiteRT")
    write_atomic(path, content)
    return converted


def _of_one_clip(model, clips):
    """The model with shapes that are all known, and of operations that LiteRT has."""
    inputs = {
        name: keras.Input(batch_shape=(1, *clip.shape[1:]), dtype="uint8", name=name)
        for name, clip in clips.items()
    }
    return keras.Model(inputs, flat_pools(model)(inputs), name=model.name)


def _convert(model, quantize, path):
    """The file's bytes."""
    servable = Servable(model)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(servable, folder, signatures={CLIPS: servable.functions[CLIPS]})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:  # the converter's own class has no public name
            lacking = ", ".join(LACKING.findall(str(error)))
            why = f"has no {lacking}" if lacking else f"says: {str(error).strip()[:300]}"
    # Outside: the converter's message holds all the weights.
    raise cannot_convert(model, f"LiteRT, which {why}", path)


def interpreter_of(content):
    """LiteRT's interpreter of a file's bytes: of its own package, or of TensorFlow.

    Raises:
        ImportError: if there is none.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = getattr(tf.lite, "Interpreter", None)
    if Interpreter is None:
        raise ImportError(
            "This TensorFlow has no LiteRT interpreter, with which the file would be checked. "
            "Install one: pip install 'vidrec[litert]'"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        return Interpreter(model_content=content, num_threads=os.cpu_count())


def _has_8_bits(interpreter):
    return any(tensor["dtype"] == np.int8 for tensor in interpreter.get_tensor_details())
