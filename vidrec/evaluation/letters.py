"""Names of any letters on a figure, whose font has not all of them."""

import functools

from matplotlib.font_manager import FontProperties, findfont, get_font

USUAL = FontProperties()


def visible(text, font=USUAL):
    """The text with an escape, such as \\u4e2d, for each letter that a font does not have."""
    known = _letters(findfont(font))
    return "".join(c if c.isprintable() and ord(c) in known else ascii(c)[1:-1] for c in text)


def label(text):
    """`visible` in the usual font, for matplotlib, which would take what is between $ for maths."""
    return visible(str(text)).replace("$", r"\$")


@functools.lru_cache
def _letters(file):
    return frozenset(get_font(file).get_charmap())
