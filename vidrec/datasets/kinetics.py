"""Kinetics: ten-second clips of YouTube videos, listed by csv files, never whole.

A csv has the columns label, youtube_id, time_start, time_end and, as a rule, split; that of
Kinetics-400 also is_cc, and quotes labels. Clips are called <id>_<start>_<end>.mp4, seconds in six
digits, or <id>.mp4; they lie in class folders, whose names may have other signs for blanks and
brackets, or flat. Part of the videos is gone from YouTube, another part on each day.

Published counts (Kay et al. 2017, Carreira et al. 2018) differ between versions of the csv files,
so that the gate has no sizes to hold them to.
"""

import logging
import re

import pandas as pd

from vidrec.datasets import listing
from vidrec.datasets.dataset import Dataset
from vidrec.datasets.facts import Download, Facts
from vidrec.datasets.table import read_csv, real_folder, video_files

SIDES = {  # words of the column `split`, or of a file's name -> side of the split
    "train": "train",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
}
COLUMNS = ("label", "youtube_id", "time_start", "time_end")
FILES = "*.[ct][sx][vt]"  # .csv, or .txt as those of Kinetics-600 are called

_NAME = re.compile(r"(?P<id>[\w-]{11})(?:_(?P<start>\d{1,6})_(?P<end>\d{1,6}))?", re.ASCII)
_log = logging.getLogger(__name__)


def facts_of(number, *, reference, suffix):
    """The Facts of the Kinetics with `number` classes, of its paper and the suffix of its lists."""
    address = f"https://s3.amazonaws.com/kinetics/{number}/annotations/"
    files = [f"{side}{suffix}" for side in ("train", "val", "test")]
    return Facts(
        title=f"Kinetics-{number}",
        reference=reference,
        page="https://github.com/cvdfoundation/kinetics-dataset",
        licence="Lists: Creative Commons Attribution 4.0. The clips belong to those who made them.",
        classes=number,
        videos=None,
        downloads=tuple(
            Download(file=file, url=f"{address}{file}", into="annotations") for file in files
        ),
        max_bytes=2 << 40,
    )


class Kinetics(Dataset):
    """Kinetics-400 and -600 differ in `name`, `facts` and `number`, of their classes.

    official is scored on the validation videos, as the papers do; official-test trains on the same
    videos, looks at the validation videos meanwhile, and is scored on the test videos.
    """

    number = 0
    official = {"official": None, "official-test": None}
    official_groups = False  # nobody promises that of two clips of one video both are on one side
    example = "<id>_<start>_<end>.mp4 or <id>.mp4"

    def key(self, video_id):
        return video_id.rsplit("/", 1)[-1]  # YouTube's ids differ in case

    def locate(self, folder):
        what = f"The csv files of {self.facts.title} (from {self.facts.page})"
        return listing.locate(folder, FILES, what=what, accept=self._is_ours)

    def aliases(self, videos):
        """<id> alone, where that video has one clip."""
        counts = videos.group.value_counts()
        alone = videos[videos.group.map(counts) == 1]
        return dict(zip(alone.group, alone.key, strict=True))

    def class_list(self, lists):
        """From a text file of `number` labels, if there is one, or from all csv files.

        Raises:
            ValueError: if the csv files name another number of classes.
        """
        return self._names(lists, self._clips(lists))

    def _names(self, lists, clips):
        """The classes of `class_list`, with `clips`, the csv files as `_clips` reads them."""
        for path in sorted(lists.glob("*.txt")):
            names = [line.text for line in listing.lines(path)]
            if len(names) == self.number and "abseiling" in names:
                return names
        names = sorted(set(clips.label) - {""}, key=str.casefold)
        if len(names) != self.number:
            raise ValueError(
                f"The csv files in {lists} must name {self.number} classes, or a text file there. "
                f"Received: {len(names)} classes. Are they those of another Kinetics?"
            )
        return names

    def listing(self, name, lists):
        clips = self._clips(lists)
        classes = self._names(lists, clips)
        known, problems, records = set(classes), [], []
        wanted = {"train": "train", "validation": "test"}
        if name == "official-test":
            wanted = {"train": "train", "validation": "validation", "test": "test"}
            if "test" not in set(clips.side):
                raise FileNotFoundError(
                    f"{lists} must hold a csv file of the test clips. Received: none"
                )
        for clip in clips.itertuples():
            side = wanted.get(clip.side, "")
            if clip.label not in known:
                if side:  # the labels of the test clips were long withheld
                    problems.append(f"{clip.line} must have a label. Received: {clip.label!r}")
                continue
            video_id = f"{clip.label}/{clip.name}"
            records.append((video_id, clip.label, clip.youtube_id, side, clip.line))
        found = listing.Listing.of(records, classes, problems, self.key)
        found.aliases = self.aliases(found.videos)
        return found

    def videos(self, root, *, lists=None):
        """The video table of the clips below `root`, named and labelled as the csv files say.

        Without csv files the class folders give the labels. Clips that the csv files do not list
        keep the label of their class folder; without one, they are counted, shown and left out.

        Raises:
            FileNotFoundError: if `root` is no folder, or holds no clip.
            ValueError: if a video file is no clip, a clip is there twice, <id>.mp4 could be several
                clips, or there are neither csv files nor class folders.
        """
        files, root = video_files(root), real_folder(root)
        folder = self._lists_or_none(lists or root)
        clips, classes = pd.DataFrame(columns=["name", "youtube_id", "label"]), ()
        if folder is not None:
            clips = self._clips(folder)
            classes = self._names(folder, clips)
        labels = dict(zip(clips.name, clips.label, strict=True))
        plain = {_plain(name): name for name in classes}
        clips_of = {}
        for youtube_id, name in zip(clips.youtube_id, clips.name, strict=True):
            clips_of.setdefault(youtube_id, set()).add(name)
        unknown = []

        def identify(path):
            match = _NAME.fullmatch(path.stem)
            if not match:
                return None
            name = _clip(match["id"], match["start"], match["end"]) if match["start"] else None
            if name is None:
                name, *others = sorted(clips_of.get(match["id"], [match["id"]]))
                if others:
                    raise ValueError(
                        f"{path} must say by its name which clip of that video it is: "
                        f"{match['id']}_<start>_<end>. Received: {len(others) + 1} clips in the "
                        f"csv files, {[name, *others]}"
                    )
            inside = "" if path.parent == root else path.parent.name
            by_folder = plain.get(_plain(inside), "") if classes else inside
            label = labels.get(name) or ("" if inside.casefold() in SIDES else by_folder)
            if not label:
                unknown.append(str(path))
            return label, name, match["id"]

        table = self._table(root, files, identify)
        if folder is None and (unknown or table.label.nunique() < 2):
            raise ValueError(
                f"Clips of {self.name} must lie in class folders, or be listed by csv files in or "
                f"beside {root}, or where --lists says. Received: {len(files)} clips in "
                f"{table.label.nunique() - bool(unknown)} class folders"
            )
        if unknown:
            _log.warning(
                "%d of %d clips have neither a line in a csv file nor a class folder, and are left "
                "out; the first: %s",
                len(unknown),
                len(files),
                unknown[:5],
            )
        return table[table.label != ""].reset_index(drop=True)

    def _clips(self, lists):
        """All csv files of this Kinetics as one table: label, youtube_id, name, side, line."""
        parts = [_read(path) for path in sorted(lists.glob(FILES)) if self._is_ours(path)]
        return pd.concat(parts, ignore_index=True)

    def _is_ours(self, path):
        names = (path.name, path.parent.name, path.parent.parent.name)  # the nearest decides
        numbers = next(filter(None, (set(re.findall("400|600|700", name)) for name in names)), ())
        if numbers and str(self.number) not in numbers:
            return False
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return "youtube_id" in file.readline().casefold()


def _read(path):
    """The clips of a csv file."""
    table = read_csv(path)
    table = table.rename(columns=lambda name: name.strip().casefold())
    lacking = set(COLUMNS[1:]) - set(table.columns)
    if lacking:
        raise ValueError(
            f"{path} must have the columns {', '.join(COLUMNS)}. Received: no {sorted(lacking)}"
        )
    lines = [f"{path} line {number}" for number in range(2, len(table) + 2)]
    stem = re.search(r"train|val|test", path.stem.casefold())
    table = table.assign(**{name: "" for name in ("label", "split") if name not in table})
    sides = table.split.str.strip().str.casefold().replace("", stem[0] if stem else "")
    strange = table.split[~sides.isin(SIDES)]
    if len(strange):
        raise ValueError(
            f"{lines[strange.index[0]]} must be of split {', '.join(SIDES)}. "
            f"Received: {strange.iloc[0]!r}"
        )
    return pd.DataFrame(
        {
            "label": table.label.str.strip().str.strip('"'),
            "youtube_id": table.youtube_id,
            "name": _names(table, lines),
            "side": sides.map(SIDES),
            "line": lines,
        }
    )


def _names(table, lines):
    names = []
    for line, *clip in zip(lines, table.youtube_id, table.time_start, table.time_end, strict=True):
        try:
            names.append(_clip(*clip))
        except (ValueError, OverflowError) as error:  # of "x", of "inf"
            raise ValueError(
                f"{line} must give start and end in seconds. Received: {clip[1]!r}, {clip[2]!r}"
            ) from error
    return names


def _clip(youtube_id, start, end):
    """A clip's name: id, and start and end in whole seconds of six digits."""
    return f"{youtube_id}_{int(float(start)):06d}_{int(float(end)):06d}"


def _plain(name):
    """A label without the signs that class folders write in their own ways."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
