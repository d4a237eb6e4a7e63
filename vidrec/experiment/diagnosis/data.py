"""What is wrong with the videos of a run: their frames, their classes, their split."""

from vidrec.datasets import gate
from vidrec.experiment.diagnosis.finding import Finding
from vidrec.layouts import PACKED

LOOKED_AT = 50  # videos whose files are counted
SLOW = 12  # frames a second, below which motion is not that of the papers' videos


def data_findings(store, index, split, classes, trained):
    """Findings of the index, the files, the classes and the split.

    Args:
        store: Store.
        index: DataFrame, its index.
        split: gate.Split, by which the run is tested.
        classes: tuple of the data's class names, in the order of their lists.
        trained: runs.TrainedStream.

    Yields:
        Finding.
    """
    yield from _frames(store, index)
    yield from _classes(classes, trained.classes)
    seen = sorted(set(split.test.video_id) & trained.train_videos)
    if seen:
        yield Finding(
            how="sure",
            cause="the network was trained on videos of the test: its accuracy means nothing",
            seen=f"{len(seen)} of {len(split.test)}, the first is {seen[0]}",
            advice="test with the split that it was trained with, or train with this one",
        )
    shared = gate.shared_groups(split)
    if shared:
        yield Finding(
            how="maybe",
            cause="clips of one source video are in training and in the test",
            seen=f"{shared} groups are on both sides",
            advice="this makes the accuracy too high: compare with results on the same split, or "
            "take an official one",
        )


def _frames(store, index):
    whole = index[index.status == "ok"]
    wrong = whole[(whole.n_flow > 0) & (whole.n_flow != whole.n_frames - 1)]
    if len(wrong):
        first = wrong.iloc[0]
        yield Finding(
            how="likely",
            cause="there is not one flow pair less than there are frames",
            seen=f"{len(wrong)} of {len(whole)} videos, the first is {first.video_id}: "
            f"{first.n_frames} frames, {first.n_flow} pairs",
            advice="extract their flow again: vidrec extract-flow",
        )
    if store.layout != PACKED:
        looked = whole.iloc[:: max(1, len(whole) // LOOKED_AT)]
        other = [row for row in looked.itertuples() if not _as_many(store, row)]
        if other:
            yield Finding(
                how="likely",
                cause="there are not as many frames as the index says",
                seen=f"{len(other)} of {len(looked)} videos, the first is {other[0].video_id}, "
                f"which should have {other[0].n_frames}",
                advice="vidrec audit --repair extracts them again",
            )
    if len(whole) < len(index):
        yield Finding(
            how="maybe",
            cause="some videos are not whole, and left out",
            seen=f"{len(index) - len(whole)} of {len(index)}",
            advice="vidrec audit names them; extract them again",
        )
    slow = whole[(whole.fps > 0) & (whole.fps < SLOW)]
    if len(slow):
        yield Finding(
            how="maybe",
            cause="frames are far apart, so motion between them is large and hard to find",
            seen=f"{len(slow)} of {len(whole)} videos have less than {SLOW} frames a second",
            advice="extract all frames of the videos",
        )


def _as_many(store, row):
    paths = [store.path("frame", row.video_id, row.n_frames + more) for more in (0, 1)]
    return [path.is_file() for path in paths] == [True, False]


def _classes(here, there):
    if set(here) != set(there):
        only = [sorted(set(one) - set(other))[:3] for one, other in ((here, there), (there, here))]
        yield Finding(
            how="sure",
            cause="the network was trained on other classes",
            seen=f"{len(there)} there, {len(here)} here; only here {only[0]}, only there {only[1]}",
            advice="train on these data, or test with those of the run",
        )
    elif tuple(here) != tuple(there):
        at = next(i for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b)
        yield Finding(
            how="sure",
            cause="the classes are in another order than in training",
            seen=f"first at position {at}: {there[at]} there, {here[at]} here",
            advice="take the official lists of the training (--lists), or its classes.txt",
        )
