"""Learning rate by epoch, counted from 0 within a stage."""

import math


def step_decay(epoch, *, rate, factor=0.2, every=10, minimum=1e-4):
    """`rate` times `factor` for each `every` epochs gone by, never below `minimum`.

    The paper's schedule (Qiao et al. 2021, section 3.4.2): 0.05, divided by 5 every 10 epochs, down
    to 0.0001. Decision 11 of the specification.
    """
    return max(rate * factor ** (epoch // every), minimum)


def warm_up(epoch, *, rate_of, epochs):
    """The rate of `rate_of`, times 1 / n, 2 / n, ... in the first n = `epochs` epochs."""
    return rate_of(epoch) * min(1.0, (epoch + 1) / epochs)


def milestone_decay(epoch, *, rate, at, factor):
    """`rate` times `factor` for each epoch of `at` that has come (T-STAM, section 4.2)."""
    return rate * factor ** sum(epoch >= milestone for milestone in at)


def constant(epoch, *, rate):
    """`rate` in every epoch (deep fusion network, section 3.6: 1e-5, then 1e-6)."""
    return rate


def cosine_decay(epoch, *, rate, epochs, minimum=0.0):
    """Half a cosine from `rate` in the first epoch towards `minimum` after the last."""
    return minimum + (rate - minimum) * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
