"""An experiment's videos: drawn or found, extracted, split."""

import dataclasses

from vidrec.datasets import folder, splits, synthetic, ucf101
from vidrec.extraction import batch, jobs, pool
from vidrec.extraction.forecast import forecast
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.scan import scan
from vidrec.store import Store


def draw_videos(experiment):
    """Writes the embedded data set, if this experiment is on it.

    Raises:
        ValueError: if the experiment has videos of its own, or says wrongly what to draw.
    """
    data = experiment.data
    if data.synthetic is None:
        raise ValueError(
            f"{experiment.name} is on the videos in {data.videos}; only an experiment with "
            "`data.synthetic` draws its own."
        )
    known = {field.name for field in dataclasses.fields(synthetic.SyntheticSpec)}
    if data.synthetic.keys() - known:
        raise ValueError(
            f"`data.synthetic` takes {sorted(known)}. Received: {sorted(data.synthetic)}"
        )
    spec = synthetic.SyntheticSpec(**data.synthetic)

    def progress(clips):
        with progress_bar("videos", len(clips)) as advance:
            for clip in clips:
                yield clip
                advance()

    return synthetic.write_videos(data.videos, spec, progress=progress)


def find_videos(videos, experiment=None):
    """The video table of a folder of class folders.

    With list files beside them, as in UCF101, where the experiment's split is official.
    """
    official = experiment is not None and experiment.data.split.kind == "official"
    return ucf101.videos(videos) if official else folder.videos(videos)


def extract_frames(videos, store, *, experiment=None, **how):
    """Frames of all videos of a folder into a Store; returns the index of those videos.

    `how`: see `vidrec.extraction.batch.work`.
    """
    return batch.extract_frames(find_videos(videos, experiment), store, **how)


def extract_flow(store, settings, *, videos=None, experiment=None, **how):
    """Flow of all frames in a Store; returns the index.

    With a folder of videos, of these: those that have no frames get both in one pass.
    `settings`: FlowSettings; `how`: see `vidrec.extraction.batch.work`.
    """
    table = None if videos is None else find_videos(videos, experiment)
    return batch.extract_flow(store, settings, table=table, **how)


def plan(videos, store, settings=None, *, experiment=None, workers=None):
    """A line for people on what `extract_frames`, or with `settings` `extract_flow`, would take.

    `videos` may be None with `settings`. Nothing is written.
    """
    table = None if videos is None else find_videos(videos, experiment)
    if settings is None:
        todo = jobs.frame_jobs(table, store)
    else:
        todo = jobs.flow_jobs(store, settings.available(), table)
    return forecast(todo, workers=workers).text(store.root, pool.count(workers))


def index_store(root, layout, *, videos=None):
    """Writes the index of a set that another tool extracted, and returns it.

    Args:
        root: path of the set.
        layout: a name from `vidrec.layouts.LAYOUTS`.
        videos: folder of class folders that the set was made from, or None. Layouts without class
            folders need it: their own files do not tell the class.

    Raises:
        FileNotFoundError: if no image is found.
        FileExistsError: if the set is a store that vidrec extracted.
        RuntimeError: if another process is writing the index.
        ValueError: if the classes are not known, or the images are packed.
    """
    store = Store(root, layout)
    if layout == "vidrec" and store.rows():
        raise FileExistsError(
            f"{store.index_path} is there already, with what extraction knows of each video. "
            "Remove it first if it must be made anew from the files."
        )
    known = {} if videos is None else {v.video_id: v for v in folder.videos(videos).itertuples()}
    found = scan(store, sorted(known) or None)
    if not all(row.label for row in found):
        raise ValueError(
            f"The files of layout {layout!r} do not tell the classes. Pass --videos, the folder of "
            "class folders that the set was made from."
        )
    for row in found:
        row.group = folder.group_of(row.video_id)
        if row.video_id in known:
            row.source = known[row.video_id].path
    with store.writing():
        for row in found:
            store.append(row)
        return store.compact(without=store.rows().keys() - {row.video_id for row in found})


def problems(index):
    """The rows of an index that are not "ok"."""
    return index[index.status != "ok"]


def split_videos(experiment):
    """The videos of training and of test, and the class names.

    Returns:
        (train, test, classes): two tables of the index's columns, and a tuple of str.

    Raises:
        ValueError: if a video of the index is not "ok" and the experiment does not allow that, or
            the split is wrong.
        FileNotFoundError: if there is no index, or a listed video is missing.
    """
    data, split = experiment.data, experiment.data.split
    index = Store(data.root, data.layout).index()
    bad = problems(index)
    if len(bad):
        listing = "\n".join(f"  {row.message or row.video_id}" for row in bad.itertuples())
        if not data.allow_missing:
            raise ValueError(
                f"{len(bad)} of {len(index)} videos in {data.root} are not whole:\n{listing}\n"
                "Mend or remove them and extract again, or set data.allow_missing: true."
            )
        print(f"Left out: {len(bad)} of {len(index)} videos that are not whole:\n{listing}")
    table = index[index.status == "ok"]
    videos = table[["video_id", "label", "group"]].assign(path=table.source)
    if split.kind == "official":
        classes = ucf101.classes(split.lists)
        parts = ucf101.split(
            videos,
            split.lists,
            split.number,
            allow_missing=data.allow_missing,
            check_sizes=split.check_sizes,
        )
    else:
        classes = folder.classes(videos)
        if split.kind == "groups":
            parts = splits.group_list_split(videos, test_groups=split.test_groups)
        else:
            part = {"random": splits.random_split, "grouped": splits.grouped_split}[split.kind]
            parts = part(videos, test_fraction=split.test_fraction, seed=split.seed)
    shared = splits.shared_groups(*parts)
    if shared:
        print(
            f"Note: clips of {shared} groups (source videos) are on both sides of this split. The "
            "accuracy is not comparable with that of a split by group."
        )
    facts = table.drop(columns=["label", "group"])
    train, test = (part.merge(facts, on="video_id", validate="one_to_one") for part in parts)
    return train, test, tuple(classes)
