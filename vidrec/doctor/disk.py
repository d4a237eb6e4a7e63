"""Whether frames and flow find room: free space, number of files, speed of writing."""

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from vidrec.doctor.finding import error, ok, one_line, warning
from vidrec.files import existing

LEAST, FEW = 0.5e9, 10e9  # bytes that are free: less is full, less is not much
FILES = 1_000_000
SLOW, SLOW_FILES = 30, 200  # MB/s; small files a second
BLOCK, BLOCKS, SMALL = 4 << 20, 8, 8 << 10  # bytes, their number, bytes
OTHER = "Give a folder on another disk: --data FOLDER, --out FOLDER (of make: DATA=, OUT=)"


def spaces(folders):
    """Findings about the room for folders, which may still have to be made."""
    return [space(folder, place) for folder, place in _places(folders).items()]


def speeds(folders):
    """Findings about how fast folders can be written: one for each disk that has room."""
    disks = {}
    for folder, place in _places(folders).items():
        if space(folder, place).level != "error":
            disks.setdefault(place.stat().st_dev, place)
    return [speed(place) for place in disks.values()]


def _places(folders):
    """{folder: what there is of its path}."""
    absolute = dict.fromkeys(Path(folder).absolute() for folder in folders)
    return {folder: existing(folder) for folder in absolute}


def space(folder, place):
    """Finding about the room for a folder; `place`: what there is of its path."""
    free, files = room(place)
    text = f"{free / 1e9:,.1f} GB free in {folder}"
    if free < LEAST:
        return error("disk", f"{text}: it is full", OTHER)
    if not place.is_dir():
        return error("disk", f"{place} is no folder", OTHER)
    if not os.access(place, os.W_OK | os.X_OK):
        return error("disk", f"{place} may not be written by this user", OTHER)
    if free < FEW:
        mend = "vidrec extract-flow --dry-run --videos VIDEOS --data DATA"
        return warning("disk", f"{text}. What your videos would take says", mend)
    if files is not None and files < FILES:
        mend = "vidrec pack --data DATA --out PACK   (puts a store into a few large files)"
        return warning("disk", f"{text}, but only {files:,} more files find room", mend)
    return ok("disk", text)


def room(place):
    """Bytes that are free, and the number of files that may still be made, None for no limit."""
    files = None
    if hasattr(os, "statvfs"):
        state = os.statvfs(place)
        files = state.f_favail if state.f_files else None
    return shutil.disk_usage(place).free, files


def speed(place):
    """Finding about how fast a folder can be written."""
    try:
        rate, files = large_file(place), small_files(place)
    except OSError as problem:
        return error("write speed", f"{place} cannot be written: {one_line(problem)}", OTHER)
    text = f"{rate:,.0f} MB/s, {files:,.0f} small files/s in {place}"
    if rate >= SLOW and files >= SLOW_FILES:
        return ok("write speed", text)
    mend = (
        "Extract onto a disk of this machine, no network folder and no Google Drive; then copy a "
        "pack:  vidrec pack --data DATA --out PACK"
    )
    return warning("write speed", f"{text}: extraction will wait for it", mend)


def large_file(place, *, seconds=1.0):
    """MB/s that reach the disk: the median of up to 8 blocks, in about `seconds` s."""
    block, times = os.urandom(BLOCK), []
    with tempfile.TemporaryFile(dir=place) as file:
        while len(times) < BLOCKS and sum(times) < seconds:
            began = time.perf_counter()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return BLOCK / 1e6 / statistics.median(times)


def small_files(place, *, seconds=0.3):
    """Files of 8 kB, as images are, that are written in a second: a median, in `seconds` s."""
    data, times = os.urandom(SMALL), []
    folder = tempfile.mkdtemp(prefix=".vidrec-doctor-", dir=place)
    try:
        while sum(times) < seconds and len(times) < 1000:
            began = time.perf_counter()
            Path(folder, f"{len(times)}").write_bytes(data)
            times.append(time.perf_counter() - began)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    return 1 / statistics.median(times)
