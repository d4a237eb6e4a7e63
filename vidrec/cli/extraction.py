"""Verbs that write and read stores: frames, flow, index, packs."""

import sys
from pathlib import Path

from vidrec.cli.options import (
    WORKERS,
    add_dataset,
    add_verb,
    experiment_of,
    need,
    report,
    source_of,
    store_of,
)


def extract_frames(options):
    from vidrec.experiment import videos

    experiment = experiment_of(options, required=False)
    source = source_of(options, experiment)
    need(source, "--videos")
    store = store_of(options, experiment)
    if options.dry_run:
        print(videos.plan(source, store, workers=options.workers))
        return 0
    index = videos.extract_frames(source, store, **_how(options))
    print(f"{index.n_frames.sum()} frames of {len(index)} videos in {store.root}")
    return report(videos.problems(index))


def extract_flow(options):
    from vidrec.experiment import videos
    from vidrec.extraction.engines import FlowSettings

    experiment = experiment_of(options, required=False)
    store = store_of(options, experiment)
    settings = experiment.data.flow.model_dump() if experiment else {}
    changes = {"engine": options.engine, "bound": options.bound}
    changes = {name: value for name, value in changes.items() if value is not None}
    settings = FlowSettings(**(settings | changes))
    source = source_of(options, experiment)
    if options.videos is None and source and not Path(source.videos).is_dir():
        source = None  # the experiment's videos are not on this machine; its frames are
    if options.dry_run:
        print(videos.plan(source, store, settings, workers=options.workers))
        return 0
    index = videos.extract_flow(store, settings, source=source, **_how(options))
    print(f"{index.n_flow.sum()} flow pairs of {len(index)} videos in {store.root}")
    return report(videos.problems(index))


def audit(options):
    from vidrec.extraction.audit import audit as find
    from vidrec.extraction.repair import repair

    store = store_of(options, None)
    faults = find(store, workers=options.workers)
    for fault in faults:
        print(f"{fault.kind}: {fault.message}", file=sys.stderr)
    if faults and options.repair:
        faults = repair(store, faults, workers=options.workers)
        for fault in faults:
            print(f"not repaired: {fault.message}", file=sys.stderr)
    print(f"{len(faults)} faults in {store.root}" if faults else f"{store.root} is whole")
    return 1 if faults else 0


def pack(options):
    if options.unpack:
        from vidrec.extraction.unpack import unpack

        print(f"{len(unpack(options.data, options.out))} videos in {options.out}")
        return
    from vidrec.extraction.pack import pack as write

    store = store_of(options, None)
    made = write(store, options.out, file_bytes=options.megabytes << 20)
    files = sum(made.files.values())
    print(f"{made.videos['frames']} videos in {files} TFRecord files in {options.out}")
    if made.without_images:
        print(f"{made.without_images} videos have no images: rows of the index alone")


def index(options):
    from vidrec.experiment import videos

    table = videos.index_store(
        options.data,
        options.layout,
        dataset=options.dataset or "folder",
        videos=options.videos,
        lists=options.lists,
    )
    print(f"{len(table)} videos in {Path(options.data) / 'index.csv'}")
    return report(videos.problems(table))


def merge(options):
    store = store_of(options, None)
    print(f"{len(store.compact())} videos in {store.index_path}")


def add(verbs):
    """Adds these verbs."""
    new = _add_extraction(verbs, "extract-frames", extract_frames, "video files to JPG frames")
    new.add_argument("--videos", help="folder with one sub-folder of videos per class")

    new = _add_extraction(verbs, "extract-flow", extract_flow, "JPG frames to optical flow images")
    new.add_argument("--videos", help="folder of videos: frames and flow in one pass")
    new.add_argument("--engine", help="fast (TV-L1, default), opencv (TV-L1), dis or farneback")
    new.add_argument("--bound", type=float, help="px, displacement of the codes 0 and 255")

    text = "look at every image of a store, and mend what is broken"
    new = add_verb(verbs, "audit", audit, text)
    new.add_argument("--data", required=True, help="store: frames/, flow/ and index.csv")
    new.add_argument("--layout", default="vidrec", help="of the store, default vidrec")
    new.add_argument("--repair", action="store_true", help="extract again what is broken")
    new.add_argument("--workers", type=int, help=WORKERS)

    new = add_verb(verbs, "pack", pack, "a store into a few large TFRecord files, or back")
    new.add_argument("--data", required=True, help="store, or with --unpack a pack")
    new.add_argument("--layout", default="vidrec", help="of the store, default vidrec")
    new.add_argument("--out", required=True, help="new folder")
    new.add_argument("--unpack", action="store_true", help="loose files again, byte for byte")
    new.add_argument("--megabytes", type=int, default=256, help="of a file, default 256")

    new = add_verb(verbs, "index", index, "index of frames and flow that another tool extracted")
    new.add_argument("--data", required=True, help="folder of the set")
    new.add_argument("--layout", required=True, help="tsn, mmaction2, feichtenhofer or vidrec")
    new.add_argument("--videos", help="folder of the videos, where the set tells no classes")
    add_dataset(new)

    new = add_verb(verbs, "merge", merge, "the indices of shards into one")
    new.add_argument("--data", required=True, help="store that shards were extracted into")


def _add_extraction(verbs, name, run, text):
    new = add_verb(verbs, name, run, text)
    new.add_argument("--config", help="experiment (YAML) that says the rest")
    new.add_argument("--data", help="store: frames/, flow/ and index.csv")
    add_dataset(new)
    new.add_argument("--workers", type=int, help=WORKERS)
    new.add_argument("--shard", help="i/n: this machine's part of the videos, as in 2/4")
    new.add_argument("--scheduler", help="tcp://...: the workers of a dask cluster instead")
    new.add_argument("--time-limit", type=float, help="s, after which a video is given up")
    new.add_argument("--dry-run", action="store_true", help="only say what it would take")
    return new


def _how(options):
    """How to extract, as `vidrec.extraction.batch.work` takes it."""
    return {name: getattr(options, name) for name in ("workers", "scheduler", "time_limit")}
