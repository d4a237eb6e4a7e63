"""A small store whose pixels say which video and which image they are, and tf.data in one call.

Frame f of video v is one colour: red 20 v, green 8 f. Pair p has the codes u = 8 p + v and
v = 255 - u. Constant images of quality 100 keep gray codes exactly and colours to 2 codes or less.
"""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from vidrec.store import Row, Store

CLASSES = ("walk", "jump", "clap")  # not in alphabetical order
LENGTHS = {  # video_id -> frames, in the order of the video's number
    "clap/c1": 13,
    "clap/c2": 15,
    "jump/j1": 12,
    "jump/j2": 17,
    "walk/w1": 14,
    "walk/w2": 20,
}


@pytest.fixture(scope="session")
def mapped():
    """Calls a function of tensors inside `Dataset.map`; returns what it gives as numpy."""

    def call(function, *tensors):
        data = tf.data.Dataset.from_tensors(tensors).map(function)
        return next(data.as_numpy_iterator())

    return call


@pytest.fixture(scope="session")
def jpg():
    """Writes an image (gray, or BGR as OpenCV has it) as a JPG of quality 100."""

    def write(path, image):
        path.parent.mkdir(parents=True, exist_ok=True)
        options = [cv2.IMWRITE_JPEG_QUALITY, 100]
        path.write_bytes(cv2.imencode(".jpg", image, options)[1].tobytes())
        return str(path)

    return write


@pytest.fixture(scope="session")
def write_store(jpg):
    """Writes a store in any layout: `write_store(root, layout, lengths, size)`."""

    def write(root, layout="vidrec", lengths=LENGTHS, size=(24, 30)):
        store = Store(root, layout)
        for number, (video_id, n_frames) in enumerate(lengths.items()):
            for f in range(n_frames):
                frame = np.empty((*size, 3), np.uint8)
                frame[:] = (128, 8 * f, 20 * number)
                jpg(store.path("frame", video_id, f + 1), frame)
            for p in range(n_frames - 1):
                code = np.full(size, 8 * p + number, np.uint8)
                jpg(store.path("flow_x", video_id, p + 1), code)
                jpg(store.path("flow_y", video_id, p + 1), 255 - code)
            label = video_id.split("/")[0]
            store.append(
                Row(video_id=video_id, label=label, n_frames=n_frames, n_flow=n_frames - 1)
            )
        return store

    return write


@pytest.fixture(scope="session")
def store(tmp_path_factory, write_store):
    """Six videos, two of each class. Read it only."""
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def classes():
    return CLASSES


@pytest.fixture(scope="session")
def moments():
    """What the images of a batch say: {"rgb": (video, frame), "flow": (video, pair)}.

    Shapes: (B, T) for rgb, (B, T, L) for flow. Constant images and opposite u and v are asserted.
    """

    def read(clips):
        found = {}
        if "rgb" in clips:
            rgb = np.asarray(clips["rgb"]).astype(int)
            assert (rgb == rgb[:, :, :1, :1]).all()
            red, green = rgb[:, :, 0, 0, 0], rgb[:, :, 0, 0, 1]
            found["rgb"] = np.rint(red / 20).astype(int), np.rint(green / 8).astype(int)
        if "flow" in clips:
            flow = np.asarray(clips["flow"]).astype(int)
            assert (flow == flow[:, :, :1, :1]).all()
            u, v = flow[:, :, 0, 0, ::2], flow[:, :, 0, 0, 1::2]
            assert (u + v == 255).all()
            found["flow"] = u % 8, u // 8
        return found

    return read
