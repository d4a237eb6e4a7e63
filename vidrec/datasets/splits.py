"""Train and test sets cut from a video table, and the check that nothing is on both sides.

A split is a pair (train, test) of video tables (`vidrec.datasets.folder`), each sorted by video_id.
It is cut once, on the list of videos, before any dataset exists: a shuffled `tf.data` pipeline that
is cut by `take` and `skip` deals its elements anew each epoch and leaks test videos into training.
Each split is a pure function of the table's content and `seed`; the order of the rows is no input.
"""

import math
import numbers

import numpy as np

from vidrec.datasets.folder import check_table


def random_split(table, *, test_fraction=0.2, seed=0):
    """A random split over videos: 8:2 as in Qiao et al. 2021 (spec multiseg_xception, row 21).

    It leaks: UCF101's videos come in groups, the clips of a group being cut from one source video
    with the same person and background, and a random split puts siblings on both sides. Scores on
    it are not comparable with those on official splits. `shared_groups` counts the leak.

    Drawn class by class (stratified), so that no class is absent from a side: a class of n videos
    gives round(test_fraction * n) of them, but at least 1 and at most n - 1, to test.

    Args:
        table: video table, 2 or more videos per class.
        test_fraction: float, 0 < test_fraction < 1.
        seed: int >= 0.

    Returns:
        Tuple (train, test) of video tables.

    Raises:
        ValueError: if an option is out of range or a class has fewer than 2 videos.
    """
    train, test = _draw(table, "video_id", "videos", test_fraction, seed)
    check_split(train, test, groups=False)
    return train, test


def grouped_split(table, *, test_fraction=0.2, seed=0):
    """A random split over groups: the videos of a group stay together.

    The unit is (label, group), as UCF101 numbers its groups within each class: g07 of one class has
    nothing to do with g07 of another. Where one source feeds several classes, draw the names of the
    sources yourself and use `group_list_split`. A class of n groups gives round(test_fraction * n)
    of them, but at least 1 and at most n - 1, to test; the fraction of videos follows roughly.

    Args:
        table: video table, 2 or more groups per class, no group unknown.
        test_fraction: float, 0 < test_fraction < 1.
        seed: int >= 0.

    Returns:
        Tuple (train, test) of video tables.

    Raises:
        ValueError: if an option is out of range, a group is "", or a class has one group only.
    """
    check_table(table)
    _check_groups_known(table, "table")
    train, test = _draw(table, "group", "groups", test_fraction, seed)
    check_split(train, test)
    return train, test


def group_list_split(table, *, test_groups):
    """The named groups, in every class that has them, go to test and all others to train.

    Args:
        table: video table, no group unknown.
        test_groups: sequence of group names, such as ["g07", "g08", "g09"].

    Returns:
        Tuple (train, test) of video tables. A class without a named group is in train only.

    Raises:
        ValueError: if `test_groups` is empty, a string, or holds a name that `table` has not; if a
            group is ""; or if a class or everything would be absent from train.
    """
    check_table(table)
    _check_groups_known(table, "table")
    named = set() if isinstance(test_groups, str) else set(test_groups)
    if not named:
        raise ValueError(
            "`test_groups` must be a sequence of one or more group names. "
            f"Received: test_groups={test_groups!r}"
        )
    known = set(table["group"])
    unknown = sorted(named - known, key=str)
    if unknown:
        raise ValueError(
            f"`test_groups` must be among the groups of `table`, {sorted(known)}. "
            f"Received: unknown groups {unknown}"
        )
    train, test = _divide(table, table["group"].isin(named))
    check_split(train, test)
    return train, test


def check_split(train, test, *, groups=True):
    """Checks that a split can be trained on and that its test is one.

    Args:
        train, test: video tables.
        groups: bool. False permits a group on both sides, as random splits over videos have it.

    Raises:
        ValueError: if a side is empty or no video table, a video is on both sides, a class of test
            is absent from train, or, with `groups`, a (label, group) is on both sides or unknown.
    """
    for name, table in (("train", train), ("test", test)):
        check_table(table, name=name)
        if groups:
            _check_groups_known(table, name)
    _refuse("must not share videos", set(train["video_id"]) & set(test["video_id"]))
    if groups:
        _refuse("must not share a group of a class", _groups(train) & _groups(test))
    _refuse("must have every class of test in train", set(test["label"]) - set(train["label"]))


def shared_groups(train, test):
    """Number (int) of (label, group) pairs on both sides; unknown groups ("") are not counted."""
    return len(_groups(train) & _groups(test))


def _check_groups_known(table, name):
    unknown = sorted(table["video_id"][table["group"] == ""])
    if unknown:
        raise ValueError(
            f"`{name}` must name every video's group, or groups cannot be kept apart. "
            f"Received: {len(unknown)} videos without one, the first: {unknown[:5]}"
        )


def _refuse(rule, offenders):
    if offenders:
        raise ValueError(
            f"`train` and `test` {rule}. "
            f"Received: {len(offenders)} offending, the first: {sorted(offenders)[:5]}"
        )


def _groups(table):
    return {pair for pair in zip(table["label"], table["group"], strict=True) if pair[1]}


def _draw(table, column, noun, test_fraction, seed):
    """Splits the distinct values of `column` at random, class by class."""
    check_table(table)
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"`test_fraction` must lie between 0 and 1, both excluded. Received: {test_fraction=}"
        )
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        # None is refused with the rest: numpy would take it as "differ each time"
        raise ValueError(f"`seed` must be an integer >= 0. Received: {seed=}")
    units = {label: sorted(set(rows[column])) for label, rows in table.groupby("label")}
    short = [label for label in sorted(units) if len(units[label]) < 2]
    if short:
        raise ValueError(
            f"every class of `table` must have 2 or more {noun}, one for each side. "
            f"Received: fewer in {short}"
        )
    rng = np.random.default_rng(seed)
    drawn = set()
    for label in sorted(units):
        size = len(units[label])
        count = min(max(math.floor(test_fraction * size + 0.5), 1), size - 1)
        drawn.update((label, units[label][i]) for i in rng.permutation(size)[:count])
    pairs = zip(table["label"], table[column], strict=True)
    return _divide(table, np.array([pair in drawn for pair in pairs]))


def _divide(table, in_test):
    """(train, test) of a table and a boolean per row."""
    sides = (table[~in_test], table[in_test])
    return tuple(side.sort_values("video_id", ignore_index=True) for side in sides)
