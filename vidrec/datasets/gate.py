"""The split gate: official lists are checked before anything is trained on them.

A list that lost a line, or names a video twice, or puts one source video on both sides, gives an
accuracy that compares with nobody's. `problems` finds everything that is wrong with them at once,
with the lines; `select` takes the listed videos; `check_split` looks at splits of any kind.
"""

import itertools
from typing import NamedTuple

import pandas as pd

from vidrec.datasets.listing import SIDES
from vidrec.datasets.table import check_table

SHOWN = 5  # examples of one kind of fault in a message


class SplitError(ValueError):
    """Lists that are not what they should be. `problems` is a list of str."""

    def __init__(self, title, problems):
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listing = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{title}: {count}\n{listing}")


class Split(NamedTuple):
    """Video tables of a split.

    Attributes:
        train, test: DataFrame, video tables sorted by video_id.
        validation: DataFrame, or None where the split has no such side.
        missing: int, how many videos the data set has and the table does not.
        missing_names: tuple of str, their ids, or where these are not known, how many of a class.
        expected: int, how many videos there should be; None where nobody can know.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    validation: pd.DataFrame | None = None
    missing: int = 0
    missing_names: tuple = ()
    expected: int | None = None

    @property
    def sides(self):
        """The tables by name, without a validation set that is not there."""
        given = zip(SIDES, (self.train, self.test, self.validation), strict=True)
        return {name: side for name, side in given if side is not None}

    @property
    def found(self):
        """Number (int) of videos on all sides."""
        return sum(map(len, self.sides.values()))


def problems(listing, *, sizes=None, groups=True):
    """Everything that is wrong with a listing, as a list of str; empty if it is what it should be.

    Args:
        listing: Listing.
        sizes: dict from side to the official number of videos, or None where there is none.
        groups: bool, whether clips of one source video must all be on one side.
    """
    videos, faulty = listing.videos, listing.problems
    found = _short(faulty[:SHOWN], "faulty lines", len(faulty))
    used = videos[videos.side != ""]
    for side, size in (sizes or {}).items():
        count = int((used.side == side).sum())
        if count != size:
            files = sorted({line.rsplit(" line ", 1)[0] for line in used.line[used.side == side]})
            where = files[0] if len(files) == 1 else f"{len(files)} files"
            found.append(f"{side} must list {size:,} videos. Received: {count:,}, in {where}")
    for side in ("train", "test"):
        if not (used.side == side).any():
            found.append(f"{side} must list videos. Received: none")
    twice = videos.key[videos.key.duplicated()].unique()
    lines = []
    for key in twice[:SHOWN]:
        rows = videos[videos.key == key]
        places = (f"{row.line} ({row.side or 'left out'})" for row in rows.itertuples())
        lines.append(
            f"{rows.video_id.iloc[0]} must stand on one line. Received: {', '.join(places)}"
        )
    found += _short(lines, "videos on several lines", len(twice))
    if groups:
        known = used[used.group != ""]
        sides = known.groupby(["label", "group"], sort=False).side.nunique()
        split, torn = sides.index[sides > 1], []
        for label, group in split[:SHOWN]:
            rows = known[(known.label == label) & (known.group == group)].drop_duplicates("side")
            where = ", ".join(f"{row.side} {row.line}" for row in rows.itertuples())
            torn.append(f"group {group} of {label} must be on one side. Received: {where}")
        found += _short(torn, "groups on several sides", len(split))
    listed = {side: set(used.label[used.side == side]) for side in SIDES}
    for side in ("test", "validation"):
        unseen = sorted(listed[side] - listed["train"])
        if unseen and listed["train"]:
            found.append(f"every class of {side} must be in train. Received: not so {unseen}")
    empty = sorted(set(listing.classes) - set(used.label))
    if empty:
        found.append(f"every class must have a video. Received: none of {empty[:SHOWN]}")
    return found


def select(table, listing, key, *, allow_missing=False):
    """The rows of a video table that a listing names.

    Args:
        table: video table, or the index with its columns.
        listing: Listing without problems.
        key: function of a video_id, see `Dataset.key`.
        allow_missing: bool, take the part that is there.

    Returns:
        Split. `label` is the class list's; `video_id` stays as it is in `table`.

    Raises:
        FileNotFoundError: if listed videos are missing, or all are with `allow_missing`.
        ValueError: if `table` is no video table, or two of its videos have the same key.
    """
    check_table(table)
    keys = listing.keys(table.video_id, key)
    twins = sorted(table.video_id[keys.duplicated(keep=False)], key=str.casefold)
    if twins:
        raise ValueError(
            f"`table` must hold each listed video once. Received: {twins[:SHOWN]} for the same"
        )
    used = listing.videos[listing.videos.side != ""]
    missing = tuple(used.video_id[~used.key.isin(keys)])
    refuse_missing(len(missing), missing, len(used), allow_missing)
    sides = {}
    for side in SIDES:
        rows = used[used.side == side]
        labels = keys.map(dict(zip(rows.key, rows.label, strict=True)))
        part = table.assign(label=labels)[labels.notna()]
        sides[side] = part.astype({"label": str}).sort_values("video_id", ignore_index=True)
    for side in ("train", "test"):
        if not len(sides[side]):
            raise FileNotFoundError(f"`table` must hold videos of {side}. Received: none of them")
    validation = sides["validation"] if (used.side == "validation").any() else None
    return Split(sides["train"], sides["test"], validation, len(missing), missing, len(used))


def refuse_missing(count, names, expected, allow_missing):
    """Refuses a data set of which videos are missing, unless that is allowed and some are there.

    Args:
        count: int, how many are missing.
        names: sequence of str, those that are known.
        expected: int, how many there should be, or None.

    Raises:
        FileNotFoundError: saying how many, and the first.
    """
    if count == expected or (count and not allow_missing):
        first = f", the first: {list(names[:SHOWN])}" if names else ""
        raise FileNotFoundError(
            "Every video of the split must be there, or the result is not comparable. Received: "
            f"{count:,} of {expected:,} missing{first}. `vidrec data check` lists them; "
            "--allow-missing goes on with the part that is there, and every result will say so."
        )


def check_split(split, *, groups=True):
    """Checks that a split can be trained on and that its test is one.

    Args:
        split: Split.
        groups: bool. False permits a group on several sides, as random splits have it.

    Raises:
        ValueError: if a side is empty or no video table, a video is on two sides, a class of test
            or validation is absent from training, or, with `groups`, a group is on two sides or
            unknown.
    """
    sides = split.sides
    for name, side in sides.items():
        check_table(side, name=name)
        if groups:
            check_groups_known(side, name=name)
    for (name, side), (other, table) in itertools.combinations(sides.items(), 2):
        pair = f"`{name}` and `{other}`"
        _refuse(f"{pair} must not share videos", set(side.video_id) & set(table.video_id))
        if groups:
            _refuse(f"{pair} must not share a group", set(side.group) & set(table.group))
        if name == "train":
            rule = f"{pair} must have every class of {other} in {name}"
            _refuse(rule, set(table.label) - set(side.label))


def shared_groups(split):
    """Number (int) of (label, group) pairs on two sides; unknown groups ("") are not counted."""
    pairs = itertools.combinations(map(_groups, split.sides.values()), 2)
    return len(set().union(*(one & other for one, other in pairs)))


def check_groups_known(table, *, name="table"):
    """Raises ValueError if a video of `table`, called `name` in the message, has no group."""
    check_table(table, name=name)
    unknown = sorted(table.video_id[table.group == ""])
    if unknown:
        raise ValueError(
            f"`{name}` must name every video's group, or groups cannot be kept apart. "
            f"Received: {len(unknown)} videos without one, the first: {unknown[:5]}"
        )


def _short(texts, what, count):
    """The first texts of so many, and how many more there are."""
    more = count - len(texts)
    return [*texts, f"and {more} more {what}"] if more > 0 else texts


def _refuse(rule, offenders):
    if offenders:
        raise ValueError(
            f"{rule}. Received: {len(offenders)} offending, the first: {sorted(offenders)[:5]}"
        )


def _groups(table):
    return {pair for pair in zip(table.label, table.group, strict=True) if pair[1]}
