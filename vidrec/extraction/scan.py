"""The rows of a set that another tool extracted, by looking at its files."""

import os
from pathlib import Path

from vidrec.store import Row


def scan(store, video_ids=None):
    """Makes the rows of a set whose images are there and whose index is not.

    Args:
        store: Store with a layout of loose files.
        video_ids: the ids to look for, or None for every folder that holds frames. Layouts without
            class folders need them, since there the files do not tell the class.

    Returns:
        list of Row, sorted by video_id. A video whose images have gaps, whose flow x and y differ
        in number, or whose flow does not count N - 1 is "failed" and says why. Other tools may
        write one flow pair more, as TSN's does: that is "ok", n_flow is N - 1, and the message says
        that the last pair is not read.

    Raises:
        FileNotFoundError: if no image is found.
        ValueError: if the images are packed, or two videos would have the same.
    """
    if video_ids is None:
        head, depth = store.names.frame.split("{")[0], "*"
        if "{video_id}" in store.names.frame:
            depth = "*/*"
        folders = [path for path in (store.root / head).glob(depth) if path.is_dir()]
        video_ids = [path.relative_to(store.root / head).as_posix() for path in folders]
        # hidden ones are what a killed `new_folder` leaves
        video_ids = [name for name in video_ids if "/." not in f"/{name}"]
    folders = {}
    for video_id in sorted(video_ids):
        other = folders.setdefault(store.path("frame", video_id, 1), video_id)
        if other != video_id:
            raise ValueError(
                f"Videos must have images of their own. Received: {other} and {video_id}, which in "
                f"the layout {store.layout!r} share {store.folder('frame', video_id)}. Give the "
                "videos names that differ in all classes, and extract again."
            )
    rows = [_scan_video(store, video_id) for video_id in sorted(video_ids)]
    if not any(row.n_frames for row in rows):
        raise FileNotFoundError(
            f"No images of layout {store.layout!r} under {store.root}: looked for "
            f"{store.root / store.names.frame}"
        )
    return rows


def _scan_video(store, video_id):
    counts, problems, notes = {}, [], []
    for kind in ("frame", "flow_x", "flow_y"):
        counts[kind], gap = _count(store, kind, video_id)
        if gap:
            problems.append(gap)
    frames, pairs = counts["frame"], counts["flow_x"]
    if frames == 0:
        problems.append(f"no frames in {store.folder('frame', video_id)}")
    elif pairs != counts["flow_y"]:
        problems.append(f"{pairs} flow_x images but {counts['flow_y']} flow_y")
    elif pairs == frames and store.layout != "vidrec":
        pairs = frames - 1
        notes.append(f"as many flow pairs as frames ({frames}): the last flow image is not read")
    elif pairs not in (0, frames - 1):
        problems.append(f"{frames} frames need {frames - 1} flow pairs, found {pairs}")
    return Row(
        video_id=video_id,
        label=video_id.split("/")[0] if "/" in video_id else "",
        n_frames=frames,
        n_flow=pairs,
        flow_algorithm=f"unknown ({store.layout})" if pairs else "",
        status="failed" if problems else "ok",
        message="; ".join(problems or notes),
    )


def _count(store, kind, video_id):
    """Number of a video's images of one kind, and what is wrong with their numbering, or ""."""
    prefix, digits, suffix = store.names.parts(kind, video_id)
    start, folder = Path(prefix).name, store.root / Path(prefix).parent
    found = {
        name[len(start) : -len(suffix)]
        for name in (os.listdir(folder) if folder.is_dir() else [])
        if name.startswith(start) and name.endswith(suffix)
    }
    numbers = sorted(int(n) for n in found if n.isdigit() and n == f"{int(n):0{digits}}")
    if numbers != list(range(1, len(numbers) + 1)):
        gap = f"{kind} images must be numbered 1, 2, ... without gaps in {folder}"
        return len(numbers), gap
    return len(numbers), ""
