"""Reading videos: a local video file, or a folder with an image of every frame.

Nothing else is read: no URL, no image sequence by a pattern of numbers, no device.
"""

import contextlib
import os
import re
from pathlib import Path

import cv2
import numpy as np

from vidrec.extraction.source import IMAGE_SUFFIXES, images
from vidrec.files import SEQUENCE

# Containers round their frame count up: one real file in ten promises one frame too many.
COUNT_TOLERANCE = 2

_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION

_PROTOCOL = re.compile(r"[A-Za-z][\w+.,-]+:")  # a scheme, and no slash before it; not C:


class VideoError(ValueError):
    """A video that cannot be read. The message names the file and says what to do."""


def open_video(path):
    """Opens a local video file with FFmpeg, and nothing but a local file.

    Raises:
        VideoError: if `path` is no regular file, is empty, has a name that FFmpeg would not take
            as it is, or is no video that FFmpeg reads.
    """
    given, path = str(path), Path(path)
    target = _real_path(given)
    if not path.is_file():
        raise VideoError(_not_a_file(given, path))
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes). Fetch or copy it again.")
    # Without this, names like "concat:a|b" or playlists inside a file open other files and URLs.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
    # An absolute path starts with a slash, and FFmpeg sees no protocol in what follows one.
    capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise VideoError(f"{path} is not a video that OpenCV's FFmpeg can read. Is it damaged?")
    return capture


def read_frames(path):
    """Yields the frames of a video, one after the other.

    Args:
        path: path of a video file, or of a folder of images, which are read in the order of the
            numbers in their names, as they lie in their files: EXIF does not turn them.

    Yields:
        uint8 (H, W, 3), BGR as OpenCV decodes it.

    Raises:
        VideoError: if the file cannot be opened, its first frame cannot be decoded, or a later one
            has another size; if a folder has no image, or one that cannot be decoded.
        OSError: if an image may not be read.
    """
    decoded, size = 0, None
    frames = _images_of(path) if os.path.isdir(path) else _frames_of(path)
    with contextlib.closing(frames):
        for frame in frames:
            decoded += 1
            h, w = frame.shape[:2]
            size = size or (w, h)
            if size != (w, h):
                raise VideoError(
                    f"{path}: frame {decoded} is {w}x{h} px, those before it {size[0]}x{size[1]}. "
                    "A clip needs one size: cut the video where it changes, or scale it."
                )
            yield frame


def promised_frames(path):
    """The container's frame count (which may be wrong) and fps; of a folder, its images and 0.0.

    Raises:
        VideoError: if the file cannot be opened, or the folder has no image.
    """
    if os.path.isdir(path):
        return len(_images_in(path)), 0.0
    capture = open_video(path)
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()


def _frames_of(path):
    """Yields the frames of a video file."""
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


def _images_of(path):
    """Yields the images of a folder.

    Not by OpenCV's reader of files: that one makes an image of half a JPG, and says nothing.
    """
    for image in _images_in(path):
        if not image.is_file():
            raise VideoError(
                f"{image} is not a regular file (a pipe, a device or a broken link). Put the image "
                "there, or remove it."
            )
        data, frame = image.read_bytes(), None
        with contextlib.suppress(cv2.error):  # of no bytes, or far too many pixels
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
        if frame is None:
            raise VideoError(
                f"{image} is not an image that OpenCV can read. Is it damaged? Fetch it again."
            )
        yield frame


def _images_in(path):
    _check_text(str(path))
    found = images(path)
    if not found:
        raise VideoError(
            f"{path} is a folder without images ({', '.join(IMAGE_SUFFIXES)}). Give the path of a "
            "video file, or of a folder with an image of every frame."
        )
    return found


def _real_path(given):
    """The absolute path behind all links, a str that FFmpeg takes as the name of that one file."""
    if "\0" in given:
        raise VideoError(
            f"The name of a video file must not hold a NUL byte. Received: {given!r}. Give the "
            "path of a video file on this machine."
        )
    target = os.path.realpath(given)
    for name in (given, target):
        if SEQUENCE.search(name):
            raise VideoError(
                f"{name} has a pattern of numbers (such as %02d) in its name: FFmpeg would read a "
                "sequence of images, and not this file. Rename it without the % sign."
            )
    _check_text(target)
    return target


def _check_text(name):
    """OpenCV passes on UTF-8 only, and may crash on anything else; the index holds nothing else."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise VideoError(
            f"The name of a video must be UTF-8 text. Received: {name!a}. Rename it."
        ) from None


def _not_a_file(given, path):
    if _PROTOCOL.match(given):
        return (
            f"{given} is a URL / protocol, give a path: download it first, and give the path of "
            "the video file on this machine."
        )
    if path.exists() and not path.is_dir():
        return (
            f"{path} is not a regular file (a pipe, socket or device). Save the video to a file "
            "first and give its path."
        )
    return f"{path} is not a file. Give the path of a video file on this machine."
