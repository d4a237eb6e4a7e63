"""A contact sheet: one picture of a data set, a few videos with their frames and their flow."""

import numpy as np

from vidrec.datasets.table import check_table
from vidrec.experiment.look import LONGEST, Look, look_at
from vidrec.experiment.sheet_page import (
    BOLD,
    DPI,
    GREY,
    PICTURE,
    PLAIN,
    RED,
    Cell,
    Page,
    check_integer,
    name_lines,
)
from vidrec.extraction import pool
from vidrec.extraction.engines import DEFAULT_FLOW
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.video import COUNT_TOLERANCE

PATIENCE = 600  # s, that one video may take
MOST_VIDEOS, MOST_FRAMES = 120, 10  # 66 x 10 take 1.8 GB; matplotlib draws at most 65,536 px


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
    check_integer("videos", videos, 1, MOST_VIDEOS)
    check_integer("frames", frames, 1, MOST_FRAMES)
    check_integer("seed", seed, 0, 2**63)
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
    whole = [look for look in looks.values() if isinstance(look, Look)]
    page = Page(frames, 2 * PICTURE, [flow for look in whole for flow in look.flows])
    page.header(
        title,
        f"{len(chosen)} of {len(table)} videos, {chosen.label.nunique()} of "
        f"{table.label.nunique()} classes, seed {seed}. At the right of each frame: its motion to "
        f'the next frame, by the engine "{engine}" on frames of at most {LONGEST} px, in px of the '
        "video itself.",
    )
    for video in chosen.itertuples():
        look = looks[video.video_id]
        whole = isinstance(look, Look)
        cells = list(_cells(page, look)) if whole else f"Cannot be read: {look}"
        page.row(_facts(page, video, look if whole else None), cells)
    page.save(path)
    return [(name, looks[name]) for name in chosen.video_id if isinstance(looks[name], str)]


def choose(table, videos, seed):
    """At most `videos` rows of a video table, the classes in turn, sorted by label and video_id."""
    rng = np.random.default_rng(seed)
    shuffled = table.sort_values("video_id").iloc[rng.permutation(len(table))]
    classes = shuffled.groupby("label")
    order = np.lexsort((rng.permutation(classes.ngroups)[classes.ngroup()], classes.cumcount()))
    return shuffled.iloc[order[:videos]].sort_values(["label", "video_id"])


def _facts(page, video, look):
    """Lines of text for the left of a row: of a row of the video table, and of its Look or None."""
    yield video.label, BOLD, "black"
    yield from name_lines(video.video_id)
    yield f"group {video.group}" if video.group else "group unknown", PLAIN, GREY
    if look is None:
        return
    length = f"{look.frames} frames" if look.frames > 1 else "1 frame"
    fps = f"{look.fps:.5g} fps" if look.fps > 0 else "fps unknown"
    yield f"{length}, {look.width}x{look.height} px, {fps}", PLAIN, GREY
    if look.frames < look.promised - COUNT_TOLERANCE:
        yield f"{look.promised} frames promised: truncated?", PLAIN, RED
    if look.frames > 1:
        yield page.motion(look.flows)


def _cells(page, look):
    """Each frame of a Look, and the colours of its flow beside it."""
    longer = max(look.width, look.height)
    size = [max(1, round(LONGEST * side / longer)) / DPI for side in (look.width, look.height)]
    for number, image, flow in look.pictures:
        seconds = f", {(number - 1) / look.fps:.2f} s" if look.fps > 0 else ""
        colours = "no next frame" if flow is None else page.colours(flow)
        yield Cell(f"frame {number}{seconds}", (image, colours), *size)
