"""An experiment's videos: drawn or found, and extracted."""

import dataclasses
from pathlib import Path

from vidrec.datasets import registry, synthetic
from vidrec.datasets.folder import Groups
from vidrec.datasets.ucf101 import group_of
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where video files are, and of what data set they are.

    Attributes:
        videos: path of the folder.
        dataset: str, a name from `vidrec.datasets.registry`.
        lists: path of the folder in or near which the official lists are, or None for `videos`.
        groups: `vidrec.datasets.folder.Groups` or None.
    """

    videos: str | Path
    dataset: str = "folder"
    lists: str | Path | None = None
    groups: Groups | None = None

    @classmethod
    def of(cls, experiment):
        """That of an experiment."""
        data = experiment.data
        groups = data.groups and Groups(**data.groups.model_dump())
        return cls(videos=data.videos, dataset=data.dataset, lists=data.lists, groups=groups)

    @property
    def root(self):
        """The folder if what is gone from it is to leave the index: a published data set comes in
        parts, which may be removed when they are extracted, and its lists say what is missing."""
        return self.videos if self.dataset == "folder" else None

    def table(self):
        """The video table."""
        if self.groups is not None and self.dataset != "folder":
            raise ValueError(f"{self.dataset} knows its groups; they are not to be given")
        own = {} if self.groups is None else {"groups": self.groups}
        return registry.get(self.dataset).videos(self.videos, lists=self.lists, **own)


def extract_frames(source, store, **how):
    """Frames of all videos of a Source into a Store; returns the index of those videos.

    `how`: see `vidrec.extraction.batch.work`.
    """
    return batch.extract_frames(source.table(), store, root=source.root, **how)


def extract_flow(store, settings, *, source=None, **how):
    """Flow of all frames in a Store; returns the index.

    With a Source, of its videos: those that have no frames get both in one pass.
    `settings`: FlowSettings; `how`: see `vidrec.extraction.batch.work`.
    """
    if source is None:
        return batch.extract_flow(store, settings, **how)
    return batch.extract_flow(store, settings, table=source.table(), root=source.root, **how)


def plan(source, store, settings=None, *, workers=None):
    """A line for people on what `extract_frames`, or with `settings` `extract_flow`, would take.

    `source` may be None with `settings`. Nothing is written.
    """
    table = source and source.table()
    if settings is None:
        todo = jobs.frame_jobs(table, store)
    else:
        todo = jobs.flow_jobs(store, settings.available(), table)
    return forecast(todo, workers=workers).text(store.root, pool.count(workers))


def index_store(root, layout, *, dataset="folder", videos=None, lists=None):
    """Writes the index of a set that another tool extracted, and returns it.

    Args:
        root: path of the set.
        layout: a name from `vidrec.layouts.LAYOUTS`.
        dataset: a name from `vidrec.datasets.registry`.
        videos: folder of the videos that the set was made from, or None.
        lists: folder in or near which the official lists are, or None. Layouts without class
            folders need `videos` or `lists`: their own files do not tell the class.

    Raises:
        FileNotFoundError: if no image is found, or no lists are where they should be.
        FileExistsError: if the set is a store that vidrec extracted.
        RuntimeError: if another process is writing the index.
        ValueError: if the classes are not known, or the images are packed.
    """
    store, data = Store(root, layout), registry.get(dataset)
    if layout == "vidrec" and store.rows():
        raise FileExistsError(
            f"{store.index_path} is there already, with what extraction knows of each video. "
            "Remove it first if it must be made anew from the files."
        )
    names, known, key = None, {}, data.key
    if videos is not None:
        table = data.videos(videos, lists=lists)
        known = {key(video.video_id): video for video in table.itertuples()}
        names = sorted(table.video_id)
    elif lists is not None:
        known, key = _listed(data, lists)
        if "{video_id}" not in store.names.frame:
            names = _named(store, known, key)
    found = scan(store, names)
    for row in found:
        video = known.get(key(row.video_id))
        row.group = video.group if video else group_of(row.video_id)
        if video:
            row.label, row.source = video.label, getattr(video, "path", "")
    if not all(row.label for row in found):
        raise ValueError(
            f"The files of layout {layout!r} do not tell the classes. Pass --videos, the folder of "
            "videos that the set was made from, or --dataset and --lists, the official lists."
        )
    with store.writing():
        for row in found:
            store.append(row)
        return store.compact(without=store.rows().keys() - {row.video_id for row in found})


def _listed(data, lists):
    """What the official lists name, by key, and the function that makes keys of video_ids."""
    data.locate(lists)  # says where they should be
    listing = data.listed(lists)
    if listing is None:
        raise ValueError(
            f"The lists of {data.name} do not tell the classes of all its videos. Pass --videos, "
            "the folder of the videos that the set was made from."
        )
    known = {video.key: video for video in listing.videos.itertuples()}
    return known, lambda video_id: listing.key(video_id, data.key)


def _named(store, known, key):
    """video_ids "<class>/<folder>" of the folders that a layout without classes has."""
    head = store.root / store.names.frame.split("{")[0]
    inside = head.iterdir() if head.is_dir() else ()
    folders = [path.name for path in inside if path.is_dir() and not path.name.startswith(".")]
    names = [f"{known[key(name)].label}/{name}" for name in folders if key(name) in known]
    if len(names) < len(folders):
        print(f"{len(folders) - len(names)} of {len(folders)} folders in {head} are not listed.")
    return names


def problems(index):
    """The rows of an index that are not "ok"."""
    return index[index.status != "ok"]
