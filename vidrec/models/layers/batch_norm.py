"""Batch normalisation with PyTorch's constants."""

from keras import layers

from vidrec.models.options import check_shares

EPSILON = 1e-5
MOMENTUM = 0.9  # what is kept of the moving statistics; PyTorch's 0.1 is what is taken


def batch_norm(x, momentum, name):
    """x (..., C) normalised by channel, or as it is where `momentum` is None."""
    if momentum is None:
        return x
    return layers.BatchNormalization(momentum=momentum, epsilon=EPSILON, name=name)(x)


def momentum_of(bn_momentum, *, normalises):
    """The option `bn_momentum`, or MOMENTUM where it is None; None for what does not normalise.

    Raises:
        ValueError: if it is outside [0, 1), or given to what does not normalise.
    """
    if not normalises:
        if bn_momentum is not None:
            raise ValueError(
                "`bn_momentum` must be None for a network without batch normalisation. "
                f"Received: bn_momentum={bn_momentum!r}"
            )
        return None
    momentum = MOMENTUM if bn_momentum is None else bn_momentum
    check_shares(bn_momentum=momentum)
    return momentum
