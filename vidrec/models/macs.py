"""The work of a model in multiply-adds, counted from its graph; nothing is computed for it.

One MAC is one multiplication and the addition that goes with it: 2 FLOPs of those who count both.
Counted are the sums of products: convolutions, dense layers, the two matrix products of a step of
an LSTM, and the weighted sums of attention and of learnt consensus. Not counted are biases,
normalisation, activations and softmax, pooling, dropout, and products of single values: scaling,
gates, the update of an LSTM's cell. A convolution's padding counts as if it were image, which is
what is computed. What is neither known to be work nor known to be none is refused, not left out.

Layers of ours that do work say how much: `macs(*input_shapes)`, for shapes with a batch. The graph
is walked with the shapes of one clip, so that a network which is called once a segment counts K
times, and one to which T frames are given as a batch counts T times. Axis letters: B batch, K
segments, T frames or steps, H W cells, C channels, D features, J spatial models.
"""

import functools
import math

import keras
from keras import layers

from vidrec.clip import MODALITIES
from vidrec.models.layers.clip_segments import CutSegments
from vidrec.models.layers.fusion import scale_scores
from vidrec.models.layers.ln_lstm import LayerNormLSTMCell
from vidrec.models.layers.same_videos import SameVideos
from vidrec.models.layers.segments import FoldSegments, UnfoldSegments


def count_macs(model, clip=None):
    """Multiply-adds of one clip, or of one image where the model takes images.

    Args:
        model: keras.Model, functional or Sequential, built.
        clip: ClipSpec, for the inputs named "rgb" and "flow". It says how long an open time axis
            is. None if the model's own shapes leave only the batch open.

    Returns:
        int, MAC.

    Raises:
        ValueError: if the model has a layer that is not known here, or shapes stay open.
    """
    return sum(macs_by_layer(model, clip).values())


def macs_by_layer(model, clip=None, *, depth=None):
    """Where the multiply-adds of one clip are.

    Args:
        model, clip: see `count_macs`.
        depth: int >= 1, names are cut after so many parts: 1 joins all layers of a nested model
            under its name. None for every layer.

    Returns:
        dict of int, MAC of each layer that has any, as the graph comes to them. Layers of a nested
        model are named "<model>/<layer>"; a layer that is called several times has the sum.

    Raises:
        ValueError: see `count_macs`.
    """
    if not isinstance(model, keras.Function | keras.Sequential):
        raise ValueError(
            f"`model` must be functional or Sequential. Received: a {type(model).__name__}"
        )
    if depth is not None and depth < 1:
        raise ValueError(f"`depth` must be None or at least 1. Received: depth={depth}")
    inputs = keras.tree.map_structure(functools.partial(_one_clip, clip=clip), model.input)
    found = {}
    # Where a shape is traced, Keras opens a scope; the end of an outermost one would give values
    # to all variables that wait for them.
    with keras.StatelessScope(initialize_variables=False):
        _visit(model, (), found, inputs)
    counts = {}
    for path, macs in found.items():
        name = "/".join(path[1:][:depth])
        counts[name] = counts.get(name, 0) + macs
    return counts


def _one_clip(tensor, clip):
    """An input's shape and type for a batch of one."""
    shape = (1, *tensor.shape[1:])
    if clip is not None and tensor.name in MODALITIES:
        if tensor.name not in clip.modalities:
            raise ValueError(
                f"`clip` must have the model's input {tensor.name!r}. "
                f"Received: clip.modalities={clip.modalities}"
            )
        given = (1, *clip.shape(tensor.name))
        if len(shape) != len(given) or any(
            length not in (None, wanted) for length, wanted in zip(shape, given, strict=True)
        ):
            raise ValueError(
                f"`clip` must fit the model's input {tensor.name!r}, {tuple(tensor.shape)}. "
                f"Received: a clip of {given[1:]}"
            )
        shape = given
    if None in shape:
        raise ValueError(
            f"The input {tensor.name!r} is open in more than its batch: `clip` must say how long. "
            f"Received: {tuple(tensor.shape)}, clip={clip}"
        )
    return keras.KerasTensor(shape, dtype=tensor.dtype)


def _visit(operation, path, found, *args, **kwargs):
    """Adds an operation's work on tensors of these shapes to `found`; the shapes that it gives."""
    path = (*path, operation.name)
    if isinstance(operation, keras.Sequential):
        for layer in operation.layers:
            args = (_visit(layer, path, found, *args),)
        return args[0]
    if isinstance(operation, keras.Function):  # what functional models are
        # As `compute_output_spec` goes through the graph, to which Keras has no public way.
        return operation._run_through_graph(
            *args, operation_fn=lambda inner: functools.partial(_visit, inner, path, found)
        )
    outputs = operation.compute_output_spec(*args, **kwargs)
    if _open(outputs):  # of a layer that says less than its computation does, such as FoldSegments
        outputs = keras.Operation.compute_output_spec(operation, *args, **kwargs)
        if _open(outputs):
            raise ValueError(f"The shapes that {'/'.join(path[1:])!r} gives stay open: {outputs}")
    macs = _work(operation, "/".join(path[1:]), keras.tree.flatten([args, kwargs]), outputs)
    if macs:
        found[path] = found.get(path, 0) + macs
    return outputs


def _open(tensors):
    return any(None in tensor.shape for tensor in keras.tree.flatten(tensors))


def _work(operation, name, inputs, outputs):
    """MAC of one operation, or ValueError if it is not known."""
    shapes = [x.shape for x in inputs if isinstance(x, keras.KerasTensor)]
    if hasattr(operation, "macs"):
        return operation.macs(*shapes)
    for types, rule in RULES.items():
        if isinstance(operation, types):
            return rule(operation, shapes, outputs)
    if isinstance(operation, FREE) or _is_free_by_keras(operation):
        return 0
    kind = f"{type(operation).__module__}.{type(operation).__qualname__}"
    raise ValueError(
        "Each layer must be one whose multiply-adds are known: give it a method `macs`, or say "
        f"that it has none, in vidrec/models/macs.py. Received: {name!r}, a {kind}"
    )


def _is_free_by_keras(operation):
    """Whether it is Keras' own, has no weights, and is no sum of products."""
    if isinstance(operation, layers.Lambda):
        return operation.function in FREE_FUNCTIONS
    return (
        type(operation).__module__.startswith("keras.")
        and not getattr(operation, "weights", ())
        and not isinstance(operation, PRODUCT_LAYERS)
        and type(operation).__name__ not in PRODUCT_OPERATIONS
    )


def _convolution(layer, inputs, output):
    """Each value that comes out is a sum over one column of the kernel; a dense layer's also."""
    return math.prod(output.shape) * math.prod(layer.kernel.shape[:-1])


def _depthwise(layer, inputs, output):
    """As a convolution, but over no channels: the kernel is (..., C, multiplier)."""
    return math.prod(output.shape) * math.prod(layer.kernel.shape[:-2])


def _separable(layer, inputs, output):
    places = math.prod(output.shape) // layer.filters
    kernels = layer.depthwise_kernel, layer.pointwise_kernel
    return places * sum(math.prod(kernel.shape) for kernel in kernels)


def _recurrent(layer, inputs, output):
    """Both kernels at each of T steps of (B, T, C)."""
    batch, steps, _ = inputs[0]
    if not isinstance(layer.cell, CELLS):
        raise ValueError(
            f"A recurrent layer's cell must be one of {[cell.__name__ for cell in CELLS]}. "
            f"Received: {layer.name!r} with a {type(layer.cell).__name__}"
        )
    kernels = layer.cell.kernel, layer.cell.recurrent_kernel
    return batch * steps * sum(math.prod(kernel.shape) for kernel in kernels)


def _both_directions(layer, inputs, output):
    directions = layer.forward_layer, layer.backward_layer
    return sum(_recurrent(direction, inputs, output) for direction in directions)


RULES = {
    (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense): _convolution,
    (layers.DepthwiseConv1D, layers.DepthwiseConv2D): _depthwise,
    (layers.SeparableConv1D, layers.SeparableConv2D): _separable,
    layers.RNN: _recurrent,
    layers.Bidirectional: _both_directions,
}
CELLS = (LayerNormLSTMCell, layers.LSTMCell)
FREE = (  # weights that only normalise, and layers of our own that multiply nothing
    layers.BatchNormalization,
    layers.LayerNormalization,
    FoldSegments,
    UnfoldSegments,
    SameVideos,
    CutSegments,
)
FREE_FUNCTIONS = (scale_scores,)  # of Lambda layers
# Keras' own sums of products, or layers around such, without weights: no model here has one yet.
PRODUCT_LAYERS = (layers.Dot, layers.Attention, layers.Wrapper)
PRODUCT_OPERATIONS = {
    *("Matmul", "Einsum", "Dot", "Tensordot", "Inner", "Vdot", "Vecdot", "Correlate"),
    *("Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv", "DotProductAttention"),
}
