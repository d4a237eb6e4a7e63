"""A Keras model as an ONNX file, for other runtimes than TensorFlow's, by Keras' own export.

Axis letters: B batch, T frames, H W pixels, C channels, N classes.
"""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from vidrec.export.converted import (
    cannot_convert,
    check_difference,
    check_precision,
    clips_of,
    compare,
)
from vidrec.files import write_atomic

NEEDED = "tf2onnx, onnx and onnxruntime"


def export_onnx(model, path, *, clips):
    """Writes an ONNX file and compares it with the Keras model, by onnxruntime.

    It takes "rgb" and/or "flow", uint8 (B, T, H, W, C) as the model does, any B, and any T if the
    model does; and gives "logits" and "probabilities", float32 (B, N), and "class_id", int32 (B,).
    A large model takes minutes.

    Args:
        model: keras.Model from a dict of clips to logits.
        path: path of the file, usually `.onnx`; it appears by one rename and replaces one that is
            there.
        clips: dict of uint8 (B, T, H, W, C), clips that both are compared on.

    Returns:
        Converted: the file's size, and how far its logits are from the Keras model's.

    Raises:
        ImportError: if the packages that the export takes are not installed.
        ValueError: if the model does not take the clips, or computes in 16 bits.
        RuntimeError: if the model has operations that ONNX has not, or if logits differ by more
            than `converted.TOLERANCE`. Nothing is written then.
    """
    try:
        import onnx
        import onnxruntime
        from tf2onnx.handler import tf_op
    except ImportError as error:
        raise ImportError(
            f"An ONNX file is made and checked with {NEEDED}. Received: {error}. "
            "Install them: pip install 'vidrec[onnx]'"
        ) from error
    check_precision(model)
    clips = clips_of(model, clips)
    named = _with_names(model)
    named({name: clip[:1] for name, clip in clips.items()}, training=False)  # Keras wants a call
    tf_op("Erfc")(_Erfc)
    lacking = set()
    try:
        content = _convert(named)
        nodes = onnx.load_from_string(content).graph.node  # what tf2onnx does not know, it leaves
        lacking = {x.op_type for x in nodes if not onnx.defs.has(x.op_type, x.domain)}
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # of tf2onnx and onnxruntime, which have no class in common
        why = f"it has no {', '.join(sorted(lacking))}" if lacking else str(error).strip()[:300]
        raise cannot_convert(model, f"ONNX: {why}", path) from error
    converted = compare(
        model, lambda clip: session.run(["logits"], clip)[0], clips, size=len(content)
    )
    check_difference(converted, path, "ONNX")
    write_atomic(path, content)
    return converted


class _Erfc:
    """How tf2onnx, which does not know it, converts 1 - erf(x): of the exact GELU."""

    @classmethod
    def version_9(cls, graph, node, **_):
        x, result = node.input[0], node.output[0]
        kept = {"shapes": [graph.get_shape(result)], "dtypes": [graph.get_dtype(result)]}
        graph.remove_node(node.name)
        one = graph.make_const(f"{node.name}_one", np.ones((), np.float32)).output[0]
        erf = graph.make_node("Erf", [x], **kept).output[0]
        graph.make_node("Sub", [one, erf], name=node.name, outputs=[result], **kept)


def _with_names(model):
    """The model with all that a file gives; the names of a model's outputs become the file's."""
    logits = model.output
    _, first = ops.top_k(logits, 1)  # not argmax: what Keras makes of it is not in ONNX
    outputs = {
        "logits": logits,
        "probabilities": layers.Softmax(dtype="float32", name="probabilities")(logits),
        "class_id": ops.squeeze(first, axis=-1),
    }
    return keras.Model(model.input, outputs, name=model.name)


def _convert(model):
    """The file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        with warnings.catch_warnings():  # Keras asks numpy 2 for a name of numpy 1
            warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
            model.export(str(file), format="onnx", verbose=False)
        return file.read_bytes()
