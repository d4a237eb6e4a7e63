"""JPG frames to 8-bit flow images (Qiao et al. 2021, section 3.1, steps 2 to 4), in a worker."""

import contextlib
import hashlib

import cv2
import numpy as np

from vidrec.extraction.jpeg import decode_gray, encode_jpeg, read_jpeg
from vidrec.files import is_full, new_folder


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
        row.n_flow, row.message = 0, f"flow of {row.video_id}: {error}"
        if row.status == "ok":  # a partial video stays partial
            row.status = "failed"
        return row
    if row.status == "failed":  # the flow had: there are frames
        row.status, row.message = "ok", ""
    return row


def has_flow(store, row, settings):
    """Whether a video has the flow of these settings: its Row says so, and the last pair is there.

    `vidrec audit` looks at every image.
    """
    return (
        row.n_flow == row.n_frames - 1
        and settings.made(row)
        and store.path("flow_y", row.video_id, row.n_flow).exists()
    )
