"""Verbs about data sets."""


def add(verbs):
    """Adds these verbs."""
