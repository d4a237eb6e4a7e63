"""Predictions of many videos, or of a camera, by an exported model."""

import collections
import dataclasses
import itertools
import sys
from pathlib import Path

import cv2
import numpy as np

from vidrec.datasets.table import VIDEO_SUFFIXES
from vidrec.evaluation.timeline import clock, plot_timeline
from vidrec.experiment.annotate import annotate, shown_rate
from vidrec.experiment.rows_file import SUFFIXES, rows_file
from vidrec.export.predictor import Prediction, Predictor
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.source import images
from vidrec.extraction.video import VideoError, promised_frames, read_frames

CAMERA_WINDOW = 4.0  # s
ANNOTATED = 3  # classes that are written into a video
FAILURES = (VideoError, OSError, cv2.error)
SILENT = 0  # of OpenCV's log levels


@dataclasses.dataclass(frozen=True)
class Part:
    """What is said of a video, or of a part of it: `start` and `end` are s, or None for all."""

    video: str
    start: float | None
    end: float | None
    prediction: Prediction

    def row(self, top):
        """A JSON-able dict."""
        found = {"video": self.video, "start_s": self.start, "end_s": self.end}
        found["frames"] = list(self.prediction.frames)
        found["top"] = _named(self.prediction.top(top))
        if self.prediction.segments is not None:
            found["segments"] = [_named(one) for one in self.prediction.segment_tops(top)]
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is done with each video.

    Attributes:
        top: int, classes that are told.
        evidence: bool, whether each segment is asked alone too.
        window, stride: float, s, the length of the parts that a long video is taken in, and from
            the start of one to that of the next; None for the whole video, and half a window.
        seconds: float, s, after which a camera is left; None for ctrl-C.
        results: path of a `.json` or `.csv` file to write, or None.
        annotated: bool, whether MP4 files are written.
        out: path of the folder of MP4 files and timelines.

    Raises:
        ValueError: if a length of time is not over 0, or `results` is no such file.
    """

    top: int = 5
    evidence: bool = False
    window: float | None = None
    stride: float | None = None
    seconds: float | None = None
    results: str | None = None
    annotated: bool = False
    out: str = "predictions"

    def __post_init__(self):
        for name in ("top", "window", "stride", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be > 0. Received: {name}={value!r}")
        if self.results and Path(self.results).suffix.lower() not in SUFFIXES:
            raise ValueError(f"`results` must be a .json or .csv file. Received: {self.results}")


def sources(paths):
    """The videos that are meant: files, folders of images, the videos below other folders, and
    numbers of cameras.

    Args:
        paths: sequence of str. A number is a camera's if there is no file of that name.

    Returns:
        list of str or int. What is not there, or a folder without videos, stays as it is given: to
        read it says what is wrong.
    """
    found = []
    for path in paths:
        path = str(path)
        if path.isdigit() and not Path(path).exists():
            found.append(int(path))
        elif Path(path).is_dir() and not images(path):
            inside = sorted(
                str(file)
                for file in Path(path).rglob("*")
                if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")
            )
            found += inside or [path]
        else:
            found.append(path)
    return found


def predict(paths, model, options):
    """Predicts videos one after the other; prints, and writes what the options ask for.

    Args:
        paths: sequence of str, see `sources`.
        model: path of an exported model, see `vidrec.export.predictor.Predictor`.
        options: Options.

    Returns:
        Number of videos that could not be predicted; they are named on stderr. What is said of the
        others is kept if the user interrupts too.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if a window is too short for the model.
    """
    predictor, names = Predictor(model), collections.Counter()
    for note in predictor.notes:
        print(note)
    failed, stopped = 0, None
    with rows_file(options.results) as write:
        for source in sources(paths):
            try:
                for part in _parts(predictor, source, options, names):
                    _tell(part, options.top)
                    write(part.row(options.top))
            except FAILURES as error:
                failed += 1
                print(f"failed: {error}", file=sys.stderr)
            except KeyboardInterrupt as error:  # what was found until then is kept
                stopped = error
                break
    if stopped and not isinstance(source, int):  # a camera is left so
        raise stopped
    return failed


def _parts(predictor, source, options, names):
    """Yields the Parts of a video as they are found, then makes its pictures."""
    if isinstance(source, int):
        yield from _of_camera(predictor, source, options)
        return
    total, fps = promised_frames(source)
    fps, parts = shown_rate(fps), []
    if options.window is None:
        parts = [Part(source, None, None, predictor.predict(source, evidence=options.evidence))]
        yield from parts
    else:
        for part in _along(predictor, read_frames(source), fps, source, options):
            parts.append(part)
            yield part
    stem = Path(source).stem
    names[stem] += 1
    stem += f"_{names[stem]}" if names[stem] > 1 else ""
    if options.window is not None:
        path = Path(options.out) / f"{stem}_timeline.png"
        starts, ends = ([getattr(part, side) for part in parts] for side in ("start", "end"))
        probabilities = [part.prediction.probabilities for part in parts]
        plot_timeline(starts, ends, probabilities, predictor.classes, path, Path(source).name)
        print(f"  {path}")
    if options.annotated:
        path = Path(options.out) / f"{stem}.mp4"
        with progress_bar(path.name, total, unit="frames", lines=4) as advance:
            _annotate(predictor, source, parts, fps, path, advance)
        print(f"  {path}")


def _along(predictor, frames, fps, name, options):
    """Parts of a stream, window by window."""
    stride = options.window / 2 if options.stride is None else options.stride
    length, stride = round(options.window * fps), max(1, round(stride * fps))
    options = {"name": name, "evidence": options.evidence}
    for window in predictor.windows(frames, length=length, stride=stride, **options):
        yield Part(str(name), window.start / fps, window.end / fps, window.prediction)


def _of_camera(predictor, number, options):
    """Parts of what a camera sees, until the time is over or the user leaves it."""
    logging = getattr(cv2.utils, "logging", cv2)  # in OpenCV 4.12 it is no module of its own
    logging.setLogLevel(SILENT)  # its own complaints do not say what to do
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise VideoError(
                f"Camera {number} cannot be opened. Is it connected, and free? Try another number, "
                "or give the path of a video file."
            )
        fps = shown_rate(capture.get(cv2.CAP_PROP_FPS))
        count = None if options.seconds is None else round(options.seconds * fps)
        frames = itertools.islice(_seen_by(capture), count)
        options = dataclasses.replace(options, window=options.window or CAMERA_WINDOW)
        yield from _along(predictor, frames, fps, f"camera {number}", options)
    finally:
        capture.release()


def _seen_by(capture):
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield frame


def _annotate(predictor, source, parts, fps, path, advance):
    whole = parts[0].start is None
    middles = np.array([0.0 if whole else (part.start + part.end) / 2 for part in parts])

    def labels(number):
        return parts[np.abs(middles - number / fps).argmin()].prediction.top(ANNOTATED)

    recipe = predictor.recipe
    engine = recipe.flow.available().engine if "flow" in recipe.clip.modalities else None
    annotate(source, path, labels, engine=engine, progress=advance)


def _tell(part, top):
    if part.start is None:
        print("\n".join([part.video, *part.prediction.told(top)]))
    else:
        name, probability = part.prediction.top(1)[0]
        time = f"{clock(part.start)} to {clock(part.end)}"
        print(f"{part.video}  {time:>16}  {probability:7.2%}  {name}", flush=True)
    if part.prediction.segments is not None:
        for k, (best,) in enumerate(part.prediction.segment_tops(), 1):
            print(f"    segment {k} alone: {best[1]:7.2%}  {best[0]}")


def _named(top):
    return [{"class": name, "probability": probability} for name, probability in top]
