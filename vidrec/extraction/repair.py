"""Does again what an audit found broken, and just that."""

import collections
import contextlib
import dataclasses
import itertools
import json

from vidrec.extraction import batch
from vidrec.extraction.audit import audit, image_top, strays, usual_flow
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.inspection import image_pattern
from vidrec.extraction.source import is_readable
from vidrec.files import LEFTOVER, clear
from vidrec.packs import IMAGES
from vidrec.store import Row


def repair(store, faults, **how):
    """Mends a store, so that it is what an extraction without faults would have made.

    Frames are extracted again if their video is still there, and the flow with them where the store
    has flow. Flow is made again from the frames, as most flow in the store was. What killed writers
    left is removed; so are images that their video's row does not claim, such as flow of frames
    that were since replaced. What the index does not know at all is left, and said.

    Args:
        store: Store with the layout "vidrec", without a shard.
        faults: list of Fault, of `audit`.
        how: see `vidrec.extraction.batch.work`.

    Returns:
        list of Fault: what an audit of those videos still finds, each with why it is left.

    Raises:
        ValueError: if the store is one that vidrec only reads, or a shard's.
        RuntimeError: if another process is writing the store.
        OSError: as `work`.
    """
    if store.layout != "vidrec" or store.shard is not None:
        raise ValueError(
            "Only a whole store in the layout 'vidrec' can be repaired: sets of other layouts were "
            "extracted by other tools, and with them they are mended. Received: "
            f"layout={store.layout!r}, shard={str(store.shard) if store.shard else None!r}"
        )
    reasons, left = {}, {}  # video_id -> why not, Fault -> why not
    with store.writing():
        rows = store.rows()
        jobs = list(_jobs(store, rows, faults, reasons))
        if jobs:
            batch.work("repair", jobs, **how)
            rows = store.rows()
        found = strays(store, rows)
        for fault in found.keys() & set(faults):  # an image may have come or gone since the audit
            left[fault] = _remove(store, rows, fault, found[fault])
        if jobs:
            store.compact()
    how.pop("time_limit", None)
    faults = audit(store, video_ids={fault.video_id for fault in faults}, **how)
    return [_explained(fault, left.get(fault) or reasons.get(fault.video_id)) for fault in faults]


def _explained(fault, reason):
    return dataclasses.replace(fault, message=f"{fault.message}. {reason}") if reason else fault


def _jobs(store, rows, faults, reasons):
    """Yields jobs of `batch.work`; adds to `reasons` what cannot be one."""
    kinds = collections.defaultdict(set)
    for fault in faults:
        kinds[fault.video_id].add(fault.kind)
    usual = usual_flow(rows)
    settings = _settings(usual)
    for video_id in sorted(kinds.keys() & rows.keys()):
        row, broken = rows[video_id], kinds[video_id]
        decode = "frames" in broken or ("row" in broken and row.n_frames < 1)
        if broken == {"stray"}:
            continue
        if decode and not is_readable(row.source):
            reasons[video_id] = f"Repair needs its video, which is not there: {row.source!r}"
        elif not decode and "flow" not in broken and row.status != "failed":
            reasons[video_id] = "Repair cannot make more of the video: fetch it again"
        elif not decode and usual is None:
            reasons[video_id] = "Run `vidrec extract-flow`: repair finds no flow to go by"
        elif usual is not None and settings is None:
            reasons[video_id] = (
                f"Repair cannot make flow here as most was made, by {usual.flow_algorithm!r} with "
                f"{usual.flow_parameters}, cv2 {usual.cv2_version}: see `vidrec extract-flow`, "
                "which makes all flow anew"
            )
        elif decode:
            new = Row(video_id=video_id, label=row.label, group=row.group, source=row.source)
            yield store, new, settings, True
        else:
            yield store, row, settings, False


def _settings(usual):
    """FlowSettings that make flow as a Row's was made; None if there are none on this machine."""
    if usual is None:
        return None
    # Rows may be of an older vidrec or another tool, and engines may be missing here.
    with contextlib.suppress(ValueError, TypeError, KeyError, ImportError):
        values = json.loads(usual.flow_parameters)
        settings = FlowSettings(
            engine=usual.flow_algorithm, bound=values["bound"], quantize=values["quantize"]
        ).available()
        if settings.made(usual):
            return settings
    return None


def _remove(store, rows, fault, path):
    """Removes a stray, or returns why not."""
    if leftover := LEFTOVER.fullmatch(path.name):
        clear(path.with_name(leftover["name"]))
    elif not fault.video_id:
        return "Repair leaves it: the index does not know it. Move it elsewhere"
    elif rows[fault.video_id].status == "failed":
        return "Repair leaves it: its extraction failed, and there may be no other images of it"
    elif path.is_symlink() or not path.is_dir() or not all(_is_image(store, f) for f in _in(path)):
        return "Repair leaves it: vidrec did not make it. Move it elsewhere"
    else:
        for image in _in(path):
            image.unlink()
        _remove_empty(store, rows, path)
    return None


def _is_image(store, path):
    """Whether a file has the place and the name that vidrec gives an image."""
    return (
        path.is_file()
        and not path.is_symlink()
        and any(
            image_top(store, image) in path.parents
            and image_pattern(store, image).fullmatch(path.name)
            for image in itertools.chain(*IMAGES.values())
        )
    )


def _remove_empty(store, rows, folder):
    """Removes a folder, and those above it that are then empty and in which no video lies."""
    kept = {
        parent
        for images in IMAGES.values()
        for video_id in rows
        for parent in store.folder(images[0], video_id).parents
    }
    while folder not in kept and folder.parent != store.root and not _in(folder):
        folder.rmdir()
        folder = folder.parent


def _in(folder):
    return list(folder.iterdir())
