"""Splits cut from a video table, and the check that nothing is on two sides.

    random-8:2             videos at random, class by class; three numbers give a validation side
    grouped-7:3            whole groups at random
    groups                 the groups named in `test_groups` are test
    leave-one-group-out-3  the third group is test, all others train
    leave-one-out-17       the 17th video is test, all others train

A split is cut once, on the list of videos, before any dataset exists: a shuffled `tf.data` pipeline
that is cut by `take` and `skip` deals its elements anew each epoch and leaks test videos into
training. It is a pure function of the table's content and `seed`; the order of rows is no input.

A group has the same name in all classes that it feeds, and is kept whole over all of them. Where a
data set numbers the groups of each class apart, as UCF101 does, that is more than need be; it is
what its official splits do.
"""

import math
import numbers
import re

import numpy as np

from vidrec.datasets.gate import Split, check_groups_known, check_split
from vidrec.datasets.table import check_table

DRAWS = 1000  # tries at a draw of whole groups that leaves every class on every side

_NAME = re.compile(
    r"(?P<kind>random|grouped)-(?P<ratio>\d+:\d+(?::\d+)?)"
    r"|(?P<fold>leave-one-group-out|leave-one-out)-(?P<number>\d+)"
    r"|(?P<named>groups)"
)


def cut(table, name, *, seed=0, test_groups=()):
    """A split of a video table by its name, see above.

    Args:
        table: video table.
        name: str.
        seed: int >= 0, of random and grouped splits.
        test_groups: sequence of group names, of the split "groups" alone.

    Returns:
        Split.

    Raises:
        ValueError: if there is no such split, or `table` cannot be cut so.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(
            "A split must be called random-A:B, random-A:B:C, grouped-A:B, grouped-A:B:C (training "
            ": test : validation), groups, leave-one-group-out-N or leave-one-out-N. "
            f"Received: {name!r}"
        )
    if match["kind"]:
        draw = {"random": random_split, "grouped": grouped_split}[match["kind"]]
        return draw(table, ratio=tuple(map(int, match["ratio"].split(":"))), seed=seed)
    if match["named"]:
        return group_list_split(table, test_groups=test_groups)
    leave = {"leave-one-group-out": leave_one_group_out, "leave-one-out": leave_one_out}
    return leave[match["fold"]](table, int(match["number"]))


def random_split(table, *, ratio=(8, 2), seed=0):
    """A random split over videos: 8:2 as in Qiao et al. 2021 (spec multiseg_xception, row 21).

    It leaks: UCF101's videos come in groups, the clips of a group being cut from one source video
    with the same person and background, and a random split puts siblings on both sides. Scores on
    it are not comparable with those on official splits. `gate.shared_groups` counts the leak.

    Drawn class by class (stratified), so that no class is absent from a side: a class of n videos
    gives its share of them, rounded, to test and to validation, but at least 1, and leaves at least
    1 for training.

    Args:
        table: video table, of each class as many videos as `ratio` has sides, or more.
        ratio: sequence of two or three int >= 1: training, test and validation.
        seed: int >= 0.

    Returns:
        Split.

    Raises:
        ValueError: if an option is out of range or a class has too few videos.
    """
    units = {label: sorted(rows.video_id) for label, rows in _drawn(table, ratio, seed)}
    _enough(units, ratio, "videos")
    rng, side_of = np.random.default_rng(seed), {}
    for label in sorted(units):
        order = rng.permutation(len(units[label]))
        places = np.repeat(range(1, len(ratio)), _counts(len(order), ratio))
        side_of.update((units[label][i], j) for i, j in zip(order, places, strict=False))
    split = _divide(table, [side_of.get(video_id, 0) for video_id in table.video_id])
    check_split(split, groups=False)
    return split


def grouped_split(table, *, ratio=(8, 2), seed=0):
    """A random split over groups: the videos of a group stay together, in all classes.

    Of the groups their share, rounded, goes to test and to validation; the share of videos follows
    roughly. Drawn again until every class is on every side.

    Args:
        table: video table, of each class as many groups as `ratio` has sides, or more; no group
            unknown.
        ratio, seed: as `random_split`.

    Returns:
        Split.

    Raises:
        ValueError: if an option is out of range, a group is "", a class has too few groups, or no
            draw leaves every class on every side.
    """
    check_groups_known(table)
    units = {label: sorted(set(rows.group)) for label, rows in _drawn(table, ratio, seed)}
    _enough(units, ratio, "groups")
    groups, rng = sorted(set(table.group)), np.random.default_rng(seed)
    places = np.repeat(range(1, len(ratio)), _counts(len(groups), ratio))
    for _ in range(DRAWS):
        order = rng.permutation(len(groups))
        side_of = {groups[i]: j for i, j in zip(order, places, strict=False)}
        sides = table.group.map(side_of).fillna(0)
        if (sides.groupby(table.label).nunique() == len(ratio)).all():
            split = _divide(table, sides)
            check_split(split)
            return split
    raise ValueError(
        f"`table` must allow whole groups to be drawn with every class on every side. Received: "
        f"no such draw in {DRAWS} of {len(groups)} groups. Name the groups of the test by the "
        "split `groups` and `test_groups`."
    )


def group_list_split(table, *, test_groups):
    """The named groups, in every class that has them, go to test and all others to training.

    Args:
        table: video table, no group unknown.
        test_groups: sequence of group names, such as ["g07", "g08", "g09"].

    Returns:
        Split. A class without a named group is in training only.

    Raises:
        ValueError: if `test_groups` is empty, a string, or holds a name that `table` has not; if a
            group is ""; or if a class or everything would be absent from training.
    """
    check_groups_known(table)
    named = set() if isinstance(test_groups, str) else set(test_groups)
    if not named:
        raise ValueError(
            "`test_groups` must be a sequence of one or more group names. "
            f"Received: test_groups={test_groups!r}"
        )
    known = set(table.group)
    unknown = sorted(named - known, key=str)
    if unknown:
        raise ValueError(
            f"`test_groups` must be among the groups of `table`, {sorted(known)}. "
            f"Received: unknown groups {unknown}"
        )
    split = _divide(table, table.group.isin(named))
    check_split(split)
    return split


def leave_one_group_out(table, number):
    """Fold `number` >= 1 of the cross-validation over groups: that group, of all, is test.

    Raises:
        ValueError: if a group is "" or there is no such fold, and as `group_list_split`.
    """
    check_groups_known(table)
    groups = sorted(set(table.group))
    _check_fold(number, groups, "group")
    return group_list_split(table, test_groups=[groups[number - 1]])


def leave_one_out(table, number):
    """Fold `number` >= 1 of the cross-validation over videos: that video, of all, is test.

    Raises:
        ValueError: if there is no such fold, or the video is the only one of its class.
    """
    check_table(table)
    names = sorted(table.video_id)
    _check_fold(number, names, "video")
    split = _divide(table, table.video_id == names[number - 1])
    check_split(split, groups=False)
    return split


def _drawn(table, ratio, seed):
    """The classes of a table, as `groupby` gives them, after a look at the options."""
    check_table(table)
    if not (len(ratio) in (2, 3) and all(_is_count(part) and part > 0 for part in ratio)):
        raise ValueError(
            "`ratio` must be two or three integers >= 1, of training, test and validation. "
            f"Received: {ratio=}"
        )
    if not _is_count(seed):
        # None is refused with the rest: numpy would take it as "differ each time"
        raise ValueError(f"`seed` must be an integer >= 0. Received: {seed=}")
    return table.groupby("label")


def _is_count(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 0


def _enough(units, ratio, noun):
    short = [label for label in sorted(units) if len(units[label]) < len(ratio)]
    if short:
        raise ValueError(
            f"every class of `table` must have {len(ratio)} or more {noun}, one for each side. "
            f"Received: fewer in {short}"
        )


def _counts(size, ratio):
    """How many of `size` go to test, and to validation: at least 1, and 1 is left for training."""
    left, counts = size - (len(ratio) - 1), []
    for part in ratio[1:]:
        share = math.floor(part / sum(ratio) * size + 0.5)
        counts.append(min(max(share, 1), left))
        left -= counts[-1] - 1
    return counts


def _divide(table, places):
    """A Split by the place of each row: 0 training, 1 test, 2 validation."""
    places = np.asarray(places, int)
    parts = [table[places == place] for place in range(max(2, places.max() + 1))]
    return Split(*(part.sort_values("video_id", ignore_index=True) for part in parts))


def _check_fold(number, units, noun):
    if not _is_count(number) or not 1 <= number <= len(units):
        raise ValueError(
            f"The fold must be a number from 1 to {len(units)}, one for each {noun}. "
            f"Received: {number}"
        )
