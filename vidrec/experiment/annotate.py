"""A video with what a model says of it written into its frames."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from vidrec.evaluation.letters import visible
from vidrec.experiment.look import longest_motion
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.extraction.engines import compute_flow
from vidrec.extraction.video import promised_frames, read_frames

SMALLEST = 360  # px, to which the short side of a smaller video is enlarged, for the text
INSET = 3  # the flow's picture is so many times narrower than the video's
STILL = 1.0  # px, that full colour stands for at least
FADING = 0.95  # of the longest motion, from frame to frame, so that colours do not flicker
FPS = 25.0  # where the video does not say


def annotate(path, out, labels, *, engine=None, progress=lambda: None):
    """Writes an MP4 of a video: each frame with classes, their probabilities, and flow inset.

    Args:
        path: path of a video file, or of a folder of images.
        out: path of the MP4 to write; it appears by one rename.
        labels: function of a frame's number, from 0, to [(class, probability)], the likeliest
            first.
        engine: of the flow from the last frame that is shown, see
            `vidrec.extraction.engines.FlowSettings`; computed at the size of its picture. None for
            no flow.
        progress: called without arguments after each frame.

    Raises:
        vidrec.extraction.video.VideoError: if the video cannot be read.
        OSError: if the MP4 cannot be written.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    _, fps = promised_frames(path)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as folder:
        partial, writer = Path(folder) / out.name, None
        inset = _Inset(engine)
        try:
            for number, frame in enumerate(read_frames(path)):
                frame = _enlarged(frame)
                if engine:
                    inset.draw(frame)
                frame = _written(frame, labels(number))
                if writer is None:
                    writer = _writer(partial, fps, frame.shape)
                writer.write(frame)
                progress()
        finally:
            if writer is not None:
                writer.release()
        if not partial.is_file() or partial.stat().st_size == 0:
            raise OSError(f"{out} could not be written. Is the disk full?")
        os.replace(partial, out)


def shown_rate(fps):
    """Frames a second as a container or a camera says, or `FPS` where it does not."""
    return fps if np.isfinite(fps) and fps > 0 else FPS


class _Inset:
    """The flow from the last frame, in colours, in the frame's top right corner."""

    def __init__(self, engine):
        self.engine, self.longest = engine, STILL
        self.last = self.picture = None

    def draw(self, frame):
        width = frame.shape[1] // INSET
        size = width, round(width * frame.shape[0] / frame.shape[1])
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        # Some videos repeat frames; white for every other one would flicker.
        if not np.array_equal(self.last, gray):
            flow = np.zeros((*gray.shape, 2), np.float32)
            if self.last is not None:
                flow = compute_flow(self.last, gray, engine=self.engine)
            self.longest = max(STILL, FADING * self.longest, longest_motion([flow]))
            self.picture = flow_colours(flow, largest=self.longest)[..., ::-1]
            self.last = gray
        frame[: size[1], -size[0] :] = self.picture
        cv2.rectangle(frame, (frame.shape[1] - size[0], -1), (frame.shape[1], size[1]), (0,) * 3)


def _enlarged(frame):
    """A frame that is large enough to write on, with even sides, as the codec needs them."""
    scale = max(1, SMALLEST / min(frame.shape[:2]))
    size = [2 * max(1, round(scale * side / 2)) for side in frame.shape[1::-1]]
    return frame if size == [*frame.shape[1::-1]] else cv2.resize(frame, size)


def _written(frame, labels):
    """The frame with a line for each label: a bar as long as its probability, and its text."""
    height, width = frame.shape[:2]
    line = max(14, height // 20)
    font = ImageFont.truetype(findfont(FontProperties()), round(0.7 * line))
    top = height - line * len(labels)
    frame[top:] = frame[top:] // 4  # dark, so that white text is readable on anything
    for row, (_, probability) in enumerate(labels):
        area = frame[
            top + row * line + 1 : top + (row + 1) * line - 1, : round(width * probability)
        ]
        area[:] = area // 2 + np.array([60, 30, 0], np.uint8)
    image = Image.fromarray(frame[..., ::-1])
    draw = ImageDraw.Draw(image)
    for row, (name, probability) in enumerate(labels):
        place = (line // 3, top + row * line + line // 2)
        draw.text(
            place, f"{probability:6.1%}  {visible(name)}", fill="white", font=font, anchor="lm"
        )
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


def _writer(path, fps, shape):
    codec = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), codec, shown_rate(fps), shape[1::-1])
    if not writer.isOpened():
        raise OSError(f"{path} cannot be written: this OpenCV has no encoder for MP4 (mp4v)")
    return writer
