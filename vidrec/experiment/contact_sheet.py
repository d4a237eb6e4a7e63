"""A contact sheet: one picture of a data set, a few videos with their frames and their flow."""

import bisect
import dataclasses

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from vidrec.datasets.table import check_table
from vidrec.extraction import pool
from vidrec.extraction.colour_wheel import flow_colours, wheel
from vidrec.extraction.engines import DEFAULT_FLOW, compute_flow
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.video import COUNT_TOLERANCE, promised_frames, read_frames
from vidrec.files import new_file

LONGEST = 320  # px, of a picture's longer side, before flow: TV-L1 of 1280x720 takes seconds
PERCENTILE = 99  # of the lengths of motion has full colour: the longest are often errors
LEAST = 1.0  # px, that full colour stands for at least, so that noise stays pale
PATIENCE = 600  # s, that one video may take
MOST_VIDEOS, MOST_FRAMES = 120, 10  # 66 x 10 take 1.8 GB; matplotlib draws at most 65,536 px
DPI = 200  # a picture of 320 px is 1.6 inches: shown pixel by pixel
PICTURE, TEXT, GAP, MARGIN, WHEEL, CAPTION = LONGEST / DPI, 2.65, 0.15, 0.25, 0.9, 0.15  # inches
LINE = 0.165  # inches from one line of text to the next
LARGE = FontProperties(size=15, weight="bold")
BOLD = FontProperties(size=10, weight="bold")
PLAIN = FontProperties(size=8.5)
SMALL = FontProperties(size=7)
GREY, RED = "0.3", "#b00000"


@dataclasses.dataclass(frozen=True)
class Look:
    """What is shown of one video."""

    frames: int  # as decoded
    promised: int  # by the container
    width: int  # px
    height: int
    fps: float  # 0 or NaN if the container does not say
    # number of a frame, from 1; uint8 (H, W, 3) RGB, scaled down; float32 (H, W, 2) flow to the
    # next frame in px of the video, or None
    pictures: list[tuple]


def contact_sheet(
    table, path, *, videos=8, frames=4, seed=0, settings=DEFAULT_FLOW, title="", workers=None
):
    """Draws a few videos of a data set, one a row, for people who want to see it.

    A row has frames spread evenly over the video, each with the colours of its flow to the next
    frame (`flow_colours`) at its right. That is computed of frames scaled down to at most 320 px on
    the longer side, and is in px of the video. Full colour is the 99th percentile of all motion on
    the sheet, so that rows can be compared. Each video is decoded to its end, and once more if its
    container promises another number of frames.

    Args:
        table: video table.
        path: the PNG to write; it appears whole or not at all.
        videos: int 1 to 120, rows; all videos if there are fewer.
        frames: int 1 to 10, frames a row; all of a shorter video.
        seed: int >= 0. With one seed, a higher number of `videos` adds to the same choice.
        settings: FlowSettings; only the engine counts.
        title: str.
        workers: int >= 0 or None, processes; see `vidrec.extraction.pool.run`. A video that kills
            its process, or takes longer than 10 minutes, is one that cannot be read.

    Returns:
        list of (video_id, message): the chosen videos that cannot be read. Their rows say so too.

    Raises:
        ValueError: if `table` is no video table, or an option is outside its range.
        ImportError: if the engine is not there; says how to repair it.
    """
    check_table(table)
    options = {"videos": (videos, 1, MOST_VIDEOS), "frames": (frames, 1, MOST_FRAMES)}
    for name, (value, low, high) in (options | {"seed": (seed, 0, 2**63)}).items():
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(
                f"`{name}` must be an integer from {low} to {high}. Received: {name}={value!r}"
            )
    engine = settings.available().engine
    chosen = choose(table, videos, seed)
    jobs = [(video.video_id, video.path, frames, engine) for video in chosen.itertuples()]
    looks = {}
    with progress_bar("sheet", len(jobs)) as advance:
        results = pool.run(look_at, jobs, workers=workers, time_limit=lambda job: PATIENCE)
        for (video_id, video, *_), look in results:
            lost = isinstance(look, pool.Lost)
            looks[video_id] = f"{video}: {look.reason}. Is it damaged?" if lost else look
            advance()
    page = _Page(frames, largest=max(LEAST, _longest(looks.values())))
    page.header(
        title,
        f"{len(chosen)} of {len(table)} videos, {chosen.label.nunique()} of "
        f"{table.label.nunique()} classes, seed {seed}. At the right of each frame: its motion to "
        f'the next frame, by the engine "{engine}" on frames of at most {LONGEST} px, in px of the '
        f"video itself. The rim is the length that {PERCENTILE} % of all motion here stays within.",
    )
    for video in chosen.itertuples():
        page.row(video, looks[video.video_id])
    page.save(path)
    return [(name, looks[name]) for name in chosen.video_id if isinstance(looks[name], str)]


def choose(table, videos, seed):
    """At most `videos` rows of a video table, the classes in turn, sorted by label and video_id."""
    rng = np.random.default_rng(seed)
    shuffled = table.sort_values("video_id").iloc[rng.permutation(len(table))]
    classes = shuffled.groupby("label")
    order = np.lexsort((rng.permutation(classes.ngroups)[classes.ngroup()], classes.cumcount()))
    return shuffled.iloc[order[:videos]].sort_values(["label", "video_id"])


def spread(count, frames):
    """Indices, from 0, of the middles of `frames` equal parts of all pairs, or of all frames."""
    if count <= frames:
        return list(range(count))
    return [(2 * i + 1) * (count - 1) // (2 * frames) for i in range(frames)]


def look_at(video_id, path, frames, engine):
    """In a worker: the Look of one video, or why it cannot be read, as str."""
    try:
        promised, fps = promised_frames(path)
        count = promised
        for _ in range(2):  # once more if the container was wrong
            starts = spread(count, frames)
            needed = {i + step for i in starts for step in (0, 1)}
            kept, decoded = {}, 0
            for image in read_frames(path):
                if decoded in needed:
                    kept[decoded] = _scaled(image)
                decoded += 1
            if decoded == count:
                break
            count = decoded
        else:
            return f"{path} has another number of frames each time. Is it still being written?"
        height, width = image.shape[:2]
        pictures = []
        for i in starts:
            flow = None
            if i + 1 in kept:
                pair = [cv2.cvtColor(kept[k], cv2.COLOR_BGR2GRAY) for k in (i, i + 1)]
                h, w = pair[0].shape
                scale = np.array([width / w, height / h], np.float32)
                flow = scale * compute_flow(*pair, engine=engine)
            pictures.append((i + 1, kept[i][..., ::-1], flow))
    except (ValueError, OSError, cv2.error) as error:  # cv2's: an image too small for its engine
        return f"{path}: {error}" if isinstance(error, cv2.error) else str(error)
    return Look(count, promised, width, height, fps, pictures)


def _scaled(image):
    scale = min(1, LONGEST / max(image.shape[:2]))
    size = [max(1, round(scale * side)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _longest(looks):
    """The length that PERCENTILE % of the motion in these does not exceed, float px; 0 of none."""
    pictures = [p for look in looks if isinstance(look, Look) for p in look.pictures]
    flows = [flow for *_, flow in pictures if flow is not None]
    lengths = [np.hypot(*np.moveaxis(flow, 2, 0)).ravel() for flow in flows]
    return float(np.percentile(np.concatenate(lengths or [[0]]), PERCENTILE))


class _Page:
    """A figure that grows downwards. Places are inches from its top left: rows differ in height."""

    def __init__(self, frames, largest):
        self.largest = largest  # px of motion with full colour
        self.room = frames * (2 * PICTURE + GAP) - GAP  # inches, right of the text
        self.width, self.y = MARGIN + TEXT + self.room + MARGIN, MARGIN
        self.figure = Figure(dpi=DPI)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")

    def header(self, title, note):
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
        yield f"{PERCENTILE} % of motion up to {_longest([look]):.1f} px", PLAIN, GREY


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
