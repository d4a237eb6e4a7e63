"""A data set of one's own: one folder per class, <root>/<class>/<video file>.

Groups, by which a split keeps what belongs together on one side, come from file names ("_gXX_", or
a regular expression of one's own) or from a column of a csv file.
"""

import dataclasses
import re

from vidrec.datasets import listing, ucf101
from vidrec.datasets.dataset import Dataset
from vidrec.datasets.table import (
    VIDEO_SUFFIXES,
    as_table,
    check_text,
    read_csv,
    real_folder,
    visible,
)

LISTS = "classInd.txt"  # what tells a folder of lists, in UCF101's format, from a class


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    r"""Where the groups of a folder's videos come from: `pattern`, or `csv`, or file names.

    Attributes:
        pattern: str or None, regular expression that is searched in "<class>/<file name>"; its
            first bracket, or what it matches, is the group: "s(\d+)e", "cam[AB]".
        csv: str or None, a csv file, relative to the root.
        video: str, its column with "<class>/<file>", or with the file's name where those differ in
            all classes.
        group: str, its column with the group.
    """

    pattern: str | None = None
    csv: str | None = None
    video: str = "video"
    group: str = "group"


class Folder(Dataset):
    """Split "listed-1" is that of trainlist01.txt and testlist01.txt in UCF101's format."""

    name = "folder"
    official = {f"listed-{number}": None for number in range(1, 100)}

    def key(self, video_id):
        return video_id.casefold()

    def locate(self, folder):
        what = f"Lists in the format of UCF101 ({LISTS}, trainlist01.txt, testlist01.txt)"
        return listing.locate(folder, LISTS, what=what, beside=False)

    def class_list(self, lists):
        return ucf101.read_classes(lists)

    def listing(self, name, lists):
        number, classes = int(name.split("-")[-1]), self.class_list(lists)
        return ucf101.read_lists(lists, number, classes, self.key)

    def listed(self, lists):
        return None  # what a split leaves out is left out on purpose

    def classes(self, *, lists=None, table=None):
        """The class folders in alphabetical order, or as classInd.txt numbers them."""
        folder = self._lists_or_none(lists)
        return sorted(set(table.label)) if folder is None else self.class_list(folder)

    def videos(self, root, *, lists=None, groups=None):
        """The video table of a folder with one sub-folder per class.

        Hidden files and folders are ignored, and so are folders of lists and files that are no
        videos. Nothing that looks like a video is: one outside the two levels <class>/<file> is an
        error.

        Args:
            root: str or Path.
            lists: not used.
            groups: Groups, or None for the "gXX" of names that hold "_gXX_", as UCF101's do.

        Returns:
            Video table. `group` is "" where a name tells none.

        Raises:
            FileNotFoundError: if `root` is no folder, a link below it is broken, or the csv file of
                `groups` is missing.
            ValueError: if there is no class folder, a class folder holds no video, a video lies at
                another depth, two videos share class and stem, a name is no plain text, a link
                leads out of `root`, or `groups` leaves a video without a group.
        """
        folder = real_folder(root)
        entries = visible(folder, folder)
        stray = [str(entry.path) for entry in entries if entry.is_video]
        class_folders = [
            entry.path
            for entry in entries
            if entry.is_folder and not (entry.path / LISTS).is_file()
        ]
        if not class_folders:
            raise ValueError(
                f"`root` must hold one sub-folder per class. Received: no sub-folder in {folder}"
            )
        files, empty = [], []
        for class_folder in class_folders:
            found = 0
            for entry in visible(class_folder, folder):
                if entry.is_folder:
                    inside = sorted(entry.path.rglob("*"))
                    stray += [str(p) for p in inside if p.suffix.lower() in VIDEO_SUFFIXES]
                elif entry.is_video:
                    check_text(entry.path)
                    files.append((class_folder.name, entry.path))
                    found += 1
            if not found:
                empty.append(class_folder.name)
        if stray:  # before the empty folders: a nested layout is both, and this says why
            raise ValueError(
                "videos must lie at `root`/<class>/<file>. "
                f"Received: {len(stray)} at another depth, the first: {stray[:5]}"
            )
        if empty:
            raise ValueError(
                f"every class folder must hold a video file ({', '.join(VIDEO_SUFFIXES)}). "
                f"Received: no video file in {empty} of {folder}. Move out what is no class."
            )
        group_of = _grouping(folder, groups or Groups())
        return as_table(
            (f"{label}/{path.stem}", str(path), label, group_of(label, path))
            for label, path in files
        )


def _grouping(root, groups):
    """Function of label and path to the group."""
    if groups.pattern is not None and groups.csv is not None:
        raise ValueError("`groups` must have `pattern` or `csv`. Received: both")
    if groups.pattern is not None:
        return _by_pattern(groups.pattern)
    if groups.csv is not None:
        return _by_csv(root / groups.csv, groups)
    return lambda label, path: ucf101.group_of(path.stem)


def _by_pattern(pattern):
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`groups.pattern` must be a regular expression. Received: {pattern!r}: {error}"
        ) from error

    def group(label, path):
        match = expression.search(f"{label}/{path.name}")
        found = match and (match[1] if expression.groups else match[0])
        if not found:
            raise ValueError(
                f"`groups.pattern` must find a group in the name of every video. "
                f"Received: {pattern!r}, none in {label}/{path.name}"
            )
        return found

    return group


def _by_csv(file, groups):
    if not file.is_file():
        raise FileNotFoundError(f"`groups.csv` must be a file below the root. Received: {file}")
    table = read_csv(file)
    lacking = [name for name in (groups.video, groups.group) if name not in table]
    if lacking:
        raise ValueError(
            f"{file} must have the columns {groups.video!r} and {groups.group!r} of `groups`. "
            f"Received: {list(table)}"
        )
    known = {}
    pairs = zip(table[groups.video].str.strip(), table[groups.group].str.strip(), strict=True)
    for number, (name, group) in enumerate(pairs, start=2):
        name = name.replace("\\", "/")
        if not name or not group or known.setdefault(name, group) != group:
            raise ValueError(
                f"{file} line {number} must give a video its one group. Received: "
                f"{groups.video}={name!r}, {groups.group}={group!r}"
            )

    def group(label, path):
        names = (f"{label}/{path.name}", f"{label}/{path.stem}", path.name, path.stem)
        found = next((known[name] for name in names if name in known), None)
        if found is None:
            raise ValueError(
                f"{file} must have a line for every video. Received: none for {label}/{path.name}"
            )
        return found

    return group
