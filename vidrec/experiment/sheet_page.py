"""The page of a contact sheet: where text and pictures stand on a figure that grows downwards."""

import bisect

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from vidrec.experiment.look import LONGEST, PERCENTILE, longest_motion
from vidrec.extraction.colour_wheel import flow_colours, wheel
from vidrec.extraction.video import COUNT_TOLERANCE
from vidrec.files import new_file

DPI = 200  # a picture of 320 px is 1.6 inches: shown pixel by pixel
PICTURE, TEXT, GAP, MARGIN, WHEEL, CAPTION = LONGEST / DPI, 2.65, 0.15, 0.25, 0.9, 0.15  # inches
LINE = 0.165  # inches from one line of text to the next
LARGE = FontProperties(size=15, weight="bold")
BOLD = FontProperties(size=10, weight="bold")
PLAIN = FontProperties(size=8.5)
SMALL = FontProperties(size=7)
GREY, RED = "0.3", "#b00000"


class Page:
    """A figure; places on it are inches from its top left, since rows differ in height.

    Args:
        frames: int, pictures a row.
        largest: float > 0, px of motion with full colour.
    """

    def __init__(self, frames, largest):
        self.largest = largest
        self.room = frames * (2 * PICTURE + GAP) - GAP  # inches, right of the text
        self.width, self.y = MARGIN + TEXT + self.room + MARGIN, MARGIN
        self.figure = Figure(dpi=DPI)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")

    def header(self, title, note):
        """A title, a paragraph of text and the colour wheel."""
        x, y = self.width - MARGIN - WHEEL, self.y
        self._show(x, y, WHEEL, WHEEL, wheel(round(WHEEL * DPI)))
        scale = f"rim: {self.largest:.1f} px"
        self._lines(x - 0.08, y + 0.2, ("Motion", scale, "or more"), ha="right")
        room = x - WHEEL - 2 * MARGIN
        if title:
            self._write(MARGIN, y, _short(title, room, LARGE), LARGE)
            y += 0.35
        self.y = max(self.y + WHEEL, self._lines(MARGIN, y, _wrapped(note, room))) + GAP

    def row(self, video, look):
        """A row of the video table, and its Look, or why there is none, as str."""
        self.axes.plot([MARGIN, self.width - MARGIN], [self.y] * 2, color="0.8", linewidth=0.5)
        top = y = self.y + GAP / 2
        for text, font, colour in _facts(video, look):
            self._write(MARGIN, y, _short(text, TEXT - GAP, font), font, color=colour)
            y += LINE
        if isinstance(look, str):
            lines = _wrapped(_middle(f"Cannot be read: {look}", 400), self.room)
            bottom = self._lines(MARGIN + TEXT, top, lines, color=RED)
        else:
            bottom = self._pictures(MARGIN + TEXT, top, look)
        self.y = max(y, bottom) + GAP

    def save(self, path):
        """Writes the PNG, whole or not at all."""
        height = self.y + MARGIN - GAP
        self.figure.set_size_inches(self.width, height)
        self.axes.set(xlim=(0, self.width), ylim=(height, 0))
        with new_file(path) as file:
            self.figure.savefig(file, format="png", dpi=DPI, facecolor="white")

    def _pictures(self, x, y, look):
        longer = max(look.width, look.height)
        w, h = (max(1, round(LONGEST * side / longer)) / DPI for side in (look.width, look.height))
        for number, image, flow in look.pictures:
            seconds = f", {(number - 1) / look.fps:.2f} s" if look.fps > 0 else ""
            self._write(x, y, f"frame {number}{seconds}", SMALL, color=GREY)
            top = y + CAPTION
            self._show(x, top, w, h, image)
            if flow is None:
                self._write(x + w + 0.05, top + 0.04, "no next frame", SMALL, color=GREY)
            else:
                self._show(x + w, top, w, h, flow_colours(flow, largest=self.largest))
            # Where nothing moves, flow is as white as the paper.
            self.axes.add_patch(Rectangle((x, top), 2 * w, h, fill=False, edgecolor="0.7", lw=0.5))
            x += 2 * PICTURE + GAP
        return y + CAPTION + h

    def _lines(self, x, y, lines, **style):
        for i, line in enumerate(lines):
            self._write(x, y + i * LINE, line, **style)
        return y + len(lines) * LINE

    def _show(self, x, y, w, h, image):
        self.axes.imshow(image, extent=(x, x + w, y + h, y), aspect="auto")

    def _write(self, x, y, text, font=PLAIN, **style):
        self.axes.text(x, y, text, font=font, va="top", parse_math=False, **style)


def _facts(video, look):
    """Lines of text, their fonts and colours, for the left of a row."""
    yield video.label, BOLD, "black"
    folder, slash, name = video.video_id.rpartition("/")
    whole = _inches(_visible(video.video_id, PLAIN), PLAIN) <= TEXT - GAP
    for part in [video.video_id] if whole else [folder + slash, name]:
        yield part, PLAIN, "black"
    yield f"group {video.group}" if video.group else "group unknown", PLAIN, GREY
    if isinstance(look, str):
        return
    length = f"{look.frames} frames" if look.frames > 1 else "1 frame"
    fps = f"{look.fps:.5g} fps" if look.fps > 0 else "fps unknown"
    yield f"{length}, {look.width}x{look.height} px, {fps}", PLAIN, GREY
    if look.frames < look.promised - COUNT_TOLERANCE:
        yield f"{look.promised} frames promised: truncated?", PLAIN, RED
    if look.frames > 1:
        yield f"{PERCENTILE} % of motion up to {longest_motion([look]):.1f} px", PLAIN, GREY


def _visible(text, font):
    """The text with an escape, such as \\u4e2d, for each letter that the font does not have."""
    known = get_font(findfont(font)).get_charmap()
    return "".join(c if c.isprintable() and ord(c) in known else ascii(c)[1:-1] for c in text)


def _short(text, inches, font):
    """The text in so many inches: its beginning and its end where it is longer."""
    text = _visible(text, font)
    if _inches(text, font) <= inches:
        return text
    lengths = range(len(text))
    keep = bisect.bisect(lengths, inches, key=lambda keep: _inches(_middle(text, keep), font))
    return _middle(text, keep - 1)


def _middle(text, keep):
    """The text with at most `keep` of its letters, the others taken out of its middle."""
    cut = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return text if len(text) <= keep else cut


def _wrapped(text, inches):
    """Lines of PLAIN text, none longer than so many inches."""
    text, lines = _visible(" ".join(text.split()), PLAIN), []
    while text:
        ends = range(1, len(text) + 1)
        end = max(1, bisect.bisect(ends, inches, key=lambda end: _inches(text[:end], PLAIN)))
        if end < len(text):
            end = text.rfind(" ", 1, end + 1) + 1 or end
        lines.append(text[:end].strip())
        text = text[end:].lstrip()
    return lines


def _inches(text, font):
    """Width of a text; a figure's pixels make it up to 4 % wider than its outlines are."""
    return 1.04 * text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72
