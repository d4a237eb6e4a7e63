"""Options of a model that have a few known values."""


def check_choices(known, **options):
    """Refuses an option that has none of its values.

    Args:
        known: dict of the options' names to their values.
        **options: what is given.

    Raises:
        ValueError: naming the option and its values.
    """
    for name, value in options.items():
        if value not in known[name]:
            raise ValueError(f"`{name}` must be one of {known[name]}. Received: {name}={value!r}")
