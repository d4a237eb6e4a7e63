"""What official list files say: which videos, on which side of the split, in which line.

A listing is a pandas DataFrame of strings, one row per line that names a video:

    key       what the video is matched by, see `Dataset.key`
    video_id  "<class>/<name>" with the class as the class list spells it
    label     class name
    group     as in the video table
    side      "train", "test", "validation", or "" for a video that the split leaves out
    line      where it stands, such as "/lists/testlist01.txt line 7"
"""

import dataclasses
from pathlib import Path

import pandas as pd

from vidrec.files import check_name

COLUMNS = ("key", "video_id", "label", "group", "side", "line")
SIDES = ("train", "test", "validation")


@dataclasses.dataclass(frozen=True)
class Line:
    """A line that is not blank: path of its file, number from 1, text without blanks around it."""

    path: Path
    number: int
    text: str

    def __str__(self):
        return f"{self.path} line {self.number}"


@dataclasses.dataclass
class Listing:
    """What the lists of one split say, and what is wrong with single lines of them.

    Attributes:
        videos: DataFrame, see above.
        classes: list of str in the official order.
        problems: list of str, one for each line that says no video.
        aliases: dict from other keys, that files may be called by, to keys.
    """

    videos: pd.DataFrame
    classes: list
    problems: list
    aliases: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, records, classes, problems, key):
        """From records (video_id, label, group, side, line); a bad name becomes a problem.

        `key`: function of a video_id, see `Dataset.key`.
        """
        kept, problems = [], list(problems)
        for video_id, *rest in records:
            try:
                check(rest[-1], video_id)
                kept.append((key(video_id), video_id, *rest))
            except ValueError as error:
                problems.append(str(error))
        return cls(pd.DataFrame(kept, columns=list(COLUMNS), dtype=str), classes, problems)

    def key(self, video_id, key):
        """The key of a video_id, by `Dataset.key`; an alias is what it stands for."""
        name = key(video_id)
        return self.aliases.get(name, name)

    def keys(self, video_ids, key):
        """Those of a Series of video_ids."""
        return video_ids.map(lambda video_id: self.key(video_id, key))


def check(line, name):
    """Raises ValueError, with the line, if `vidrec.files.check_name` refuses a name."""
    try:
        check_name(name)
    except ValueError as error:
        raise ValueError(f"{line}: {error}") from error


def lines(path):
    """The lines of a list file that are not blank, as a list of Line; any line ends.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise FileNotFoundError(
            f"The official lists must hold {path.name}. Received: no file {path}"
        )
    # universal line ends; a byte that is no UTF-8 becomes a mark, and its line a problem later
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    numbered = enumerate(text.split("\n"), start=1)
    return [Line(path, number, line.strip()) for number, line in numbered if line.strip()]


def locate(folder, marker, *, what, beside=True, accept=Path.is_file):
    """The folder that holds list files: `folder`, one up to two levels below it, or one beside it.

    Args:
        folder: str or Path, of the lists or of the videos.
        marker: glob pattern of a file that tells the folder, such as "classInd.txt".
        what: str for the message: which lists, and where they are published.
        beside: bool, whether to look in the folders beside `folder`, too.
        accept: function of a Path, whether a file that matches is one.

    Raises:
        FileNotFoundError: if none holds the marker, or `folder` is None.
        NotADirectoryError: if `folder` is no folder.
        ValueError: if several hold the marker.
    """
    elsewhere = "--lists, or `lists` of the experiment's `data`, says where they are."
    if folder is None:
        raise FileNotFoundError(f"{what} must be there: {elsewhere} Received: no folder")
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise NotADirectoryError(f"{what} must lie in a folder. Received: no folder {folder}")
    places = [(folder, ""), (folder, "*/"), (folder, "*/*/")]
    places += [(folder.parent, "*/")] if beside else []
    for start, pattern in places:
        found = sorted({path.parent for path in start.glob(pattern + marker) if accept(path)})
        if len(found) > 1:
            names = [str(path) for path in found]
            raise ValueError(
                f"There must be one folder of lists in or beside {folder}. Received: {names}. "
                + elsewhere
            )
        if found:
            return found[0]
    around = f"{folder} or beside it" if beside else f"{folder}"
    file = "file of them" if "*" in marker else marker
    raise FileNotFoundError(f"{what} must lie in {around}; {elsewhere} Received: no {file} there")
