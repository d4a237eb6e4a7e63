"""Videos to JPG frames (Qiao et al. 2021, section 3.1, step 1), in a worker."""

import contextlib
import hashlib

import cv2

from vidrec.extraction.flow import flow_folder
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.extraction.source import changed_at, source_bytes, source_sha256
from vidrec.extraction.video import COUNT_TOLERANCE, promised_frames, read_frames
from vidrec.files import is_full, new_folder


def extract_video(store, row, settings=None):
    """Writes the frames of one video into the store, and its flow in the same pass.

    Args:
        store: Store with the layout "vidrec".
        row: Row with video_id, label, group and source, the path of the video file or
            of the folder of its images.
        settings: FlowSettings, or None for frames alone. The flow is that of the JPG frames.

    Returns:
        The Row, filled in. It is "partial" if clearly fewer frames can be decoded than the
        container promises, as in a truncated download, and "failed", with nothing written, if none
        can.

    Raises:
        OSError: if the disk is full, which is no fault of the video.
    """
    path, digest = row.source, hashlib.sha256()
    cv2.setNumThreads(1)  # one process a core
    row.cv2_version = cv2.__version__
    try:
        promised, row.fps = promised_frames(path)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(new_folder(store.folder("frame", row.video_id)))
            if settings:
                add = stack.enter_context(flow_folder(store, row, settings))
            for frame in read_frames(path):
                row.n_frames += 1
                row.height, row.width = frame.shape[:2]
                data = encode_jpeg(frame)
                (folder / store.path("frame", row.video_id, row.n_frames).name).write_bytes(data)
                digest.update(data)
                if settings:
                    add(data)
        row.source_bytes, row.source_sha256 = source_bytes(path), source_sha256(path)
        row.frames_sha256 = digest.hexdigest()
    except (ValueError, OSError, cv2.error) as error:
        if is_full(error):
            raise
        row.n_frames = row.n_flow = 0
        row.status, row.message = "failed", str(error)
        return row
    if row.n_frames < promised - COUNT_TOLERANCE:
        row.status = "partial"
        row.message = f"{path}: {row.n_frames} frames decoded of {promised}. Is it truncated?"
    return row


def has_frames(store, row, path):
    """Whether a video has its frames: its Row, which may be None, says so of this very source, and
    the first and the last are there. `vidrec audit` looks at every image.
    """
    if row is None or row.status not in ("ok", "partial") or row.source != str(path):
        return False
    ends = [store.path("frame", row.video_id, i) for i in (1, row.n_frames)]
    if not all(end.exists() for end in ends) or source_bytes(path) != row.source_bytes:
        return False
    if changed_at(path) <= ends[0].parent.stat().st_mtime:
        return True  # not touched since; a hash of every video would read the whole set again
    return source_sha256(path) == row.source_sha256
