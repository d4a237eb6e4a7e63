"""Many videos: done by many processes, and noted in the index as they are done.

Before the images of a video are replaced, the index no longer claims them: so it never claims what
is not there, whatever ends this process at whatever moment.
"""

import dataclasses
import errno
import os

import pandas as pd

from vidrec.extraction import pool
from vidrec.extraction.engines import DEFAULT_FLOW
from vidrec.extraction.flow import extract_video_flow, without_flow
from vidrec.extraction.forecast import forecast
from vidrec.extraction.frames import extract_video
from vidrec.extraction.jobs import check, flow_jobs, frame_jobs, gone, holds, moved, relabelled
from vidrec.extraction.progress import progress_bar
from vidrec.files import is_full
from vidrec.index_file import COLUMNS

PATIENCE = 20  # times its forecast a video may take,
LEAST_PATIENCE = 600  # and at least so many seconds;
MOST_PATIENCE = 24 * 3600  # s, where nothing is known of it
INTERRUPTED = "its extraction was interrupted: run the same command again"


def extract_frames(table, store, *, root=None, **how):
    """Extracts the frames of every video of a table that the index does not call done.

    Args:
        table, store: see `frame_jobs`.
        root: None, or the folder whose videos the table has, all of them: rows of videos whose
            files are gone from there, removed or moved to another class, leave the index.
        how: see `work`.

    Returns:
        The index as a DataFrame, of this table's videos.

    Raises:
        as `frame_jobs` and `work`.
    """
    return _extract("frames", lambda: frame_jobs(table, store), table, store, root, how)


def extract_flow(store, settings=DEFAULT_FLOW, *, table=None, root=None, **how):
    """Extracts the flow of every video that lacks it.

    Args:
        store, settings, table: see `flow_jobs`. For the engine "fast", "opencv" is taken, and this
            said, where numba cannot be imported.
        root, how: see `extract_frames`.

    Returns:
        The index as a DataFrame; with a table, of its videos, as `extract_frames`.

    Raises:
        as `flow_jobs` and `work`.
    """
    settings = settings.available()
    return _extract("flow", lambda: flow_jobs(store, settings, table), table, store, root, how)


def work(title, jobs, *, workers=None, scheduler=None, time_limit=None):
    """Does jobs of one store, whose `writing()` the caller holds, and appends their rows.

    A video whose process dies or takes too long, twice, gets a row that says so.

    Args:
        title: str, for the progress.
        jobs: list of jobs, see `vidrec.extraction.jobs`.
        workers, scheduler: see `vidrec.extraction.pool.run`.
        time_limit: s > 0, after which a video is given up; None for 20 times what a sample lets
            expect, and at least 10 minutes.

    Raises:
        ValueError: if `time_limit` is not above 0.
        OSError: if the disk is full. What is done stands.
    """
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"`time_limit` must be > 0 s. Received: time_limit={time_limit}")
    store = jobs[0][0]
    # A relative path means another folder where the workers of a cluster are.
    absolute = dataclasses.replace(store, root=store.root.absolute())
    jobs = [(absolute, *rest) for _, *rest in jobs]
    plan = forecast(jobs, workers=workers)
    processes = 1 if scheduler else pool.count(workers)
    print(f"{title}: {plan.text(store.root, processes)}", flush=True)
    frames = dict(zip(map(_name, jobs), plan.frames, strict=True))
    limits = {
        name: time_limit or (max(LEAST_PATIENCE, PATIENCE * seconds) if seconds else MOST_PATIENCE)
        for name, seconds in zip(frames, plan.seconds, strict=True)
    }
    done = 0
    with progress_bar(title, sum(frames.values()), unit="frames") as advance:
        results = pool.run(
            _one,
            _begun(store, jobs),
            workers=workers,
            time_limit=lambda job: limits[_name(job)],
            scheduler=scheduler,
        )
        try:
            for job, outcome in results:
                store.append(_lost(job, outcome) if isinstance(outcome, pool.Lost) else outcome)
                advance(frames[_name(job)])
                done += 1
        except OSError as error:
            if is_full(error):
                raise OSError(
                    errno.ENOSPC,
                    f"The disk is full. {done} of {len(jobs)} videos are done and kept. Free some "
                    f"space and run the same command again. Received: {error.strerror}",
                    str(store.root),
                ) from error
            raise
        finally:
            results.close()


def _extract(title, find_jobs, table, store, root, how):
    check(store, table)  # before anything is written, a lock included
    todo = find_jobs() or gone(table, store, root) or relabelled(table, store)
    if todo or store.shard_paths() or _untidy(store):
        with store.writing():
            for change in (moved, relabelled):
                for row in change(table, store):
                    store.append(row)
            jobs, missing = find_jobs(), gone(table, store, root)
            if missing:
                names = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
                print(f"{len(missing)} videos are no longer there and leave the index: {names}")
            if jobs:
                work(title, jobs, **how)
            if store.rows():
                store.compact(without=missing)
    if not store.rows():  # a part without videos, before any other part has begun
        return pd.DataFrame(columns=COLUMNS)
    index = store.index()
    index = index[[holds(store, video_id) for video_id in index.video_id]]
    if table is not None:
        index = index[index.video_id.isin(table.video_id)]
    return index.reset_index(drop=True)


def _untidy(store):
    """Whether a kill left the index uncompacted. In a read-only store it may stay so: it says the
    same."""
    return os.access(store.root, os.W_OK) and not store.is_compact()


def _one(store, row, settings, decode):
    """In a worker."""
    row = dataclasses.replace(row)  # the job's own stays as it is
    if decode:
        return extract_video(store, row, settings)
    return extract_video_flow(store, row, settings)


def _begun(store, jobs):
    """The jobs one after the other, each when its images are no longer claimed by the index."""
    rows = store.rows()
    for job in jobs:
        _, new, _, decode = job
        old = rows.get(new.video_id)
        if old is not None and old.n_frames and decode:
            store.append(_without_images(new))
        elif old is not None and old.n_flow:
            store.append(without_flow(old))
        yield job


def _without_images(row):
    return dataclasses.replace(
        without_flow(row),
        n_frames=0,
        frames_sha256="",
        status="failed",
        message=f"{row.source}: {INTERRUPTED}",
    )


def _lost(job, outcome):
    _, row, _, decode = job
    if not decode:
        return without_flow(row, outcome.reason)
    return dataclasses.replace(_without_images(row), message=f"{row.source}: {outcome.reason}")


def _name(job):
    return job[1].video_id
