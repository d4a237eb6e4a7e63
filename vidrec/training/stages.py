"""Staged fine-tuning: which layers of a model are open to training.

Qiao et al. 2021, section 3.4.2 and Table 1: the head alone, then the top of Xception, then all.
"""

import re

import keras


def set_trainable(model, layers, *, backbones=("xception",), freeze_bn=False):
    """Opens the layers of a stage, in every backbone of the model; heads are always open.

    Compile the model after this call: Keras reads what is trainable when it compiles.

    Args:
        model: keras.Model that holds one or more sub-models named "<...>_<backbone>".
        layers: "head" for none of the backbone; "last33" (or any number) for its last 33 layers,
            "block11-14" (or other numbers) for the layers from the first of block 11 on, "all";
            or an int n for `backbone.layers[n:]`.
        backbones: sequence of str, the ends of the backbones' names; () for a model that has none,
            which is trained as a whole.
        freeze_bn: bool, keep weights and statistics of the backbones' batch normalisation; of a
            model without one, of all of it.

    Returns:
        The number of trainable parameters.

    Raises:
        ValueError: if the model has no such backbone, or `layers` is not understood.
    """
    ends = tuple(f"_{name}" for name in backbones)
    found = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.Model) and layer.name.endswith(ends)
    ]
    if not found and (ends or layers != "all"):
        raise ValueError(
            f"`model` must hold a sub-model whose name ends with one of {ends}. "
            f"Received: {model.name!r}"
        )
    for layer in model._flatten_layers():
        layer.trainable = True  # each one: a model that is trainable already ignores the call
    for base in found:
        first = _first_open(base, layers)
        for layer in base.layers[:first]:
            layer.trainable = False
    if freeze_bn:
        for layer in [layer for base in found or [model] for layer in base._flatten_layers()]:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


def decay_weights(model, rate):
    """Adds rate / 2 times the square of every open kernel to the loss: L2 regularisation.

    Its gradient is `rate` times the kernel, which is what weight decay means to Caffe's and
    PyTorch's SGD, of which papers speak; Keras' own `weight_decay` bypasses momentum. Biases and
    batch normalisation are left alone. The loss that is logged contains it.

    Args:
        model: keras.Model; all its kernels, of whatever layer.
        rate: float >= 0; 0 for none, whatever there was.
    """
    penalty = keras.regularizers.L2(rate / 2) if rate else None
    for variable in model.weights:
        if _is_kernel(variable):
            variable.regularizer = penalty


def build_optimizer(optimizer, model):
    """Makes an optimizer's slots, and lets AdamW decay open kernels alone, as `decay_weights`."""
    decaying = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if isinstance(decaying, keras.optimizers.AdamW):
        others = [v for v in model.trainable_variables if not _is_kernel(v)]
        decaying.exclude_from_weight_decay(var_list=others)
    optimizer.build(model.trainable_variables)


def _is_kernel(variable):
    return variable.name.endswith("kernel")


def _first_open(base, layers):
    """Index of the first layer that is open."""
    if layers == "all":
        return 0
    if layers == "head":
        return len(base.layers)
    if isinstance(layers, int) and -len(base.layers) <= layers < len(base.layers):
        return layers % len(base.layers)
    if match := re.fullmatch(r"last(\d+)", str(layers)):
        count = int(match[1])
        if 1 <= count <= len(base.layers):
            return len(base.layers) - count
    if match := re.fullmatch(r"block(\d+)-(\d+)", str(layers)):
        wanted = range(int(match[1]), int(match[2]) + 1)
        blocks = [re.match(r"block(\d+)_", layer.name) for layer in base.layers]
        numbers = [int(block[1]) if block else 0 for block in blocks]
        if wanted and wanted[0] in numbers and wanted[-1] == max(numbers):
            return numbers.index(wanted[0])
    raise ValueError(
        "`layers` must be 'head', 'all', 'last<n>', 'block<a>-<b>' with b the last block, or an "
        f"index of the {len(base.layers)} layers of {base.name!r}. Received: layers={layers!r}"
    )
