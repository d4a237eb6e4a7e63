"""Stores of drawn videos, and the faults that the tests of audit and repair plant in them."""

import dataclasses
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.extraction.conftest import moved, table_of, texture
from vidrec.extraction.batch import extract_flow
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.store import Store

SETTINGS = FlowSettings(engine="farneback")
PLANTS = {}


def plant(function):
    """A function of a store and a video that plants a fault, and returns what tells of it: a list
    of (video_id, kind, path, what its message says).
    """
    PLANTS[function.__name__] = function
    return function


def film(path, seed, frames):
    """A drawn video of 80 x 60 px."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (80, 60))
    images = [texture(3 * seed + channel) for channel in range(3)]
    for i in range(frames):
        writer.write(np.dstack([moved(image, i, -i // 2) for image in images]))
    writer.release()


def made(root, names, frames):
    """A store below `root` with the frames and flow of drawn videos, X/<name>."""
    paths = [root / "videos" / f"{name}.avi" for name in names]
    for seed, path in enumerate(paths):
        film(path, seed, frames + seed % 3)
    store = Store(root / "store")
    extract_flow(store, SETTINGS, table=table_of(*paths), workers=0)
    return store


def copied(store, root):
    """The same store, and the videos of it, below another folder."""
    shutil.copytree(store.root.parent, root, dirs_exist_ok=True)
    copy = Store(root / store.root.name)
    index = copy.index_path.read_bytes()
    copy.index_path.write_bytes(index.replace(bytes(store.root.parent), bytes(root)))
    return copy


def tree(root):
    """All that lies below a folder but locks: relative path -> bytes, target of a link, or None."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = os.readlink(path)
        elif not path.name.endswith(".lock"):
            found[str(path.relative_to(root))] = path.read_bytes() if path.is_file() else None
    return found


def rewrite(store, video_id, **values):
    """Changes columns of a video's row."""
    store.append(dataclasses.replace(store.rows()[video_id], **values))
    store.compact()


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path, share):
    """One bit of the entropy-coded data."""
    data = bytearray(path.read_bytes())
    begin = data.index(b"\xff\xda") + 14
    data[begin + int((len(data) - 2 - begin) * share)] ^= 4
    path.write_bytes(data)


def swap(one, other):
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


@plant
def missing_frame(store, video):
    path = store.path("frame", video, 2)
    path.unlink()
    return [(video, "frames", path, "1 are missing")]


@plant
def missing_frames_at_the_end(store, video):
    for i in (4, store.rows()[video].n_frames, 5):
        store.path("frame", video, i).unlink(missing_ok=True)
    return [(video, "frames", store.path("frame", video, 4), "are missing")]


@plant
def missing_flow_x(store, video):
    path = store.path("flow_x", video, 1)
    path.unlink()
    return [(video, "flow", path, "1 are missing")]


@plant
def missing_flow_y(store, video):
    path = store.path("flow_y", video, store.rows()[video].n_flow)
    path.unlink()
    return [(video, "flow", path, "1 are missing")]


@plant
def truncated_frame(store, video):
    path = store.path("frame", video, 3)
    cut(path, 0.6)
    return [(video, "frames", path, "must decode to its end. Received: image file is truncated")]


@plant
def truncated_frame_with_an_end(store, video):
    path = store.path("frame", video, 3)
    cut(path, 0.6)
    path.write_bytes(path.read_bytes() + b"\xff\xd9")
    return [(video, "frames", path.parent, "sha256")]


@plant
def truncated_flow(store, video):
    path = store.path("flow_y", video, 3)
    cut(path, 0.9)
    return [(video, "flow", path, "must decode to its end. Received: image file is truncated")]


@plant
def frame_without_its_last_byte(store, video):
    path = store.path("frame", video, 1)
    path.write_bytes(path.read_bytes()[:-1])
    return [(video, "frames", path, "must decode to its end")]


@plant
def empty_frame(store, video):
    path = store.path("frame", video, 1)
    path.write_bytes(b"")
    return [(video, "frames", path, "must be a JPG. Received: an empty file")]


@plant
def two_empty_flow_images(store, video):
    path, other = store.path("flow_x", video, 2), store.path("flow_y", video, 4)
    for each in (path, other):
        each.write_bytes(b"")
    text = "Received: an empty file; and 1 more such images: flow_y_00004.jpg"
    return [(video, "flow", path, text)]


@plant
def text_as_frame(store, video):
    path = store.path("frame", video, 4)
    path.write_text("404 not found")
    return [(video, "frames", path, "must be a JPG. Received: 13 bytes that begin b'404 not '")]


@plant
def png_as_frame(store, video):
    path = store.path("frame", video, 4)
    path.write_bytes(cv2.imencode(".png", cv2.imread(str(path)))[1].tobytes())
    return [(video, "frames", path, r"bytes that begin b'\x89PNG")]


@plant
def damaged_header(store, video):
    path = store.path("frame", video, 2)
    data = bytearray(path.read_bytes())
    data[:2] = b"\x00\x00"
    path.write_bytes(data)
    return [(video, "frames", path, "must be a JPG")]


@plant
def damaged_tables(store, video):
    path = store.path("flow_x", video, 2)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xdb") + 2  # the length of the quantization table
    data[at : at + 2] = b"\xff\xff"
    path.write_bytes(data)
    return [(video, "flow", path, "must")]


@plant
def flipped_bit_of_a_frame(store, video):
    flip(store.path("frame", video, 5), 0.7)
    return [(video, "frames", store.folder("frame", video), "sha256")]


@plant
def flipped_bit_of_flow(store, video):
    flip(store.path("flow_x", video, 1), 0.99)
    return [(video, "flow", store.folder("flow_x", video), "sha256")]


@plant
def swapped_frames(store, video):
    swap(store.path("frame", video, 2), store.path("frame", video, 3))
    return [(video, "frames", store.folder("frame", video), "sha256")]


@plant
def swapped_flow_x_and_y(store, video):
    swap(store.path("flow_x", video, 2), store.path("flow_y", video, 2))
    return [(video, "flow", store.folder("flow_x", video), "sha256")]


@plant
def frame_of_another_size(store, video):
    path = store.path("frame", video, 3)
    path.write_bytes(encode_jpeg(texture(1)[:60, :79]))
    return [(video, "frames", path, "must be of 80 x 60 px. Received: 79 x 60 px")]


@plant
def flow_of_another_size(store, video):
    path = store.path("flow_y", video, 3)
    path.write_bytes(encode_jpeg(texture(1)[:61, :80]))
    return [(video, "flow", path, "must be of 80 x 60 px. Received: 80 x 61 px")]


@plant
def frame_coded_again(store, video):
    path = store.path("frame", video, 1)
    path.write_bytes(encode_jpeg(cv2.imread(str(path)), quality=94))
    return [(video, "frames", path.parent, "sha256")]


@plant
def colour_flow(store, video):
    path = store.path("flow_x", video, 1)
    path.write_bytes(encode_jpeg(cv2.imread(str(path))))
    return [(video, "flow", path, "must be gray. Received: an image of mode RGB")]


@plant
def gap_and_numbers_behind(store, video):
    path, behind = store.path("frame", video, 3), store.path("frame", video, 9)
    path.rename(behind)
    return [
        (video, "frames", path, "1 are missing"),
        (video, "frames", behind, "Received: one too many"),
    ]


@plant
def extra_frame(store, video):
    path = store.path("frame", video, store.rows()[video].n_frames + 1)
    shutil.copy(store.path("frame", video, 1), path)
    return [(video, "frames", path, "Received: one too many")]


@plant
def extra_frame_0(store, video):
    path = store.path("frame", video, 0)
    shutil.copy(store.path("frame", video, 1), path)
    return [(video, "frames", path, "Received: one too many")]


@plant
def extra_flow(store, video):
    path = store.path("flow_y", video, store.rows()[video].n_flow + 1)
    shutil.copy(store.path("flow_y", video, 1), path)
    return [(video, "flow", path, "Received: one too many")]


@plant
def extra_file_among_frames(store, video):
    path = store.folder("frame", video) / "Thumbs.db"
    path.write_bytes(b"x")
    return [(video, "frames", path, "Received: one too many")]


@plant
def extra_file_among_flow(store, video):
    path = store.folder("flow_x", video) / "flow_y_1.jpg.bak"
    path.write_bytes(b"x")
    return [(video, "flow", path, "Received: one too many")]


@plant
def no_frames_folder(store, video):
    shutil.rmtree(store.folder("frame", video))
    return [(video, "frames", store.folder("frame", video), "Received: nothing")]


@plant
def no_flow_folder(store, video):
    shutil.rmtree(store.folder("flow_x", video))
    return [(video, "flow", store.folder("flow_x", video), "Received: nothing")]


@plant
def file_as_frames_folder(store, video):
    folder = store.folder("frame", video)
    shutil.rmtree(folder)
    folder.write_bytes(b"x")
    return [(video, "frames", folder, "Received: a file")]


@plant
def folder_as_frame(store, video):
    path = store.path("frame", video, 2)
    path.unlink()
    path.mkdir()
    return [(video, "frames", path, "must be a file. Received: a folder")]


@plant
def pipe_as_flow(store, video):
    path = store.path("flow_x", video, 2)
    path.unlink()
    os.mkfifo(path)
    return [(video, "flow", path, "must be a file. Received: a folder, a pipe")]


@plant
def link_out_of_the_root(store, video):
    path, outside = store.path("frame", video, 2), store.root.parent / "elsewhere.jpg"
    shutil.move(path, outside)
    path.symlink_to(outside)
    return [(video, "frames", path, f"Received: a link to {os.path.realpath(outside)}")]


@plant
def folder_that_is_a_link_out_of_the_root(store, video):
    folder, outside = store.folder("flow_x", video), store.root.parent / "outside"
    shutil.move(folder, outside)
    folder.symlink_to(outside)
    return [(video, "flow", folder, f"Received: a link to {os.path.realpath(outside)}")]


@plant
def link_to_nothing(store, video):
    path = store.path("flow_x", video, 3)
    path.unlink()
    path.symlink_to("nothing.jpg")
    return [(video, "flow", path, "No such file")]


@plant
def row_of_fewer_frames(store, video):
    n = store.rows()[video].n_frames
    rewrite(store, video, n_frames=n - 2)
    return [(video, "frames", store.path("frame", video, n - 1), "one too many; and 1 more")]


@plant
def row_of_more_frames(store, video):
    n = store.rows()[video].n_frames
    rewrite(store, video, n_frames=n + 1)
    return [(video, "frames", store.path("frame", video, n + 1), "1 are missing")]


@plant
def row_of_less_flow(store, video):
    n = store.rows()[video].n_flow
    rewrite(store, video, n_flow=n - 1)
    return [
        (video, "flow", store.folder("flow_x", video), f"n_flow={n - 1}"),
        (video, "flow", store.path("flow_x", video, n), "one too many"),
    ]


@plant
def row_of_another_size(store, video):
    rewrite(store, video, width=60, height=80)
    first, flow = store.path("frame", video, 1), store.path("flow_x", video, 1)
    return [
        (video, "flow", flow, "must be of 60 x 80 px. Received: 80 x 60 px"),
        (video, "frames", first, "must be of 60 x 80 px. Received: 80 x 60 px; and"),
    ]


@plant
def row_without_flow(store, video):
    rewrite(store, video, n_flow=0, flow_algorithm="", flow_parameters="", flow_sha256="")
    return [(video, "flow", store.folder("flow_x", video), "n_flow=0 in the index")]


@plant
def row_without_frames(store, video):
    shutil.rmtree(store.folder("frame", video))
    shutil.rmtree(store.folder("flow_x", video))
    rewrite(store, video, n_frames=0, n_flow=0)
    return [(video, "row", store.root, "Received: n_frames=0")]


@plant
def row_of_a_failure(store, video):
    shutil.rmtree(store.folder("frame", video))
    shutil.rmtree(store.folder("flow_x", video))
    rewrite(store, video, n_frames=0, n_flow=0, status="failed", message="it was interrupted")
    return [(video, "row", store.root, "status='failed', it was interrupted")]


@plant
def row_of_failed_flow(store, video):
    shutil.rmtree(store.folder("flow_x", video))
    rewrite(store, video, n_flow=0, status="failed", message="flow took too long")
    return [(video, "row", store.root, "flow took too long")]


@plant
def other_parameters(store, video):
    bound = dataclasses.replace(SETTINGS, bound=15.0).parameters()
    rewrite(store, video, flow_parameters=bound)
    folder = store.folder("flow_x", video)
    return [(video, "flow", folder, f"Received: 'farneback' with {bound}, cv2")]


@plant
def flow_really_made_otherwise(store, video):
    other = Store(store.root.parent / "other")
    bound = dataclasses.replace(SETTINGS, bound=9.0)
    table = table_of(Path(store.rows()[video].source))
    extract_flow(other, bound, table=table.assign(video_id=video), workers=0)
    shutil.rmtree(store.folder("flow_x", video))
    shutil.copytree(other.folder("flow_x", video), store.folder("flow_x", video))
    store.append(other.rows()[video])
    store.compact()
    shutil.rmtree(other.root)
    return [(video, "flow", store.folder("flow_x", video), '"bound": 9.0')]


@plant
def other_cv2(store, video):
    rewrite(store, video, cv2_version="3.4.1")
    return [(video, "flow", store.folder("flow_x", video), "cv2 3.4.1")]


@plant
def flow_of_another_video(store, video):
    other = next(name for name in sorted(store.rows(), reverse=True) if name != video)
    for i in range(1, store.rows()[video].n_flow + 1):
        for kind in ("flow_x", "flow_y"):
            source = store.path(kind, other, min(i, store.rows()[other].n_flow))
            shutil.copy(source, store.path(kind, video, i))
    return [(video, "flow", store.folder("flow_x", video), "sha256")]


@plant
def partial_frames_of_a_killed_writer(store, video):
    path = store.folder("frame", video).with_name(".v.partial-0123abcd")
    path.mkdir()
    shutil.copy(store.path("frame", video, 1), path)
    return [("", "stray", path, "what a killed writer left")]


@plant
def replaced_flow_of_a_killed_writer(store, video):
    folder = store.folder("flow_x", video)
    path = folder.with_name(f".{folder.name}.replaced-0123abcd")
    shutil.copytree(folder, path)
    return [("", "stray", path, "what a killed writer left")]


@plant
def partial_index_of_a_killed_writer(store, video):
    path = store.root / ".index.csv.partial-0123abcd"
    path.write_bytes(b"video_id")
    return [("", "stray", path, "what a killed writer left")]
