"""Drawn videos, and drawn images whose motion is known."""

import cv2
import numpy as np
import pandas as pd
import pytest

from vidrec.datasets import synthetic
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.files import new_folder
from vidrec.store import Row, Store

SPEC = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=40, size=48, fps=12.0)
H, W = 60, 80  # of the images
MARGIN = 12


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """18 drawn videos of 40 frames."""
    root = tmp_path_factory.mktemp("videos")
    synthetic.write_videos(root, SPEC)
    return root


@pytest.fixture
def video(drawn):
    return drawn / "AmberStripesOrbit/v_AmberStripesOrbit_g02_c01.avi"


def table_of(*paths):
    records = [(f"X/{path.stem}", str(path), "X", "g01") for path in paths]
    return pd.DataFrame(records, columns=["video_id", "path", "label", "group"], dtype=str)


def texture(seed):
    """A smooth random image, larger than a frame by MARGIN on each side."""
    noise = np.random.default_rng(seed).normal(size=(H + 2 * MARGIN, W + 2 * MARGIN))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.rint(128 + 110 * smooth / np.abs(smooth).max()).astype(np.uint8)


def moved(image, dx, dy):
    """The frame in which everything has moved right by dx and down by dy, px."""
    top, left = MARGIN - dy, MARGIN - dx
    return image[top : top + H, left : left + W]


def put(root, clips):
    """A store with these clips, a dict video_id -> gray frames."""
    store = Store(root)
    for video_id, frames in clips.items():
        with new_folder(store.folder("frame", video_id)) as folder:
            for i, frame in enumerate(frames, start=1):
                (folder / store.path("frame", video_id, i).name).write_bytes(encode_jpeg(frame))
        store.append(Row(video_id=video_id, label=video_id[0], n_frames=len(frames)))
    return store


@pytest.fixture(scope="module")
def pair():
    image = texture(0)
    return moved(image, 0, 0), moved(image, 3, 2)
