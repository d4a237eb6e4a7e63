"""The video table: what every file of this room gives and takes.

A pandas DataFrame of strings, sorted by `video_id`, one row per video:

    video_id  "<class>/<name>": forward slash, no extension, unique. The key of index and scores
    path      absolute path of the video file
    label     class name
    group     what videos cut from one source share, such as "g07"; "" when unknown
"""

import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pandas as pd

COLUMNS = ("video_id", "path", "label", "group")
VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg")


def as_table(records):
    """Records (video_id, path, label, group) in any order, as a video table.

    Raises:
        ValueError: if two records have the same video_id; the message names both files.
    """
    records = sorted(records)
    for (first, path, *_), (second, other_path, *_) in zip(records, records[1:], strict=False):
        if first == second:
            raise ValueError(
                "files of one class must differ in more than the extension, which `video_id` drops."
                f" Received: {path} and {other_path}"
            )
    return pd.DataFrame(records, columns=list(COLUMNS), dtype=str)


def check_table(table, *, name="table"):
    """Raises ValueError if `table`, called `name` in the message, is empty or no video table."""
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(
            f"`{name}` must have the columns {list(COLUMNS)}. Received: no column {missing}"
        )
    if not len(table):
        raise ValueError(f"`{name}` must hold at least one video. Received: 0 rows")
    blank = [column for column in COLUMNS if table[column].isna().any()]
    if blank:  # what pandas makes of "" in a CSV; groupby would drop such rows
        raise ValueError(
            f'`{name}` must hold strings only, "" for an unknown group. Received: NaN in {blank}'
        )
    twice = sorted(set(table["video_id"][table["video_id"].duplicated()]))
    if twice:
        raise ValueError(
            f"`{name}` must have unique video_ids. "
            f"Received: {len(twice)} repeated, the first: {twice[:5]}"
        )


def real_folder(root):
    """The folder behind `root` and all links, a Path.

    Raises:
        FileNotFoundError: if `root` is no folder.
    """
    folder = Path(os.path.realpath(root))
    if not folder.is_dir():
        raise FileNotFoundError(f"`root` must be an existing folder. Received: root={str(root)!r}")
    return folder


class Entry(NamedTuple):
    """What lies in a folder: its Path, and what it is, links followed."""

    path: Path
    is_folder: bool
    is_video: bool  # a file that by its suffix is a video


def visible(folder, root):
    """What is in `folder` and not hidden, as a list of Entry, sorted by name.

    Args:
        folder: Path.
        root: real path that links to folders and videos must not lead out of: a data set from
            elsewhere is not to point vidrec at other files of the machine.

    Raises:
        FileNotFoundError: if the link of a video leads nowhere.
        ValueError: if a link leads out of `root`.
    """
    entries = []
    with os.scandir(folder) as found:  # which knows what is a folder without asking the disk again
        for entry in sorted(found, key=lambda entry: entry.name):
            path = Path(folder, entry.name)
            named = path.suffix.lower() in VIDEO_SUFFIXES
            if entry.name.startswith("."):
                continue
            is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()
            if entry.is_symlink() and (is_folder or named):
                _check_link(path, root)
            entries.append(Entry(path, is_folder, named and not is_folder and entry.is_file()))
    return entries


def _check_link(path, root):
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root):
        raise ValueError(
            f"links below `root` must stay inside it. Received: {path} -> {target}. Give the real "
            "folder as the root, or copy what the link leads to."
        )
    if not target.exists():
        raise FileNotFoundError(
            f"links below `root` must lead to a file. Received: {path} -> {target}"
        )


def video_files(root):
    """Every visible video file below `root`, at any depth, as sorted Paths.

    A folder that several links lead to is gone through once.

    Raises:
        FileNotFoundError: if `root` is no folder, holds no video file, or a link leads nowhere.
        ValueError: if a link leads out of `root`, or a name is no plain text.
    """
    root = real_folder(root)
    found, folders, links, seen = [], [root], [], set()
    while folders or links:
        folder = (folders or links).pop()  # links last: what is a folder itself keeps its name
        if os.path.realpath(folder) in seen:
            continue
        seen.add(os.path.realpath(folder))
        for entry in visible(folder, root):
            if entry.is_folder:
                (links if entry.path.is_symlink() else folders).append(entry.path)
            elif entry.is_video:
                check_text(entry.path)
                found.append(entry.path)
    if not found:
        raise FileNotFoundError(
            f"`root` must hold video files ({', '.join(VIDEO_SUFFIXES)}). Received: none in {root}"
        )
    return sorted(found)


def read_csv(path):
    """A csv file as a DataFrame of str, "" where a field is empty.

    Raises:
        ValueError: if it is none, or not in UTF-8; the message names the file.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # pandas' own, and those of the encoding
        raise ValueError(
            f"{path} must be a csv file in UTF-8, with a line of column names. Received: {error}"
        ) from error


def check_text(path):
    """Raises ValueError if the name of a file or of its folder is no plain text."""
    name = "/".join(path.parts[-2:])
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError(
            "names of classes and videos must be UTF-8 text without control characters: the index "
            f"and OpenCV take no others. Received: {str(path)!a}. Rename it."
        )
