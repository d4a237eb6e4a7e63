"""One writer at a time: locks that the system takes back when their process ends, however it ends.

The lock of a file is `.<name>.lock` beside it, hidden and empty. It stays there: if it were removed
while another process is about to lock it, two processes could each hold a lock of that name.
"""

import contextlib
import os

from filelock import FileLock, Timeout

GATE_SECONDS = 60  # the gate is held for milliseconds: more is a file system that hangs

_held = set()  # (process id, real path); a forked process holds nothing of its parent's


@contextlib.contextmanager
def writing(path, *, rivals=tuple):
    """Holds the right to write a file while the block runs.

    Locks are taken inside a gate, which the writers of one name (what comes before the first dot)
    pass one after the other: nobody can begin between the look at the rivals and the lock.

    Args:
        path: Path of the file. Its folder must exist.
        rivals: function that returns the Paths whose writers must be at rest; called in the gate.

    Raises:
        RuntimeError: at once, if a writer of `path` or of a rival is at work.
    """
    gate = _take(path.with_name(path.name.split(".")[0]), path, GATE_SECONDS)
    try:
        for rival in rivals():
            _take(rival, rival).release()
        lock = _take(path, path)
    finally:
        gate.release()
    key = _key(path)
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        lock.release()


def is_writing(path):
    """Whether this process is inside `writing(path)`."""
    return _key(path) in _held


def ever_locked(folder):
    """Paths of the files in a folder that have a lock, whether it is held now or not."""
    names = sorted(os.listdir(folder))
    return [folder / name[1:-5] for name in names if name[0] == "." and name.endswith(".lock")]


def _take(locked, path, seconds=0):
    lock = FileLock(locked.with_name(f".{locked.name}.lock"))
    try:
        if is_writing(locked):
            raise Timeout(lock.lock_file)
        lock.acquire(timeout=seconds)
    except Timeout:
        raise RuntimeError(
            f"An index has one writer at a time, and another vidrec process is writing {path}. "
            "Wait for it or stop it, then run the same command again."
        ) from None
    return lock


def _key(path):
    return os.getpid(), os.path.realpath(path)
