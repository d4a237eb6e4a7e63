"""What the values of a model's options must be.

Each check takes options by name, and raises a ValueError that names the first that is wrong.
"""

import math
import numbers


def check_choices(known, **options):
    """Refuses an option that has none of its values; `known` has them by the option's name."""
    for name, value in options.items():
        if value not in known[name]:
            raise ValueError(f"`{name}` must be one of {known[name]}. Received: {name}={value!r}")


def check_counts(**options):
    """Refuses an option that is no integer >= 1."""
    for name, value in options.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be an integer >= 1. Received: {name}={value!r}")


def check_positive(**options):
    """Refuses an option that is no finite number > 0."""
    for name, value in options.items():
        if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be a finite number > 0. Received: {name}={value!r}")


def check_shares(**options):
    """Refuses an option that is no number in [0, 1)."""
    for name, value in options.items():
        if not isinstance(value, numbers.Real) or not 0 <= value < 1:
            raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r}")


def check_not_negative(**options):
    """Refuses an option that is no finite number >= 0."""
    for name, value in options.items():
        if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
            raise ValueError(f"`{name}` must be a finite number >= 0. Received: {name}={value!r}")


def check_lists(**options):
    """Refuses an option that is no list or tuple of integers >= 1."""
    for name, values in options.items():
        if not isinstance(values, list | tuple) or not all(
            isinstance(value, int) and value >= 1 for value in values
        ):
            raise ValueError(
                f"`{name}` must be a list of integers >= 1. Received: {name}={values!r}"
            )


def check_switches(**options):
    """Refuses an option that is neither True nor False."""
    for name, value in options.items():
        if not isinstance(value, bool):
            raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")


def literal_or_default(defaults, literal, **given):
    """What options are, as a list, of which None has two meanings: the model's default and, with
    `literal`, what its preset of that name sets. `defaults` has both by the option's name.

    Raises:
        ValueError: if an option is given against the preset.
    """
    check_switches(literal=literal)
    for name, value in given.items():
        preset = defaults[name][1]
        if literal and value not in (None, preset):
            raise ValueError(
                f"`{name}` must be None or {preset!r} with literal=True. Received: {name}={value!r}"
            )
    return [defaults[name][literal] if value is None else value for name, value in given.items()]
