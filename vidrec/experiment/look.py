"""A look at one video: frames spread evenly over it, each with its flow to the next."""

import dataclasses

import cv2
import numpy as np

from vidrec.extraction.engines import compute_flow
from vidrec.extraction.video import promised_frames, read_frames

LONGEST = 320  # px, of a picture's longer side, before flow: TV-L1 of 1280x720 takes seconds
PERCENTILE = 99  # of the lengths of motion has full colour: the longest are often errors


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

    @property
    def flows(self):
        """The flow of the pictures that have one."""
        return [flow for *_, flow in self.pictures if flow is not None]


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


def longest_motion(flows):
    """The length that PERCENTILE % of the motion does not exceed, float; 0 where there is none.

    flows: list of float (H, W, 2); the length is in their unit.
    """
    lengths = [np.hypot(*np.moveaxis(flow, 2, 0)).ravel() for flow in flows]
    return float(np.percentile(np.concatenate(lengths or [[0]]), PERCENTILE))
