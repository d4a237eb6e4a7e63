"""Video files to JPG frames (Qiao et al. 2021, section 3.1, step 1)."""

import os
from pathlib import Path

import cv2

from vidrec.extraction.pool import run
from vidrec.files import new_folder, sha256
from vidrec.store import Row

JPEG_QUALITY = 95
# Containers round their frame count up: one real file in ten promises one frame too many.
COUNT_TOLERANCE = 2


class VideoError(ValueError):
    """A video that cannot be read. The message names the file and says what to do."""


def open_video(path):
    """Opens a local video file with FFmpeg, and nothing but a local file.

    Raises:
        VideoError: if `path` is no regular file, is empty, or is no video that FFmpeg reads.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path} is not a file. Give the path of a video file on this machine.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes). Fetch or copy it again.")
    # Without this, names like "concat:a|b" or playlists inside a file open other files and URLs.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise VideoError(f"{path} is not a video that OpenCV's FFmpeg can read. Is it damaged?")
    return capture


def read_frames(path):
    """Yields the frames of a video, one after the other.

    Yields:
        uint8 (H, W, 3), BGR as OpenCV decodes it.

    Raises:
        VideoError: if the file cannot be opened or its first frame cannot be decoded.
    """
    capture = open_video(path)
    try:
        decoded = 0
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            decoded += 1
            yield frame
        if decoded == 0:
            raise VideoError(f"{path} has no frame that can be decoded. Is it damaged?")
    finally:
        capture.release()


def encode_jpeg(image, *, quality=JPEG_QUALITY):
    """uint8 (H, W) gray or (H, W, 3) BGR to the bytes of a JPG file."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"`image` cannot be encoded as JPG. Received: shape={image.shape}")
    return data.tobytes()


def promised_frames(path):
    """The container's frame count (which may be wrong) and fps."""
    capture = open_video(path)
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()


def extract_video(store, video_id, label, group, path):
    """Writes the frames of one video into the store; returns its Row. A bad video raises nothing.

    The row is "partial" if clearly fewer frames can be decoded than the container promises, as in
    a truncated download, and "failed", with nothing written, if none can.
    """
    row = Row(video_id=video_id, label=label, group=group, source=str(path))
    row.cv2_version = cv2.__version__
    cv2.setNumThreads(1)  # one process a core
    try:
        promised, row.fps = promised_frames(path)
        with new_folder(store.folder("frame", video_id)) as folder:
            for frame in read_frames(path):
                row.n_frames += 1
                name = store.path("frame", video_id, row.n_frames).name
                (folder / name).write_bytes(encode_jpeg(frame))
                row.height, row.width = frame.shape[:2]
        row.source_bytes, row.source_sha256 = Path(path).stat().st_size, sha256(path)
    except (ValueError, OSError, cv2.error) as error:
        row.n_frames, row.status, row.message = 0, "failed", str(error)
        return row
    if row.n_frames < promised - COUNT_TOLERANCE:
        row.status = "partial"
        row.message = f"{path}: {row.n_frames} frames decoded of {promised}. Is it truncated?"
    return row


def extract_frames(table, store, *, workers=None):
    """Extracts the frames of every video of a table that the index does not call done.

    Args:
        table: DataFrame with video_id, label, group and path.
        store: Store with the layout "vidrec".
        workers: int or None, processes; None for one a core.

    Returns:
        The index as a DataFrame, of this table's videos. Rows of videos whose files are gone from
        among the table's files, removed or moved to another class, are taken out of the index.

    Raises:
        ValueError: if the store has a layout that vidrec only reads.
    """
    if store.layout != "vidrec":
        raise ValueError(
            "Frames are written in the layout 'vidrec'; the others are for reading sets that "
            f"other tools extracted. Received: layout={store.layout!r}"
        )
    rows = store.rows()
    todo = [
        (store, video.video_id, video.label, video.group, video.path)
        for video in table.itertuples()
        if not _is_done(store, rows.get(video.video_id), video.path)
    ]
    for row in run(extract_video, todo, workers=workers, title="frames"):
        store.append(row)
    root = os.path.commonpath([Path(path).parent.parent for path in table.path])
    known = set(table.video_id)
    gone = [
        row.video_id
        for row in rows.values()
        if row.video_id not in known and _lay_in(root, row.source) and not Path(row.source).exists()
    ]
    if gone:
        print(f"{len(gone)} videos are no longer in {root} and leave the index: {gone[:5]}")
    index = store.compact(without=gone) if todo or gone else store.index()
    return index[index.video_id.isin(table.video_id)].reset_index(drop=True)


def _is_done(store, row, path):
    """Done: the row says so, is of the same bytes, and the first and last frame are there."""
    if row is None or row.status not in ("ok", "partial") or row.source != str(path):
        return False
    ends = [store.path("frame", row.video_id, i) for i in (1, row.n_frames)]
    if not all(end.exists() for end in ends) or Path(path).stat().st_size != row.source_bytes:
        return False
    if Path(path).stat().st_mtime <= ends[0].parent.stat().st_mtime:
        return True  # not touched since; a hash of every video would read the whole set again
    return sha256(path) == row.source_sha256


def _lay_in(root, source):
    return bool(source) and Path(root) in Path(source).parents
