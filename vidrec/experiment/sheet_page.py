"""A page of pictures in rows: where text and pictures stand on a figure that grows downwards."""

import bisect
import dataclasses

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from vidrec.evaluation.letters import visible
from vidrec.experiment.look import LONGEST, PERCENTILE, longest_motion
from vidrec.extraction.colour_wheel import flow_colours, wheel
from vidrec.files import new_file

DPI = 200  # a picture of 320 px is 1.6 inches: shown pixel by pixel
PICTURE, TEXT, GAP, MARGIN, WHEEL, CAPTION = LONGEST / DPI, 2.65, 0.15, 0.25, 0.9, 0.15  # inches
LINE = 0.165  # inches from one line of text to the next
LARGE = FontProperties(size=15, weight="bold")
BOLD = FontProperties(size=10, weight="bold")
PLAIN = FontProperties(size=8.5)
SMALL = FontProperties(size=7)
GREY, RED = "0.3", "#b00000"
LEAST = 1.0  # px, that full colour stands for at least, so that noise stays pale
RIM = f"The rim is the length that {PERCENTILE} % of all motion here stays within."


@dataclasses.dataclass(frozen=True)
class Cell:
    """Pictures side by side, with a line of text above them."""

    caption: str
    pictures: tuple  # of uint8 (H, W, 3), or of str, which stands where a picture would
    width: float  # inches, of one picture
    height: float


class Page:
    """A figure; places on it are inches from its top left, since rows differ in height.

    Args:
        columns: int, cells a row.
        across: float, inches from the left of a cell to its right.
        flows: list of float (H, W, 2), all motion on the page, or None where there is none to be.
        unit: str, of that motion.
    """

    def __init__(self, columns, across, flows, *, unit=" px"):
        self.across, self.unit = across, unit
        self.largest = None if flows is None else max(LEAST, longest_motion(flows))
        self.room = columns * (across + GAP) - GAP  # inches, right of the text
        self.width, self.y = MARGIN + TEXT + self.room + MARGIN, MARGIN
        self.figure = Figure(dpi=DPI)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")

    def header(self, title, note):
        """A title, a paragraph of text and, if there is motion on the page, the colour wheel."""
        x, y = self.width - MARGIN, self.y
        if self.largest is not None:
            x, note = x - WHEEL, f"{note} {RIM}"
            self._show(x, y, WHEEL, WHEEL, wheel(round(WHEEL * DPI)))
            scale = f"rim: {self.largest:.1f}{self.unit}"
            self._lines(x - 0.08, y + 0.2, ("Motion", scale, "or more"), ha="right")
            x, self.y = x - WHEEL - MARGIN, y + WHEEL
        room = x - MARGIN
        if title:
            self._write(MARGIN, y, _short(title, room, LARGE), LARGE)
            y += 0.35
        self.y = max(self.y, self._lines(MARGIN, y, _wrapped(note, room))) + GAP

    def row(self, facts, cells, *, rule=True):
        """A row below the others.

        Args:
            facts: iterable of (text, font, colour), the lines at its left.
            cells: list of Cell, or str, why there are none.
            rule: bool, whether a line parts it from the row above.
        """
        if rule:
            self.axes.plot([MARGIN, self.width - MARGIN], [self.y] * 2, color="0.8", linewidth=0.5)
            self.y += GAP / 2
        top = y = self.y
        for text, font, colour in facts:
            self._write(MARGIN, y, _short(text, TEXT - GAP, font), font, color=colour)
            y += LINE
        if isinstance(cells, str):
            lines = _wrapped(_middle(cells, 400), self.room)
            bottom = self._lines(MARGIN + TEXT, top, lines, color=RED)
        else:
            bottom = self._cells(MARGIN + TEXT, top, cells)
        self.y = max(y, bottom) + GAP

    def colours(self, flow):
        """The picture of a flow field, float (H, W, 2), by the page's wheel."""
        return flow_colours(flow, largest=self.largest)

    def motion(self, flows):
        """What a row says of its flow, a line of `facts`."""
        length = f"{longest_motion(flows):.1f}{self.unit}"
        return f"{PERCENTILE} % of motion up to {length}", PLAIN, GREY

    def save(self, path):
        """Writes the PNG, whole or not at all."""
        height = self.y + MARGIN - GAP
        self.figure.set_size_inches(self.width, height)
        self.axes.set(xlim=(0, self.width), ylim=(height, 0))
        with new_file(path) as file:
            self.figure.savefig(file, format="png", dpi=DPI, facecolor="white")

    def _cells(self, x, y, cells):
        top = y + CAPTION
        for cell in cells:
            w, h = cell.width, cell.height
            self._write(x, y, _short(cell.caption, self.across, SMALL), SMALL, color=GREY)
            for i, picture in enumerate(cell.pictures):
                if isinstance(picture, str):
                    self._write(x + i * w + 0.05, top + 0.04, picture, SMALL, color=GREY)
                else:
                    self._show(x + i * w, top, w, h, picture)
            # Where nothing moves, flow is as white as the paper.
            size = len(cell.pictures) * w, h
            self.axes.add_patch(Rectangle((x, top), *size, fill=False, edgecolor="0.7", lw=0.5))
            x += self.across + GAP
        return top + max((cell.height for cell in cells), default=0)

    def _lines(self, x, y, lines, **style):
        for i, line in enumerate(lines):
            self._write(x, y + i * LINE, line, **style)
        return y + len(lines) * LINE

    def _show(self, x, y, w, h, image):
        whole = image.shape[:2] == (round(h * DPI), round(w * DPI))
        how = "nearest" if whole else None  # for the last bit of w, Matplotlib 3.8 would smooth
        self.axes.imshow(image, extent=(x, x + w, y + h, y), aspect="auto", interpolation=how)

    def _write(self, x, y, text, font=PLAIN, **style):
        self.axes.text(x, y, text, font=font, va="top", parse_math=False, **style)


def check_integer(name, value, low, high, why=""):
    """Refuses a number of what is on a page that is out of range: ValueError."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(
            f"`{name}` must be an integer from {low} to {high}{why}. Received: {name}={value!r}"
        )


def side_of(size):
    """Inches of a square picture's side, of as many whole pixels for each of its `size` as fit."""
    return min(size * max(1, LONGEST // size), LONGEST) / DPI


def name_lines(video_id):
    """The lines of `facts` for a name: its folder in a line of its own where it is long."""
    folder, slash, name = video_id.rpartition("/")
    whole = _inches(visible(video_id, PLAIN), PLAIN) <= TEXT - GAP
    return [(part, PLAIN, "black") for part in ([video_id] if whole else [folder + slash, name])]


def _short(text, inches, font):
    """The text in so many inches: its beginning and its end where it is longer."""
    text = visible(text, font)
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
    text, lines = visible(" ".join(text.split()), PLAIN), []
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
