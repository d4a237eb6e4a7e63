"""What is wrong with the videos of a run: their frames, their classes, their split."""

from vidrec.datasets import gate
from vidrec.experiment.diagnosis.finding import Finding
from vidrec.layouts import PACKED

LOOKED_AT = 50  # videos whose files are counted
SLOW = 12  # frames a second, below which motion is not that of the papers' videos


def data_findings(store, index, split, classes, *, known, trained_on, flow):
    """Findings of the index, the files, the classes and the split.

    Args:
        store: Store.
        index: DataFrame, its index.
        split: gate.Split, by which the run is tested.
        classes: tuple of the data's class names, in the order of their lists.
        known: tuple of those of the run, in the order of the logits.
        trained_on: ids of the videos that it was trained on.
        flow: bool, whether it takes flow.

    Yields:
        Finding.
    """
    yield from _frames(store, index, flow)
    yield from _classes(classes, known)
    seen = sorted(set(split.test.video_id) & set(trained_on))
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


def _frames(store, index, flow):
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
    bare = whole[whole.n_flow == 0]
    if flow and len(bare):
        yield Finding(
            how="sure" if len(bare) == len(whole) else "maybe",
            cause="some videos have no flow" if len(bare) < len(whole) else "there is no flow",
            seen=f"{len(bare)} of {len(whole)} videos, the first is {bare.video_id.iloc[0]}",
            advice="extract it: vidrec extract-flow",
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
            advice="give data.lists the lists of the training, whose order its classes.txt has",
        )
