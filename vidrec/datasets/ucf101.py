"""UCF101: 13,320 videos of 101 classes in 25 groups each, with three official splits.

Soomro, Zamir and Shah 2012 (arXiv:1212.0402). The lists come as a folder `ucfTrainTestlist`:

    classInd.txt      "1 ApplyEyeMakeup"
    trainlist01.txt   "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
    testlist01.txt    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"

Lists, folders and files in circulation differ in line ends and in case: file names say
HandStandPushups where the class list says HandstandPushups. Names are matched without regard to
case, and extensions are not compared, so that re-encoded videos are found.
"""

import logging
import re
from pathlib import Path

import pandas as pd

from vidrec.datasets import folder
from vidrec.datasets.splits import check_split
from vidrec.files import check_name

SPLIT_SIZES = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}  # videos (train, test)

_CLASS = re.compile(r"(\d+)\s+(\S.*)")
_VIDEO = re.compile(r"([^/\\]+)/([^/\\]+_g\d{2}_[^/\\]*)\.\w+(?:\s+(\d+))?", re.IGNORECASE)
_log = logging.getLogger(__name__)


def videos(root):
    """The video table of `root`, <class>/<file>, or of the folder UCF-101 that the archive makes.

    The lists may lie in `root` too, as `ucfTrainTestlist`.

    Raises:
        FileNotFoundError, ValueError: as `vidrec.datasets.folder.videos`.
    """
    inner = Path(root) / "UCF-101"
    # a link is left to `folder.videos`, which refuses one that leads out of `root`
    own = inner.is_dir() and not inner.is_symlink()
    return folder.videos(inner if own else root, ignore=("ucfTrainTestlist",))


def classes(lists_dir):
    """Class names (list of str) in the official order. A class's index is its position, from 0.

    Raises:
        FileNotFoundError: if classInd.txt is missing.
        ValueError: if a line is malformed or repeats, a name is one that `check_name` refuses, or
            the numbers are not 1 to N.
    """
    path = Path(lists_dir).absolute() / "classInd.txt"
    names = {}
    for number, line in _lines(path):
        match = _CLASS.fullmatch(line)
        if not match:
            raise ValueError(f"{path} line {number} must be `<index> <class>`. Received: {line!r}")
        index, name = int(match[1]), match[2]
        if index in names or name.casefold() in map(str.casefold, names.values()):
            raise ValueError(
                f"{path} line {number} must not repeat an index or a class. Received: {line!r}"
            )
        _check_name(path, number, name)
        names[index] = name
    if not names or sorted(names) != list(range(1, len(names) + 1)):
        raise ValueError(
            f"{path} must number its classes 1 to N without a gap. Received: {sorted(names)}"
        )
    return [names[index] for index in sorted(names)]


def split(table, lists_dir, number, *, allow_missing=False, check_sizes=True):
    """The official split `number`, as (train, test) of the rows of `table`.

    The lists are checked as a whole, before it is asked which videos are there.

    Args:
        table: video table. Rows that the lists do not name are left out, with a logged count.
        lists_dir: folder with classInd.txt, trainlist0N.txt and testlist0N.txt.
        number: int, 1 to 3.
        allow_missing: bool. True returns what is there of the listed videos and logs how many are
            not; a side, not both, may then be empty.
        check_sizes: bool. False accepts lists of other lengths than `SPLIT_SIZES`, as other data
            sets in this format have them.

    Returns:
        Tuple (train, test) of video tables. `video_id` stays as it is in `table`; `label` is the
        class list's spelling.

    Raises:
        FileNotFoundError: if a list is missing, or listed videos are not in `table`.
        ValueError: if `number` or `table` is none, a line is malformed, names an unknown class or
            a name that `vidrec.files.check_name` refuses, a video or group is on both sides, a
            video is listed twice, or a list has another size.
    """
    if not isinstance(number, int) or number not in SPLIT_SIZES:
        raise ValueError(f"`number` must be 1, 2 or 3. Received: number={number!r}")
    names = classes(lists_dir)
    lists_dir = Path(lists_dir).absolute()
    paths = [lists_dir / f"{side}list{number:02d}.txt" for side in ("train", "test")]
    lists = [_read_list(path, names) for path in paths]
    for path, listed, size in zip(paths, lists, SPLIT_SIZES[number], strict=True):
        if check_sizes and len(listed) != size:
            raise ValueError(
                f"{path} must list {size} videos; check_sizes=False accepts lists that are not "
                f"UCF101's own. Received: {len(listed)} videos"
            )
    try:
        check_split(*lists)
    except ValueError as error:
        raise ValueError(f"{paths[0]} and {paths[1]}: {error}") from error
    return _select(table, lists, allow_missing)


def _lines(path):
    """(line number from 1, text) of the lines that are not blank, stripped."""
    if not path.is_file():
        raise FileNotFoundError(f"`lists_dir` must hold {path.name}. Received: no file {path}")
    # universal line ends; a byte that is no UTF-8 becomes a mark, and its line an error below
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.strip()) for number, line in numbered if line.strip()]


def _read_list(path, names):
    """One list as a table: video_id is the key to match on, path is as written, label is ours."""
    official = {name.casefold(): index for index, name in enumerate(names)}
    records, seen = [], set()
    for number, line in _lines(path):
        match = _VIDEO.fullmatch(line)
        if not match:
            raise ValueError(
                f"{path} line {number} must be `<class>/<name>_gXX_<name>.<extension>`, with or "
                f"without the class's index behind it. Received: {line!r}"
            )
        label, stem, index = match.groups()
        position = official.get(label.casefold())
        if position is None:
            raise ValueError(
                f"{path} line {number} must name a class of classInd.txt. Received: {label!r}"
            )
        if index is not None and int(index) != position + 1:
            raise ValueError(
                f"{path} line {number} must give {label} the index {position + 1} of classInd.txt. "
                f"Received: {line!r}"
            )
        _check_name(path, number, f"{label}/{stem}")
        key = f"{label}/{stem}".casefold()
        if key in seen:
            raise ValueError(f"{path} line {number} must not repeat a video. Received: {line!r}")
        seen.add(key)
        records.append((key, f"{label}/{stem}", names[position], folder.group_of(stem)))
    return pd.DataFrame(records, columns=list(folder.COLUMNS), dtype=str)


def _check_name(path, number, name):
    try:
        check_name(name)
    except ValueError as error:
        raise ValueError(f"{path} line {number}: {error}") from error


def _select(table, lists, allow_missing):
    """The rows of `table` that each list names, labelled as the list labels them."""
    folder.check_table(table)
    keys = table["video_id"].str.casefold()
    twins = sorted(table["video_id"][keys.duplicated(keep=False)], key=str.casefold)
    if twins:
        raise ValueError(f"`table` must not hold ids that differ in case only. Received: {twins}")
    listed = pd.concat(lists, ignore_index=True)
    absent = listed["path"][~listed["video_id"].isin(keys)]
    if len(absent) == len(listed) or (len(absent) and not allow_missing):
        raise FileNotFoundError(
            "`table` must hold every listed video; allow_missing=True returns the part that is "
            f"there, if there is any. Received: {len(absent)} of {len(listed)} missing, the first: "
            f"{list(absent[:5])}"
        )
    if len(absent):
        _log.warning("%d of %d listed videos are missing", len(absent), len(listed))
    unlisted = int((~keys.isin(listed["video_id"])).sum())
    if unlisted:
        _log.warning("%d of %d videos are in neither list and left out", unlisted, len(table))
    sides = []
    for side in lists:
        labels = keys.map(dict(zip(side["video_id"], side["label"], strict=True)))
        rows = table.assign(label=labels)[labels.notna()]
        sides.append(rows.astype({"label": str}).sort_values("video_id", ignore_index=True))
    return tuple(sides)
