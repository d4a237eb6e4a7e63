"""Networks that are as wide as a part of their paper's."""


def scaled(channels, width):
    """Channels times `width`, an integer of at least 1."""
    return max(1, round(channels * width))
