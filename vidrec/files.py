"""Files that are whole or not there, and names that stay below their folder.

Everything vidrec writes appears by one rename. What a killed writer of `name` leaves beside it is
hidden: `.name.partial-<8 hex digits>`, and for the moment of a swap `.name.replaced-<8 digits>`.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from pathlib import Path

SEQUENCE = re.compile(r"%[0-9]*d|%[*?\[\]{}]")  # FFmpeg reads images, counted or globbed
LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<kind>partial|replaced)-[0-9a-f]{8}", re.DOTALL)
_PROTOCOL = re.compile(r"[A-Za-z][\w+.,-]*:")  # a URL, what FFmpeg takes for one, or a drive: C:
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def new_file(path):
    """Yields a binary file that becomes `path` by one rename when the block ends well.

    Its folders are made. After an error, a file that was there is left as it was. What killed
    writers of `path` left is removed; one that is still at work will fail.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear(path)
    partial = _beside(path, "partial")  # same folder: a rename is atomic
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path, data):
    """Writes bytes to `path`, whole or not at all."""
    with new_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def new_folder(path, *, durable=False):
    """Yields a temporary folder that becomes `path` by one rename when the block ends well.

    A folder that is there already is replaced; after an error it is left as it was. What killed
    writers of `path` left is removed; one that is still at work will fail, and mixes nothing in.

    Args:
        path: path of the folder.
        durable: bool, whether the files must also outlive a power cut. That takes a flush of each,
            which thousands of images would wait for.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear(path)
    partial, old = _beside(path, "partial"), _beside(path, "replaced")
    partial.mkdir()
    try:
        yield partial
        if durable:
            for entry in [*partial.rglob("*"), partial]:
                flush(entry)
        if os.path.lexists(path):
            os.replace(path, old)  # a folder that is not empty cannot be renamed over
        os.replace(partial, path)
        if durable:
            flush(path.parent)
    finally:
        _settle(old, path)
        _remove(partial, path)


def remove_folder(path):
    """Removes a folder, so that none of that name is ever there in part."""
    _remove(Path(path), Path(path))


def flush(path):
    """Brings a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path):
    """Hash of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_full(error):
    """Whether an exception says that the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def check_name(name):
    """Refuses a name from a list that would not stay below the folder that it is looked up in.

    Raises:
        ValueError: if the name is no text, empty or absolute; has a part "..", a backslash, a drive
            letter, a control character or a pattern of numbers such as %02d; or is a URL.
    """
    why, parts = None, str(name).split("/")
    if not isinstance(name, str):
        why = "it is no text"
    elif any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        why = "it has a control character, or is no UTF-8"
    elif not any(part not in ("", ".") for part in parts):
        why = "it is empty"
    elif name.startswith("/"):
        why = "it is absolute"
    elif ".." in parts:
        why = 'it has a part ".."'
    elif "\\" in name:
        why = "it has a backslash"
    elif _PROTOCOL.match(name):
        why = "it begins like a URL, a protocol or a drive"
    elif SEQUENCE.search(name):
        why = "it has a pattern of numbers: FFmpeg would read a sequence of images"
    if why:
        raise ValueError(_refusal(name, why))


def _refusal(name, why):
    return (
        "A name in a list or an archive must be the path of a file below its folder, with forward "
        f"slashes. Received: {name!r}: {why}. Correct or remove it."
    )


def _beside(path, kind):
    return path.with_name(f".{path.name}.{kind}-{secrets.token_hex(4)}")


def clear(path):
    """Removes what killed writers of `path` left, or puts it back if they had moved it away."""
    for name in os.listdir(path.parent):
        match = LEFTOVER.fullmatch(name)
        if not match or match["name"] != path.name:
            continue
        if match["kind"] == "replaced":
            _settle(path.with_name(name), path)
        else:
            _remove(path.with_name(name), path)


def _settle(old, path):
    """Ends a swap: what was to be replaced goes back if nothing took its place."""
    if os.path.lexists(path):
        _remove(old, path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.replace(old, path)


def _remove(entry, path):
    """Removes a leftover. Renamed first: its writer, if there is still one, adds nothing more."""
    doomed = _beside(path, "partial")
    with contextlib.suppress(FileNotFoundError):
        os.replace(entry, doomed)
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            doomed.unlink()


def existing(path):
    """What there is of a path: itself, or the nearest folder above it; absolute."""
    path = Path(path).absolute()
    return next(place for place in (path, *path.parents) if place.exists())
