"""What the video files of a data set are, by their first frames: lengths, sizes, damage."""

import collections
import contextlib
import math

import cv2
import pandas as pd

from vidrec.extraction import pool
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.source import source_bytes
from vidrec.extraction.video import promised_frames, read_frames

COLUMNS = {"frames": int, "fps": float, "width": int, "height": int, "bytes": int, "message": str}
CHUNK = 64  # videos a job: to open one takes no longer than to hand over a job
PATIENCE = 60  # s that one video may take to open: a disk may be asleep
LONGEST = 2**31  # frames; containers of live streams promise about 2**63, or fewer than none


def probe(table, *, workers=None):
    """Opens every video of a table and decodes its first frame.

    A file that kills the process that opens it, or takes longer than a minute, costs only itself.

    Args:
        table: video table, or any DataFrame with a column `path`.
        workers: int >= 0 or None, processes; see `vidrec.extraction.pool.run`.

    Returns:
        DataFrame with the index of `table`, so that `table.join(probe(table))` is both:

            frames         int >= 0, what the container promises, often one or two more than there
                           are; 0 if it does not say
            fps            float >= 0, frames/s; 0 if the container does not say
            width, height  int >= 0, px, of the first frame
            bytes          int >= 0, size of the file
            message        str, "" or why the video cannot be read; all but `bytes` are 0 then

    Raises:
        ValueError: if `table` has no column `path` of strings, or `workers` is negative.
    """
    if "path" not in table.columns or table["path"].isna().any():
        raise ValueError(
            "`table` must have a column 'path' with the path of a video file in each row, as a "
            f"video table has. Received: {len(table)} rows with the columns {list(table.columns)}"
        )
    paths = [str(path) for path in table["path"]]
    chunk = max(1, min(CHUNK, math.ceil(len(paths) / (4 * pool.count(workers)))))
    found, lost = {}, []
    with progress_bar("probe", len(paths)) as advance:
        jobs = [(paths[i : i + chunk],) for i in range(0, len(paths), chunk)]
        for (group,), outcome in pool.run(look, jobs, workers=workers, time_limit=_limit):
            if isinstance(outcome, pool.Lost):
                lost += group
            else:
                found |= zip(group, outcome, strict=True)
                advance(len(group))
        # Alone, a bad file does not take others with it, and it is known which one it is.
        jobs = [([path],) for path in lost]
        for ([path],), outcome in pool.run(look, jobs, workers=workers, time_limit=_limit):
            if isinstance(outcome, pool.Lost):
                outcome = [_unreadable(path, f"{path}: {outcome.reason}. Is it damaged?")]
            found[path] = outcome[0]
            advance()
    rows = [found[path] for path in paths]
    return pd.DataFrame(rows, columns=list(COLUMNS), index=table.index).astype(COLUMNS)


def look(paths):
    """In a worker: a row of `probe` for each path, as a list of tuples."""
    return [_look(path) for path in paths]


def _look(path):
    try:
        frames, fps = promised_frames(path)
        with contextlib.closing(read_frames(path)) as images:
            height, width = next(images).shape[:2]
        frames = frames if 0 < frames < LONGEST else 0
        fps = fps if 0 < fps < math.inf else 0.0
        return frames, fps, width, height, source_bytes(path), ""
    except cv2.error as error:
        return _unreadable(path, f"{path}: {error}")
    except (ValueError, OSError) as error:
        return _unreadable(path, str(error))


def _unreadable(path, message):
    size = 0
    with contextlib.suppress(OSError, ValueError):  # gone, or no name that a file can have
        size = source_bytes(path)
    return 0, 0.0, 0, 0, size, message


def _limit(job):
    (paths,) = job
    return PATIENCE + len(paths)


def summary(probed):
    """What a person wants to know of a data set before extracting it.

    Args:
        probed: DataFrame of `probe`, its rows named by their `video_id`, if it has such a column
            (as `table.join(probe(table))` has), else by the index.

    Returns:
        dict of plain values, which JSON can hold:

            videos, unreadable    int, all rows; those with a message
            unknown_length        int, readable ones whose container does not say frames or fps;
                                  they are missing in the lengths and hours below
            frames, seconds       {"shortest": (name, length), "median": float,
                                  "longest": (name, length)}, or None without any
            sizes                 {"320x240": int videos, ...}, most frequent first
            fps                   {"29.97": int videos, ..., "unknown": ...}, most frequent first
            hours                 float, of all together
            bytes                 int, of all files, unreadable ones too

    Raises:
        ValueError: if a column is missing.
    """
    missing = [name for name in COLUMNS if name not in probed.columns]
    if missing:
        raise ValueError(
            f"`probed` must have the columns {list(COLUMNS)}, as `probe` gives them. "
            f"Received: no column {missing}"
        )
    if "video_id" in probed.columns:
        probed = probed.set_index("video_id")
    good = probed[probed["message"].fillna("") == ""]  # NaN is what pandas makes of "" in a CSV
    frames = good["frames"][good["frames"] > 0]
    timed = good[(good["frames"] > 0) & (good["fps"] > 0)]
    seconds = timed["frames"] / timed["fps"]
    return {
        "videos": len(probed),
        "unreadable": len(probed) - len(good),
        "unknown_length": len(good) - len(timed),
        "frames": _lengths(frames),
        "seconds": _lengths(seconds),
        "sizes": _counts(f"{w}x{h}" for w, h in zip(good["width"], good["height"], strict=True)),
        "fps": _counts(f"{fps:.5g}" if fps else "unknown" for fps in good["fps"]),
        "hours": float(seconds.sum() / 3600),
        "bytes": int(probed["bytes"].sum()),
    }


def _lengths(values):
    """Extremes with their names, the first in the table's order of equal ones, and the median."""
    if values.empty:
        return None
    low, high = int(values.to_numpy().argmin()), int(values.to_numpy().argmax())
    return {
        "shortest": (values.index[low], values.iloc[low].item()),
        "median": float(values.median()),
        "longest": (values.index[high], values.iloc[high].item()),
    }


def _counts(names):
    counted = collections.Counter(names)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
