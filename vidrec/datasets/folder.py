"""A data set that is one folder per class, <root>/<class>/<video file>, as a video table.

A video table is what every file of this room gives and takes: a pandas DataFrame of strings, sorted
by `video_id`, one row per video:

    video_id  "<class>/<stem>": forward slash, no extension, unique. The key of index and scores
    path      absolute path of the video file
    label     class name
    group     what videos cut from one source share, such as "g07"; "" when unknown
"""

import os
import re
import unicodedata
from pathlib import Path

import pandas as pd

COLUMNS = ("video_id", "path", "label", "group")
VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg")

_GROUP = re.compile(r"_(g\d{2})(?=_)", re.IGNORECASE)


def videos(root, *, ignore=()):
    """The video table of a folder with one sub-folder per class.

    Hidden files and folders are ignored, and so are files that are no videos. Nothing that looks
    like a video is: one outside the two levels <class>/<file> is an error.

    Args:
        root: str or Path.
        ignore: names of sub-folders of `root` that are no classes.

    Returns:
        Video table. `group` is the "gXX" of a name that holds "_gXX_", as UCF101's do, else "".

    Raises:
        FileNotFoundError: if `root` is no folder, or a link below it is broken.
        ValueError: if there is no class folder, a class folder holds no video, a video lies at
            another depth, two videos share class and stem, a name is no plain text, or a link leads
            out of `root`.
    """
    folder = Path(os.path.realpath(root))
    if not folder.is_dir():
        raise FileNotFoundError(f"`root` must be an existing folder. Received: root={str(root)!r}")
    ignore = set(ignore)  # of a string: its letters, so that no class goes by being a part of it
    entries = _visible(folder, folder)
    stray = [str(entry) for entry in entries if _is_video(entry)]
    class_folders = [entry for entry in entries if entry.is_dir() and entry.name not in ignore]
    if not class_folders:
        raise ValueError(
            f"`root` must hold one sub-folder per class. Received: no sub-folder in {folder}"
        )
    records, empty = [], []
    for class_folder in class_folders:
        label = class_folder.name
        found = []
        for entry in _visible(class_folder, folder):
            if entry.is_dir():
                stray += [str(path) for path in sorted(entry.rglob("*")) if _is_video(path)]
            elif _is_video(entry):
                _check_text(entry)
                found.append((f"{label}/{entry.stem}", str(entry), label, group_of(entry.stem)))
        records += found
        if not found:
            empty.append(label)
    if stray:  # before the empty folders: a nested layout is both, and this says why
        raise ValueError(
            "videos must lie at `root`/<class>/<file>. "
            f"Received: {len(stray)} at another depth, the first: {stray[:5]}"
        )
    if empty:
        raise ValueError(
            f"every class folder must hold a video file ({', '.join(VIDEO_SUFFIXES)}); `ignore` "
            "names sub-folders that are no classes. "
            f"Received: no video file in {empty} of {folder}"
        )
    return as_table(records)


def classes(table):
    """Sorted class names (list of str) of a video table. A class's index is its position."""
    return sorted(set(table["label"]))


def group_of(stem):
    """The group "gXX" in a file name such as "v_Archery_g02_c01", lower case; "" without one."""
    found = _GROUP.findall(stem)
    return found[-1].lower() if found else ""  # the last: it stands next to the clip number


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


def _is_video(path):
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _check_text(path):
    name = "/".join(path.parts[-2:])
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError(
            "names of classes and videos must be UTF-8 text without control characters: the index "
            f"and OpenCV take no others. Received: {str(path)!a}. Rename it."
        )


def _visible(folder, root):
    """Sorted entries of `folder` that are not hidden, each inside `root` (a real path)."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_symlink():
            target = Path(os.path.realpath(entry))
            if not target.is_relative_to(root):
                raise ValueError(
                    f"links below `root` must stay inside it. Received: {entry} -> {target}"
                )
            if not target.exists():
                raise FileNotFoundError(
                    f"links below `root` must lead to a file. Received: {entry} -> {target}"
                )
    return entries
