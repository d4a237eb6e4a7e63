"""A network's learnable parameters, and how far they are from a paper's number."""

import math


def trainable(model):
    """Of a model that may have no values yet."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def deviation(model, millions):
    """Per cent of the paper's number."""
    return round(100 * (trainable(model) / 1e6 / millions - 1), 2)
