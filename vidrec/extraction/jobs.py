"""What is left to do of a set of videos.

A job is (store, row, settings, decode): the frames of one video from its source, a file or a folder
of images, if `decode`, and its flow unless `settings` is None.
"""

import dataclasses
import os
from pathlib import Path

from vidrec.extraction.flow import has_flow
from vidrec.extraction.frames import has_frames
from vidrec.extraction.source import is_there, source_bytes, source_sha256
from vidrec.packs import check_loose
from vidrec.store import Row


def frame_jobs(table, store):
    """Jobs for the videos of a table whose frames the index does not call done.

    Args:
        table: DataFrame with video_id, label, group and path.
        store: Store with the layout "vidrec". With a shard, only its part of the videos is done.

    Raises:
        ValueError: if the store has a layout that vidrec only reads.
    """
    check(store)
    rows = store.rows()
    return [
        (store, _new_row(video), None, True)
        for video in _part(table, store).itertuples()
        if not has_frames(store, rows.get(video.video_id), video.path)
    ]


def flow_jobs(store, settings, table=None):
    """Jobs for the videos that lack the flow of these settings.

    Args:
        store: as `frame_jobs`.
        settings: FlowSettings. Flow that was made with other ones is made again.
        table: None for the videos of the index that have frames, or as `frame_jobs`: those that
            have none get frames and flow in one pass.

    Raises:
        FileNotFoundError: if there is neither an index nor a table.
        ValueError: as `frame_jobs`.
    """
    check(store, table)
    rows, jobs = store.rows(), []
    if table is not None:
        jobs = [(store, row, settings, True) for _, row, _, _ in frame_jobs(table, store)]
        rows = {video_id: rows[video_id] for video_id in table.video_id if video_id in rows}
    begun = {row.video_id for _, row, _, _ in jobs}
    stored = (row for row in rows.values() if row.video_id not in begun and row.n_frames > 1)
    return jobs + [
        (store, row, settings, False)
        for row in stored
        if holds(store, row.video_id) and not has_flow(store, row, settings)
    ]


def check(store, table=()):
    """Refuses a store that vidrec does not write, or, for the table None, one without an index.

    Raises:
        FileNotFoundError, ValueError: see `flow_jobs`.
    """
    if store.layout != "vidrec":  # in others flow lies among the frames, which would be replaced
        raise ValueError(
            "Frames and flow are written in the layout 'vidrec'; the others are for reading sets "
            f"that other tools extracted. Received: layout={store.layout!r}"
        )
    check_loose(store.root)
    if table is None:
        store.index()  # says what to do if there is none
    other = [row.flow_algorithm for row in store.rows().values() if _is_foreign(row)]
    if other:
        raise ValueError(
            f"{store.root} must hold what vidrec extracted, to be added to. Received: an index of "
            f"flow from {other[0]}. Extract into another folder."
        )


def moved(table, store):
    """Rows of videos whose source is the same in another place, with the new place."""
    rows = store.rows() if table is not None else {}
    found = []
    for video in _part(table, store).itertuples() if rows else ():
        row = rows.get(video.video_id)
        if row is None or row.source == str(video.path) or not row.source_bytes:
            continue
        if not is_there(video.path) or source_bytes(video.path) != row.source_bytes:
            continue
        if source_sha256(video.path) == row.source_sha256:
            found.append(dataclasses.replace(row, source=str(video.path)))
    return found


def relabelled(table, store):
    """Rows of videos whose class or group is another in the table, with those of the table.

    A group that the index knows is not given up for none.
    """
    rows = store.rows() if table is not None else {}
    found = []
    for video in _part(table, store).itertuples() if rows else ():
        row = rows.get(video.video_id)
        group = row and (video.group or row.group)
        if row and (row.label, row.group) != (video.label, group):
            found.append(dataclasses.replace(row, label=video.label, group=group))
    return found


def gone(table, store, root):
    """Ids in the index whose sources lay below `root`, and are there no more.

    `root`: path of the folder whose videos the table has, all of them, or None: nothing is gone.
    """
    if table is None or root is None or store.shard is not None:
        return []
    root = Path(os.path.realpath(root))
    known = set(table.video_id)
    return [
        row.video_id
        for row in store.rows().values()
        if row.video_id not in known
        and row.source
        and root in Path(row.source).parents
        and not is_there(row.source)
    ]


def holds(store, video_id):
    """Whether a video is in the part that this store writes."""
    return store.shard is None or store.shard.holds(video_id)


def _part(table, store):
    return table[[holds(store, video_id) for video_id in table.video_id]]


def _new_row(video):
    return Row(
        video_id=video.video_id, label=video.label, group=video.group, source=str(video.path)
    )


def _is_foreign(row):
    return row.flow_algorithm.startswith("unknown") and "(vidrec)" not in row.flow_algorithm
