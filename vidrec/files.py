"""Files that are whole or not there: everything vidrec writes appears by one rename."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def new_file(path):
    """Yields a binary file that becomes `path` by one rename when the block ends well.

    Its folders are made. After an error, a file that was there is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")  # same folder: a rename is atomic
    try:
        with open(partial, "wb") as file:
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

    A folder that is there already is replaced; after an error it is left as it was.

    Args:
        path: path of the folder.
        durable: bool, whether the files must also outlive a power cut. That takes a flush of each,
            which thousands of images would wait for.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = partial.with_name(partial.name + ".old")
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp makes it private
        if durable:
            for entry in [*partial.rglob("*"), partial]:
                flush(entry)
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
        if durable:
            flush(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


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
