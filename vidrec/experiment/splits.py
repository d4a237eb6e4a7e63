"""The split of an experiment: which of the videos in its store are on which side."""

from pathlib import Path

from vidrec.datasets import gate, registry
from vidrec.experiment.videos import problems
from vidrec.store import Store


def split_videos(experiment):
    """The videos of an experiment by side, and the class names.

    Returns:
        (Split, classes): tables of the index's columns and `path`, and a tuple of str.

    Raises:
        ValueError: if a video of the index is not "ok" and the experiment does not allow that, or
            the split is wrong, or the lists are of other videos.
        FileNotFoundError: if there is no index, or videos are missing and that is not allowed.
    """
    data = experiment.data
    index = Store(data.root, data.layout).index()
    bad = problems(index)
    if len(bad):
        listing = "\n".join(f"  {row.message or row.video_id}" for row in bad.itertuples())
        if not data.allow_missing:
            raise ValueError(
                f"{len(bad)} of {len(index)} videos in {data.root} are not whole:\n{listing}\n"
                "Mend or remove them and extract again, or go on without them by --allow-missing."
            )
        print(f"Left out: {len(bad)} of {len(index)} videos that are not whole:\n{listing}")
    whole = index[index.status == "ok"]
    table = whole[["video_id", "label", "group"]].assign(path=whole.source)
    dataset = registry.get(data.dataset)
    lists = data.lists or (data.videos if Path(data.videos).is_dir() else None)
    classes = tuple(dataset.classes(lists=lists, table=table))
    foreign = sorted(set(table.label) - set(classes))
    if foreign:
        told = ", ".join(foreign[:5]) + ", ..." * (len(foreign) > 5)
        raise ValueError(
            f"The classes of the videos in {data.root} must be among the {len(classes)} that "
            f"{lists} names. Received: {told}. Name the folder of these very videos, or of their "
            "lists: --lists, or data.lists in the experiment."
        )
    split = dataset.split(
        table,
        data.split.name,
        lists=lists,
        allow_missing=data.allow_missing,
        seed=data.split.seed,
        test_groups=data.split.test_groups,
    )
    if split.expected is None:  # nobody publishes what there should be: what was found is all
        names = tuple(bad.video_id)
        split = split._replace(
            missing=len(names), missing_names=names, expected=split.found + len(names)
        )
    if split.missing:
        print(f"Partial data: {split.missing:,} of {split.expected:,} videos are missing.")
    shared = gate.shared_groups(split)
    if shared:
        print(
            f"Note: clips of {shared} groups (source videos) are on several sides of this split. "
            "The accuracy is not comparable with that of a split by group."
        )
    facts = whole.drop(columns=["label", "group"])
    sides = {
        name: side.merge(facts, on="video_id", validate="one_to_one")
        for name, side in split.sides.items()
    }
    return split._replace(**sides), classes


def describe(experiment, split):
    """What a result is of, for its stamp: a dict of data set, videos and missing videos."""
    return {
        "dataset": experiment.data.dataset,
        "videos": {name: len(side) for name, side in split.sides.items()},
        "missing": split.missing,
        "expected": split.expected,
    }
