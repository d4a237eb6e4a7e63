"""Networks that are as wide as a part of their paper's."""

from vidrec.models.options import check_positive


def scaled(channels, width):
    """Channels times `width`, an integer of at least 1.

    Raises:
        ValueError: if `width` is no finite number > 0.
    """
    check_positive(width=width)
    return max(1, round(channels * width))
