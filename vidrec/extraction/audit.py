"""Whether a store is what its index says: every image is looked at, and nothing is changed."""

import collections
from pathlib import Path

from vidrec.extraction import pool
from vidrec.extraction.inspection import Fault, claimed, inspect_video
from vidrec.extraction.progress import progress_bar
from vidrec.files import LEFTOVER
from vidrec.layouts import PACKED
from vidrec.packs import IMAGES, check_loose


def audit(store, *, video_ids=None, workers=None, scheduler=None):
    """Compares a store with its index, while nobody writes it.

    Every image that the index claims must be there, be a file of this store, decode to its end, and
    have its video's size; flow must be gray. There must be no more images than claimed, and one
    flow pair fewer than frames. All flow must be made alike. Of what vidrec extracted, hashes are
    compared too, of the images and of the videos that are still there, and nothing else may lie
    among the images.

    Args:
        store: Store with a layout of loose files. Of a shard's, all rows are looked at.
        video_ids: the videos to look at, of those in the index, and "" for what belongs to none;
            None for all.
        workers, scheduler: see `vidrec.extraction.pool.run`.

    Returns:
        list of Fault, sorted.

    Raises:
        FileNotFoundError: if there is no index.
        ValueError: if the images are packed, or the index is damaged.
    """
    if store.layout == PACKED:
        raise ValueError(
            "`store` must be one of loose files: an audit looks at each. Received: "
            f"layout={store.layout!r}, root={str(store.root)!r}. Unpack it with `vidrec pack "
            "--unpack`: that compares every record with its checksum."
        )
    check_loose(store.root)
    store.index()  # says what to do if there is none
    rows = store.rows()
    chosen = {"", *rows} if video_ids is None else set(video_ids)
    faults = [*_rows(store, rows), *_flow_settings(store, rows), *strays(store, rows)]
    faults = [fault for fault in faults if fault.video_id in chosen]
    jobs = [(store, row) for row in rows.values() if row.video_id in chosen]
    total = sum(claimed(row, "frames") for _, row in jobs)
    with progress_bar("audit", total, unit="frames") as advance:
        results = pool.run(inspect_video, jobs, workers=workers, scheduler=scheduler)
        for (_, row), outcome in results:
            if isinstance(outcome, pool.Lost):
                outcome = [_lost(store, row, outcome.reason)]
            faults += outcome
            advance(claimed(row, "frames"))
    return sorted(faults)


def usual_flow(rows):
    """The Row whose flow is made as that of most, of a dict of Rows; None if none has flow."""
    made = collections.defaultdict(list)
    for row in rows.values():
        if row.n_flow:
            made[_made(row)].append(row)
    return max(made.items(), key=lambda item: (len(item[1]), item[0]))[1][0] if made else None


def strays(store, rows):
    """What lies in a store and holds no images of its index, as a dict Fault -> Path.

    Layouts of other tools do not tell it: there is none.
    """
    if store.layout != "vidrec":
        return {}
    found = [(entry, None) for entry in _entries(store.root) if LEFTOVER.fullmatch(entry.name)]
    has_flow = usual_flow(rows) is not None
    for kind, (image, *_) in IMAGES.items():
        owners = {store.folder(image, video_id): row for video_id, row in rows.items()}
        parents = {parent for folder in owners for parent in folder.parents}
        found += [
            (path, owners.get(path))
            for path in _unclaimed(image_top(store, image), kind, owners, parents)
            # flow that is to be made anyway is said to be missing
            if not (has_flow and kind == "flow" and path in owners and _lacks_flow(owners[path]))
        ]
    return dict(_stray(path, row) for path, row in found)


def image_top(store, image):
    """Path of the folder below which a store of vidrec's layout has all images of one name."""
    return store.root / Path(getattr(store.names, image)).parts[0]


def _unclaimed(folder, kind, owners, parents):
    """Yields the paths below a folder that are no folders of images, nor lead to one."""
    for path in _entries(folder):
        own = path.is_dir() and not path.is_symlink() and not LEFTOVER.fullmatch(path.name)
        if path in owners:
            if not claimed(owners[path], kind):
                yield path
        elif path in parents or (own and any(entry.is_dir() for entry in _entries(path))):
            yield from _unclaimed(path, kind, owners, parents)
        else:
            yield path


def _stray(path, row):
    if LEFTOVER.fullmatch(path.name):
        must, received = "be gone", "what a killed writer left"
    elif row is not None:
        must, received = f"be gone: the row of {row.video_id} claims no such images", row.status
    elif path.is_dir() and not path.is_symlink():
        must, received = "be of a video of the index", f"{len(_entries(path))} files of none"
    else:
        must, received = "be a folder of images", "a link or a file"
    message = f"{path} must {must}. Received: {received}"
    return Fault("" if row is None else row.video_id, "stray", message), path


def _entries(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _rows(store, rows):
    """Yields the rows that are not "ok"."""
    for row in rows.values():
        received = f"status={row.status!r}, {row.message}"
        if row.status == "ok":
            received = f"n_frames={row.n_frames}"
        if row.status != "ok" or row.n_frames < 1:
            must = f"{store.root}: {row.video_id} must be 'ok' in the index, with frames"
            yield Fault(row.video_id, "row", f"{must}. Received: {received}")


def _flow_settings(store, rows):
    """Yields the videos without flow where others have it, and those whose flow is another."""
    usual = usual_flow(rows)
    for row in rows.values() if usual else ():
        folder = store.folder("flow_x", row.video_id)
        if row.n_flow and _made(row) != _made(usual):
            must = f"{folder} must be made as most flow here is, by {_text(usual)}"
            yield Fault(row.video_id, "flow", f"{must}. Received: {_text(row)}")
        elif _lacks_flow(row):
            must = f"{folder} must hold {row.n_frames - 1} flow pairs: other videos have flow"
            yield Fault(row.video_id, "flow", f"{must}. Received: n_flow=0 in the index")


def _lacks_flow(row):
    """Where others have it. A "failed" row says why."""
    return not row.n_flow and row.n_frames > 1 and row.status != "failed"


def _made(row):
    """What tells how flow was made: that of OpenCV's engines may change with its version."""
    version = "" if row.flow_algorithm == "fast" else row.cv2_version
    return row.flow_algorithm, row.flow_parameters, version


def _text(row):
    return f"{row.flow_algorithm!r} with {row.flow_parameters}, cv2 {row.cv2_version}"


def _lost(store, row, reason):
    folder = store.folder("frame", row.video_id)
    message = f"{folder} and its flow must decode. Received: {reason}"
    return Fault(row.video_id, "frames", message)
