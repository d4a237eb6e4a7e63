"""What the tests of the pool let its workers do. In its own module: a new process imports it."""

import ctypes
import os
import signal
import time
from pathlib import Path


def note(folder, i):
    """Leaves one byte more in folder/i, so that a test can count how often job i began."""
    with open(Path(folder) / str(i), "ab") as file:
        file.write(b".")


def square(i, folder):
    note(folder, i)
    return i * i


def killed(i, folder, victim):
    """i * i; but job `victim` kills its process, each time."""
    note(folder, i)
    if i == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return i * i


def killed_once(i, folder, victim):
    """i * i; but job `victim` kills its process when it is begun for the first time."""
    first = not (Path(folder) / str(victim)).exists()
    note(folder, i)
    if i == victim and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return i * i


def dies(how, *_):
    """A string, or the end of this process."""
    {
        "well": lambda: None,
        "abort": os.abort,
        "segfault": lambda: ctypes.string_at(0),
        "exit": lambda: os._exit(3),
        "exit as if late": lambda: os._exit(1),
        "sleep": lambda: time.sleep(60),
        # holds the interpreter's lock, as a hang in a decoder can
        "C": lambda: ctypes.PyDLL(None).sleep(60),
    }[how]()
    return how


def first_dies_then_sleeps(folder):
    note(folder, 0)
    if (Path(folder) / "0").stat().st_size == 1:
        os._exit(3)
    time.sleep(60)


def pid_file(i, folder, seconds, fails=None):
    """Leaves its process id in folder/i and works for so long; job `fails` fails at once."""
    if i == fails:
        while len(list(Path(folder).iterdir())) < 1:  # until another is at work
            time.sleep(0.01)
        raise OSError(28, "No space left on device")
    (Path(folder) / f".{i}").write_text(str(os.getpid()))
    os.replace(Path(folder) / f".{i}", Path(folder) / str(i))
    time.sleep(seconds)
    return os.getpid()


def whoami(*_):
    return os.getpid()
