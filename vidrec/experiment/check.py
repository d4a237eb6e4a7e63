"""A look at a data set on disk: what is there, what is missing, what the split gate says."""

import dataclasses

import pandas as pd

from vidrec.datasets import registry
from vidrec.datasets.gate import SplitError
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
    gate, splits = _gate(dataset, lists)  # before the long part
    table = found.join(probe(found, workers=workers)).assign(status="ok")
    table.loc[table.message != "", "status"] = "unreadable"
    table["key"] = table.video_id.map(dataset.key)
    listing = dataset.listed(lists)
    if listing is not None:
        unlisted = ~table.key.isin(listing.videos.key)
        table.loc[unlisted & (table.status == "ok"), "status"] = "unlisted"
        gone = listing.videos[~listing.videos.key.isin(table.key)]
        table = pd.concat([table, _missing(gone)], ignore_index=True)
    for split, videos in splits.items():
        table[split] = table.key.map(dict(zip(videos.key, videos.side, strict=True))).fillna("")
    absent = table.status == "missing"
    lacking = _lacking(dataset, table[~absent])
    lines = [
        *_overview(dataset, source.videos, table),
        *_classes(dataset, lists, table),
        *_lengths(table[~absent]),
        *_split_lines(dataset, table, splits, gate),
        *_listing("unreadable", table.message[table.status == "unreadable"]),
        *_listing("missing", table.video_id[absent]),
        *_listing("missing", lacking),
        *_listing("unlisted", table.video_id[table.status == "unlisted"]),
    ]
    bad = table.status.isin(["missing", "unreadable"]).any() or bool(lacking)
    table = table.drop(columns="key").sort_values("video_id", ignore_index=True)
    return Findings(table, lines, not bad and not any(gate.values()))


def _gate(dataset, lists):
    """What is wrong with each official split ("" for nothing), and the listings of the others."""
    said, splits = {}, {}
    for name in dataset.official:
        try:
            splits[name] = dataset.checked(name, lists).videos
            said[name] = ""
        except SplitError as error:
            said[name] = str(error)
        except (FileNotFoundError, ValueError) as error:
            if dataset.facts:  # of one's own videos, lists are optional
                said[name] = str(error)
            break  # no lists, or unreadable ones: the other splits have the same
    return said, splits


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


def _lacking(dataset, table):
    """How many videos of which class are missing, where no list names them."""
    counts = table.label.value_counts()
    lack = {label: size - counts.get(label, 0) for label, size in dataset.sizes.items()}
    return [f"{count} of {label}" for label, count in lack.items() if count > 0]


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


def _classes(dataset, lists, table):
    there = table[table.status != "missing"]
    names = dataset.classes(lists=lists, table=there)
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


def _split_lines(dataset, table, splits, gate):
    for name, said in gate.items():
        if said:
            yield f"{name}: {said}"
            continue
        parts = []
        for side in sorted(set(splits[name].side) - {""}, reverse=True):
            listed = table[table[name] == side]
            parts.append(f"{side} {(listed.status != 'missing').sum():,} of {len(listed):,}")
        yield f"{name}: lists are right; {', '.join(parts)}"
    if dataset.folds:
        units = "videos" if dataset.folds == "leave-one-out" else "groups"
        count = len(table) if units == "videos" else table.group.nunique()
        yield f"{dataset.folds}-1 to -{count}: one fold for each of the {units}"


def _listing(what, names):
    names = list(names)
    for name in names[:SHOWN]:
        yield f"{what}: {name}"
    if len(names) > SHOWN:
        yield f"{what}: and {len(names) - SHOWN:,} more, see the csv file"
