"""A contact sheet: one picture of a data set, a few videos with their frames and their flow."""

import numpy as np

from vidrec.datasets.table import check_table
from vidrec.experiment.look import LONGEST, PERCENTILE, longest_motion, look_at
from vidrec.experiment.sheet_page import Page
from vidrec.extraction import pool
from vidrec.extraction.engines import DEFAULT_FLOW
from vidrec.extraction.progress import progress_bar

LEAST = 1.0  # px, that full colour stands for at least, so that noise stays pale
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
    page = Page(frames, largest=max(LEAST, longest_motion(looks.values())))
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
