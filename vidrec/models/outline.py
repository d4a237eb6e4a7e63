"""Networks that have shapes and no values: they take no memory, and no time to draw weights."""

import contextlib

import keras


@contextlib.contextmanager
def without_values():
    """Models that are made inside have variables without values; they can be counted afterwards."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:  # forgets the variables that wait for values, or the next scope would give them some
        keras.backend.clear_session(free_memory=False)
