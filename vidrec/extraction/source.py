"""What a video is made from: one video file, or a folder with an image of every frame.

Here is what tells a source from another, and whether it has changed. `video.py` reads it.
"""

import hashlib
import os
import re
from pathlib import Path

from vidrec.files import sha256

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")  # in any case


def images(path):
    """The images of a folder, in the order of their numbers: img2 comes before img10.

    Hidden files, sub-folders and files of other suffixes are none. What is named like an image is
    one, a pipe or a broken link too: it is refused where it is read, and not left out silently.

    Returns:
        list of Path; empty if `path` is no folder.

    Raises:
        OSError: if the folder cannot be read.
    """
    if not os.path.isdir(path):
        return []
    found = (Path(path, name) for name in os.listdir(path) if _is_image(name))
    return sorted((image for image in found if not os.path.isdir(image)), key=_natural)


def is_there(path):
    """Whether a source is there: a regular file, or a folder of images."""
    return os.path.isfile(path) or bool(images(path))


def is_readable(path):
    """Whether a source is there, and this user may read all of it."""
    readable = os.access(path, os.R_OK) and is_there(path)
    return readable and all(os.access(image, os.R_OK) for image in images(path))


def source_bytes(path):
    """Size of a source, int bytes: of the file, or of a folder's images together.

    Raises:
        OSError: if there is no such file or folder.
    """
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(image) for image in images(path) if image.is_file())


def source_sha256(path):
    """Hash of a source, 64 hexadecimal digits: of the file's bytes, or of the names and bytes of a
    folder's images in their order.

    Raises:
        OSError: if there is no such file or folder, or it cannot be read.
    """
    if not os.path.isdir(path):
        return sha256(path)
    digest = hashlib.sha256()
    for image in images(path):
        content = sha256(image) if image.is_file() else "none"  # a pipe would be waited for
        digest.update(content.encode() + b" " + os.fsencode(image.name) + b"\0")
    return digest.hexdigest()


def changed_at(path):
    """When a source was last changed, float s: the newest mtime of the file, or of the folder
    (which tells of images added, removed and renamed) and its images.

    Raises:
        OSError: if there is no such file or folder.
    """
    parts = [path, *(image for image in images(path) if image.is_file())]
    return max(os.path.getmtime(part) for part in parts)


def _is_image(name):
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def _natural(image):
    """Sorts numbers in names as numbers; names that differ in nothing else, by their letters."""
    words = re.split("([0-9]+)", image.stem.lower())  # of text and numbers in turn
    return [int(word) if i % 2 else word for i, word in enumerate(words)], image.name
