"""Reading video files, and nothing but video files: no URL, no image sequence, no device."""

import os
import re
from pathlib import Path

import cv2

from vidrec.files import SEQUENCE

# Containers round their frame count up: one real file in ten promises one frame too many.
COUNT_TOLERANCE = 2

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

    Yields:
        uint8 (H, W, 3), BGR as OpenCV decodes it.

    Raises:
        VideoError: if the file cannot be opened, its first frame cannot be decoded, or a later one
            has another size.
    """
    capture = open_video(path)
    try:
        decoded, size = 0, None
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            decoded += 1
            h, w = frame.shape[:2]
            size = size or (w, h)
            if size != (w, h):
                raise VideoError(
                    f"{path}: frame {decoded} is {w}x{h} px, those before it {size[0]}x{size[1]}. "
                    "A clip needs one size: cut the video where it changes, or scale it."
                )
            yield frame
        if decoded == 0:
            raise VideoError(f"{path} has no frame that can be decoded. Is it damaged?")
    finally:
        capture.release()


def promised_frames(path):
    """The container's frame count (which may be wrong) and fps."""
    capture = open_video(path)
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()


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
    try:
        target.encode()
    except UnicodeEncodeError:  # OpenCV passes on UTF-8 only, and may crash on anything else
        raise VideoError(
            f"The name of a video file must be UTF-8 text. Received: {given!a}. Rename it."
        ) from None
    return target


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
