"""JPG frames to 8-bit flow images (Qiao et al. 2021, section 3.1, steps 2 to 4), in a worker."""

import contextlib
import dataclasses
import hashlib

import cv2
import numpy as np

from vidrec.extraction.jpeg import decode_gray, encode_jpeg, read_jpeg
from vidrec.files import is_full, new_folder

_FAILED = "flow of "  # what a message says behind this is gone when there is flow


@contextlib.contextmanager
def flow_folder(store, row, settings):
    """Yields `add(frame)`, which takes the bytes of one JPG frame after the other.

    When the block ends well, the flow between them is in the store and its facts are in the Row.
    One frame has no flow, and leaves no folder.

    Args:
        store: Store with the layout "vidrec".
        row: Row, whose video_id is looked at and whose columns of flow are written.
        settings: FlowSettings.
    """
    digest, previous, folder, pairs = hashlib.sha256(), None, None, 0

    def add(frame):
        nonlocal previous, folder, pairs
        following = decode_gray(frame)
        if previous is not None:
            pairs += 1
            folder = folder or stack.enter_context(new_folder(store.folder("flow_x", row.video_id)))
            codes = settings.codes(previous, following)
            for kind, component in (("flow_x", codes[..., 0]), ("flow_y", codes[..., 1])):
                data = encode_jpeg(np.ascontiguousarray(component))
                (folder / store.path(kind, row.video_id, pairs).name).write_bytes(data)
                digest.update(data)
        previous = following

    with contextlib.ExitStack() as stack:
        yield add
    if pairs:
        row.n_flow, row.flow_sha256 = pairs, digest.hexdigest()
        row.flow_algorithm, row.flow_parameters = settings.engine, settings.parameters()
        row.cv2_version = cv2.__version__


def extract_video_flow(store, row, settings):
    """Writes the flow of one video whose frames are in the store; returns its new Row.

    What is wrong with the video is in the row; nothing is then written.

    Raises:
        OSError: if the disk is full, which is no fault of the video.
    """
    cv2.setNumThreads(1)  # one process a core
    digest = hashlib.sha256()
    try:
        with flow_folder(store, row, settings) as add:
            for i in range(1, row.n_frames + 1):
                frame = read_jpeg(store.path("frame", row.video_id, i))
                digest.update(frame)
                add(frame)
            if row.frames_sha256 not in ("", digest.hexdigest()):
                raise ValueError(
                    f"the frames in {store.folder('frame', row.video_id)} are not those that were "
                    "extracted. `vidrec audit --repair` extracts them again."
                )
    except (ValueError, OSError, cv2.error) as error:
        if is_full(error):
            raise
        return without_flow(row, str(error))
    return dataclasses.replace(row, **_of_frames(row))


def without_flow(row, reason=""):
    """A Row like this one, without flow; "failed" if there is a reason. Partial stays partial."""
    bare = dataclasses.replace(
        row, n_flow=0, flow_algorithm="", flow_parameters="", flow_sha256="", **_of_frames(row)
    )
    if not reason:
        return bare
    status = "failed" if bare.status == "ok" else bare.status
    message = f"{bare.message}{'; ' if bare.message else ''}{_FAILED}{row.video_id}: {reason}"
    return dataclasses.replace(bare, status=status, message=message)


def _of_frames(row):
    """What the frames alone say: status and message, without those of flow that failed."""
    if row.status == "failed" and row.n_frames:  # of a failed video there are no frames
        return {"status": "ok", "message": ""}
    return {"status": row.status, "message": row.message.partition(f"; {_FAILED}")[0]}


def has_flow(store, row, settings):
    """Whether a video has the flow of these settings: its Row says so, and the last pair is there.

    `vidrec audit` looks at every image.
    """
    return (
        row.n_flow == row.n_frames - 1
        and settings.made(row)
        and store.path("flow_y", row.video_id, row.n_flow).exists()
    )
