"""One interface of all data sets: their videos, classes and splits."""

import contextlib
import logging

import pandas as pd

from vidrec.datasets import gate, splits
from vidrec.datasets.listing import Listing
from vidrec.datasets.table import as_table, check_table, video_files

_log = logging.getLogger(__name__)


class Dataset:
    """A data set. Each of the others in this room says what is special about one.

    Attributes:
        name: str, as experiments and the command line call it.
        facts: Facts, or None for what is not published.
        official: dict from the names of its official splits to the official number of videos by
            side, or None where that is not fixed.
        folds: its official cross-validation, "leave-one-group-out" or "leave-one-out", or "".
        official_groups: bool, whether its official splits keep groups whole.
        example: str, what its video files are called, for messages.
        class_names: sequence of str in the official order; () if only the lists tell them.
        sizes: dict from class to number of videos, for a data set without list files.
    """

    name, facts, official, folds, official_groups = "", None, {}, "", True
    example, class_names, sizes = "", (), {}

    def identify(self, path):
        """(label, name, group) of a video file by its path alone, or None if it is not one."""
        raise LookupError(f"{self.name} does not tell its videos by their paths")

    def locate(self, folder):
        """The folder of the official list files, in or near `folder`; see `listing.locate`."""
        raise FileNotFoundError(f"{self.name} has no list files")

    def class_list(self, lists):
        """Class names (list of str) in the official order, from the list files in `lists`."""
        raise FileNotFoundError(f"{self.name} has no list files")

    def listing(self, name, lists):
        """The Listing of the official split `name`, from the list files in `lists`."""
        raise FileNotFoundError(f"{self.name} has no list files")

    def key(self, video_id):
        """What of a video_id is compared with the lists: neither the class nor the case."""
        return video_id.rsplit("/", 1)[-1].casefold()

    def aliases(self, videos):
        """Of the `videos` of a Listing, what else their files may be called: dict to their keys."""
        return {}

    def videos(self, root, *, lists=None):
        """The video table of the files below `root`, in class folders or not, at any depth.

        Args:
            root: str or Path.
            lists: folder in or near which the official lists are, or None for `root`. Data sets
                whose files tell the class do not read them.

        Raises:
            FileNotFoundError: if `root` is no folder, or holds no video.
            ValueError: if a video file is not one of this data set, or there twice.
        """
        return self._table(root, video_files(root), self.identify)

    def _table(self, root, files, identify):
        """The video table of files, by a function as `identify`."""
        records, strange = [], []
        for path in files:
            found = identify(path)
            if found is None:
                strange.append(str(path))
            else:
                label, name, group = found
                records.append((f"{label}/{name}", str(path), label, group))
        if strange:
            raise ValueError(
                f"Every video of {self.name} must be called {self.example}. Received: "
                f"{len(strange)} of {len(strange) + len(records)} that are not, the first: "
                f"{strange[:5]}. Move them out of {root}."
            )
        return as_table(records)

    def classes(self, *, lists=None, table=None):
        """Class names (list of str) in the official order. A class's index is its position, from 0.

        Args:
            lists: folder in or near which the official lists are, or None.
            table: video table whose classes are taken if there are no lists.
        """
        if self.class_names:
            return list(self.class_names)
        folder = self._lists_or_none(lists)
        if folder is not None:
            return self.class_list(folder)
        check_table(table)
        return sorted(set(table.label), key=lambda name: (name.casefold(), name))

    def splits(self, root, name, *, lists=None, **options):
        """Split `name` of the videos below `root`; see `split`."""
        lists = lists or root
        return self.split(self.videos(root, lists=lists), name, lists=lists, **options)

    def split(self, table, name, *, lists=None, allow_missing=False, **options):
        """A split of a video table.

        Args:
            table: video table, or the index with its columns.
            name: one of `official`, or what `vidrec.datasets.splits.cut` makes.
            lists: folder in or near which the official lists are.
            allow_missing: bool, go on with the part of a published data set that is there.
            **options: of `splits.cut`.

        Returns:
            Split.

        Raises:
            FileNotFoundError: if lists, or videos of a published data set, are missing.
            SplitError: if the lists are not the official ones.
            ValueError: if there is no such split, or the table cannot be cut so.
        """
        if name not in self.official:
            if name.startswith("official"):
                raise ValueError(
                    f"The official splits of {self.name} are called "
                    f"{', '.join(self.official) or f'{self.folds}-1 and so on'}. Received: {name!r}"
                )
            missing, names, expected = self._missing(table, lists)
            gate.refuse_missing(missing, names, expected, allow_missing)
            if missing and name.startswith("leave-one"):
                raise ValueError(
                    "A fold's number counts the groups or videos of the whole data set. Received: "
                    f"{name!r}, and {missing:,} videos are missing. Name the group that is left "
                    "out: split `groups`, with `test_groups`."
                )
            split = splits.cut(table, name, **options)
            return split._replace(missing=missing, missing_names=names, expected=expected)
        listing = self.checked(name, lists)
        split = gate.select(table, listing, self.key, allow_missing=allow_missing)
        if split.found < len(table):
            left = len(table) - split.found
            _log.warning("%d of %d videos are not in %s and left out", left, len(table), name)
        return split

    def checked(self, name, lists):
        """The Listing of an official split, through the gate.

        Raises:
            SplitError: naming everything that is wrong, with the lines.
        """
        listing = self.listing(name, self.locate(lists))
        found = gate.problems(listing, sizes=self.official[name], groups=self.official_groups)
        wanted = list(self.class_names)
        if self.facts and len(listing.classes) != self.facts.classes:
            count = f"{self.facts.classes} classes. Received: {len(listing.classes)}"
            found.insert(0, f"{self.facts.title} must have {count}")
        elif wanted and listing.classes != wanted:
            pairs = enumerate(zip(wanted, listing.classes, strict=True), start=1)
            number, (name_there, other) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
            found.insert(
                0,
                f"classes must be in the official order, with {name_there} as number {number}. "
                f"Received: {other}",
            )
        if found:
            raise gate.SplitError(f"The lists of {self.name} {name} cannot be used", found)
        return listing

    def listed(self, lists):
        """The Listing of all that the official lists name, each video once; None without lists.

        Of the official splits, those whose lists are there.
        """
        folder, parts = self._lists_or_none(lists), []
        for name in self.official if folder is not None else ():
            with contextlib.suppress(FileNotFoundError):
                parts.append(self.listing(name, folder))
        if not parts:
            return None
        videos = pd.concat([part.videos for part in parts])
        videos = videos.drop_duplicates("key", ignore_index=True)
        problems = sum((part.problems for part in parts), [])
        return Listing(videos, parts[0].classes, problems, self.aliases(videos))

    def lacking(self, table):
        """How many videos of which class a table lacks, where `sizes` tells: dict."""
        there = table.label.value_counts()
        lack = {name: int(size - there.get(name, 0)) for name, size in self.sizes.items()}
        return {name: count for name, count in lack.items() if count > 0}

    def _lists_or_none(self, folder):
        try:
            return None if folder is None else self.locate(folder)
        except FileNotFoundError:
            return None

    def _missing(self, table, lists):
        """(count, names, expected) of what a table lacks of the data set, see `gate.Split`."""
        listing = self.listed(lists)
        if listing is not None:
            there = set(listing.keys(table.video_id, self.key))
            names = tuple(listing.videos.video_id[~listing.videos.key.isin(there)])
            return len(names), names, len(listing.videos)
        if self.sizes:
            lack = self.lacking(table)
            names = tuple(f"{count} of {name}" for name, count in lack.items())
            return sum(lack.values()), names, sum(self.sizes.values())
        expected = self.facts and self.facts.videos
        return max((expected or 0) - len(table), 0), (), expected
