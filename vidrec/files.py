"""Files that are whole or not there: everything vidrec writes appears by one rename."""

import contextlib
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
def new_folder(path):
    """Yields a temporary folder that becomes `path` by one rename when the block ends well.

    A folder that is there already is replaced; after an error it is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp makes it private
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
