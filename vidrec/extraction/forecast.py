"""What an extraction will take, in time and on the disk, from a quick sample of its videos."""

import contextlib
import dataclasses
import itertools
import os
import shutil
import time

import cv2
import numpy as np

from vidrec.extraction import pool, source
from vidrec.extraction.jpeg import decode_gray, encode_jpeg, read_jpeg
from vidrec.extraction.progress import duration
from vidrec.extraction.video import promised_frames, read_frames
from vidrec.files import existing

SAMPLED_VIDEOS = 3
SAMPLED_FRAMES = 3
SAMPLE_SECONDS = 120  # that one video of the sample may take


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What is to be done.

    Attributes:
        frames: list of int >= 1, frames of each job's video, as its row, its folder of
            images or its file's size tells.
        seconds: list of float >= 0, s, what each job would take one process of this machine.
        bytes: int, what all will take on the disk.
        replaced: int, videos among them whose flow was made otherwise, and is made again.
    """

    frames: list
    seconds: list
    bytes: int
    replaced: int = 0

    def text(self, root, workers):
        """A line for people: of a store in the folder `root`, done by `workers` processes."""
        free = shutil.disk_usage(existing(root)).free
        # No video is cut in two: the longest is waited for.
        took = max(sum(self.seconds) / workers, max(self.seconds, default=0))
        processes = "1 process" if workers == 1 else f"{workers} processes"
        text = (
            f"{len(self.frames):,} videos, about {sum(self.frames):,} frames: about "
            f"{duration(took)} with {processes}, {size(self.bytes)} of {size(free)} free in {root}"
        )
        if self.replaced:
            text += f". {self.replaced:,} have flow that was made otherwise: IT IS REPLACED"
        return text if self.bytes < free else f"{text}. THE DISK IS TOO SMALL"


def forecast(jobs, *, workers=None):
    """Does a little of a few jobs, and writes nothing.

    Args:
        jobs: list of (store, row, settings, decode), see `vidrec.extraction.jobs`.
        workers: 0 to do it in this process, else one of its own, which a bad video may kill.

    Returns:
        Forecast. A sampled video that cannot be read tells nothing.
    """
    step = max(1, len(jobs) // SAMPLED_VIDEOS)
    chosen = jobs[step // 2 :: step][:SAMPLED_VIDEOS]
    alone = 0 if workers == 0 else 1
    results = pool.run(_sample, chosen, workers=alone, time_limit=lambda _: SAMPLE_SECONDS)
    samples = [sample for _, sample in results if isinstance(sample, dict)]
    count = sum(sample["frames"] for sample in samples) or 1
    pixels = sum(sample["pixels"] for sample in samples) or 1
    seconds = sum(sample["seconds"] for sample in samples) / pixels
    written = sum(sample["bytes"] for sample in samples) / pixels
    densities = [sample["density"] for sample in samples if sample["density"] > 0]
    density = sum(densities) / (len(densities) or 1)
    frames, amounts = [], []
    for _, row, _, decode in jobs:
        guess = _frames(row.source, density) if decode else row.n_frames
        frames.append(max(1, round(guess)))
        amounts.append(guess * (row.width * row.height or pixels / count))
    replaced = sum(
        row.n_flow > 0 and not settings.made(row) for _, row, settings, decode in jobs if not decode
    )
    return Forecast(frames, [seconds * n for n in amounts], round(written * sum(amounts)), replaced)


def _sample(store, row, settings, decode):
    """Costs of the first frames of one video; None if they cannot be read."""
    cv2.setNumThreads(1)  # as extraction does
    block = _block_size(store.root)
    try:
        density = 0
        if decode and os.path.isfile(row.source):
            density = promised_frames(row.source)[0] / source.source_bytes(row.source)
        began = time.perf_counter()
        if decode:
            images = itertools.islice(read_frames(row.source), SAMPLED_FRAMES)
            frames = [encode_jpeg(image) for image in images]
        else:
            numbers = range(1, min(SAMPLED_FRAMES, row.n_frames) + 1)
            frames = [read_jpeg(store.path("frame", row.video_id, i)) for i in numbers]
        grays = [decode_gray(frame) for frame in frames]
        seconds = time.perf_counter() - began
        written = sum(_blocks(frame, block) for frame in frames) if decode else 0
        if settings and len(grays) > 1:
            still = np.zeros((32, 32), np.uint8)
            settings.codes(still, still)  # what is compiled is compiled now
            began = time.perf_counter()
            codes = [settings.codes(*pair) for pair in itertools.pairwise(grays)]
            images = [np.ascontiguousarray(c[..., k]) for c in codes for k in (0, 1)]
            # of n frames there are n - 1 pairs
            scale = len(frames) / len(codes)
            written += scale * sum(_blocks(encode_jpeg(image), block) for image in images)
            seconds += scale * (time.perf_counter() - began)
    except (ValueError, OSError, cv2.error):
        return None
    return {
        "frames": len(frames),
        "pixels": len(frames) * grays[0].size,
        "seconds": seconds,
        "bytes": written,
        "density": density,
    }


def size(count):
    """Bytes for people: "740 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _blocks(data, block):
    """Bytes that a file of this content takes on the disk."""
    return -(-len(data) // block) * block


def _block_size(path):
    return os.statvfs(existing(path)).f_frsize if hasattr(os, "statvfs") else 4096


def _frames(path, density):
    """Those of a folder are counted, those of a file told by its size; 0 if there is nothing."""
    with contextlib.suppress(OSError, ValueError):
        return len(source.images(path)) or density * source.source_bytes(path)
    return 0
