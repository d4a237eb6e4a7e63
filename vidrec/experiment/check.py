"""A look at a data set on disk: what is there, what is missing, what the split gate says."""

import dataclasses

import pandas as pd

from vidrec.datasets import registry
from vidrec.extraction.probe import probe, summary
from vidrec.files import write_atomic

SHOWN = 10  # lines of one kind in the text; the csv file has all


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        table: DataFrame, one row a video, there or missing: the columns of the video table, those
            of `probe`, `status` ("ok", "unreadable", "missing" or "unlisted": there, and not in the
            official lists), and for each official split its side, "" where it leaves the video out.
        lines: list of str, for people.
        whole: bool, whether nothing is missing, unreadable or wrong with the lists.
    """

    table: pd.DataFrame
    lines: list
    whole: bool

    def save(self, path):
        """Writes the table as a csv file."""
        write_atomic(path, self.table.to_csv(index=False).encode())


def check(source, *, workers=None):
    """Looks at every video of a data set.

    Args:
        source: `vidrec.experiment.videos.Source`.
        workers: see `vidrec.extraction.pool.run`.

    Returns:
        Findings.

    Raises:
        FileNotFoundError: if there is no video.
        ValueError: if there is no such data set, or a file is no video of it.
    """
    dataset, lists = registry.get(source.dataset), source.lists or source.videos
    found = source.table()
    # What the lists say comes before the long part, so that nobody waits to hear what is wrong.
    splits, notes, faults = _gate(dataset, lists)
    listing = dataset.listed(lists) if splits else None
    classes = dataset.classes(lists=lists if splits else None, table=found)
    table = found.join(probe(found, workers=workers)).assign(status="ok")
    table.loc[table.message != "", "status"] = "unreadable"
    if listing is None:
        table["key"] = table.video_id.map(dataset.key)
    else:
        table["key"] = listing.keys(table.video_id, dataset.key)
        unlisted = ~table.key.isin(listing.videos.key)
        table.loc[unlisted & (table.status == "ok"), "status"] = "unlisted"
        gone = listing.videos[~listing.videos.key.isin(table.key)]
        table = pd.concat([table, _missing(gone)], ignore_index=True)
    for split, videos in splits.items():
        table[split] = table.key.map(dict(zip(videos.key, videos.side, strict=True))).fillna("")
    absent = table.status == "missing"
    lacking = dataset.lacking(table[~absent])
    lines = [
        *_overview(dataset, source.videos, table),
        *_classes(classes, table),
        *_lengths(table[~absent]),
        *notes,
        *_split_lines(dataset, table, splits),
        *_listing("unreadable", table.message[table.status == "unreadable"]),
        *_listing("missing", table.video_id[absent]),
        *(f"missing: {count} of {label}" for label, count in lacking.items()),
        *_listing("unlisted", table.video_id[table.status == "unlisted"]),
    ]
    bad = table.status.isin(["missing", "unreadable"]).any() or lacking or faults
    table = table.drop(columns="key").sort_values("video_id", ignore_index=True)
    return Findings(table, lines, not bad)


def _gate(dataset, lists):
    """The listings of the official splits that are right, lines on the others, and whether
    anything is wrong: lists that say what they should not, or no lists at all."""
    splits, absent, wrong = {}, {}, {}
    for name in dataset.official:
        try:
            splits[name] = dataset.checked(name, lists).videos
        except FileNotFoundError as error:
            absent.setdefault(str(error), name)  # of all splits at once, as a rule
            if not dataset.facts:
                break  # lists of one's own are numbered from 1
        except ValueError as error:
            wrong.setdefault(str(error), name)
    if not dataset.facts:
        absent = {}
    notes = [f"{name}: {said}" for said, name in (absent | wrong).items()]
    return splits, notes, bool(wrong or (absent and not splits))


def _missing(gone):
    """Rows of listed videos that are not there."""
    rows = gone[["video_id", "label", "group", "key"]]
    blank = {
        "path": "",
        "message": "",
        "frames": 0,
        "fps": 0.0,
        "width": 0,
        "height": 0,
        "bytes": 0,
    }
    return rows.assign(**blank, status="missing")


def _overview(dataset, root, table):
    there = table[table.status != "missing"]
    title = dataset.facts.title if dataset.facts else "Videos"
    expected = len(table[table.status != "unlisted"]) if (table.status == "missing").any() else None
    expected = expected or (dataset.facts and dataset.facts.videos)
    of = f" of {expected:,} ({len(there) / expected:.1%})" if expected else ""
    groups = there[there.group != ""]
    named = groups.groupby(["label", "group"]).ngroups
    yield f"{title} in {root}"
    yield f"videos      {len(there):,}{of}"
    yield f"groups      {groups.group.nunique():,}; {named:,} counted in each class apart" + (
        f"; {len(there) - len(groups):,} videos in none" if len(groups) < len(there) else ""
    )


def _classes(names, table):
    there = table[table.status != "missing"]
    counts = there.label.value_counts().reindex(names, fill_value=0)
    strange = sorted(set(there.label) - set(names))
    yield f"classes     {int((counts > 0).sum())} of {len(names)}" + (
        f"; not among the official ones: {strange}" if strange else ""
    )
    smallest, largest = counts.idxmin(), counts.idxmax()
    yield (
        f"a class     {counts.min():,} ({smallest}) to {counts.max():,} ({largest}), "
        f"median {counts.median():g}"
    )


def _lengths(table):
    facts = summary(table)
    for unit in ("frames", "seconds"):
        length = facts[unit]
        if length:
            (short, low), (long, high) = length["shortest"], length["longest"]
            median = f"median {length['median']:.4g}"
            yield f"{unit:<11} {low:.4g} ({short}) to {high:.4g} ({long}), {median}"
    for name in ("sizes", "fps"):
        some = [f"{value} ({count:,})" for value, count in list(facts[name].items())[:SHOWN]]
        more = len(facts[name]) - SHOWN
        yield f"{name:<11} {', '.join(some)}" + (f" and {more} more" if more > 0 else "")
    yield f"in all      {facts['hours']:.2f} h, {facts['bytes'] / 1e9:.3f} GB"
    if facts["unreadable"]:
        yield f"unreadable  {facts['unreadable']:,}"


def _split_lines(dataset, table, splits):
    for name in splits:
        parts = []
        for side in sorted(set(splits[name].side) - {""}, reverse=True):
            listed = table[table[name] == side]
            parts.append(f"{side} {(listed.status != 'missing').sum():,} of {len(listed):,}")
        yield f"{name}: lists are right; {', '.join(parts)}"
    if dataset.folds:
        yield f"{dataset.folds}-1 and so on: the official cross-validation"


def _listing(what, names):
    names = list(names)
    for name in names[:SHOWN]:
        yield f"{what}: {name}"
    if len(names) > SHOWN:
        yield f"{what}: and {len(names) - SHOWN:,} more, see the csv file"
