"""Verbs about data sets: `vidrec data prepare`, `check`, `show` and `preview`."""

from pathlib import Path

from vidrec.cli.options import (
    DATASETS,
    STREAMS,
    WORKERS,
    add_experiment,
    add_lists,
    add_verb,
    experiment_of,
    groups_of,
)


def prepare(options):
    from vidrec.datasets import registry
    from vidrec.datasets.prepare import prepare as bring
    from vidrec.extraction.progress import progress_bar

    facts = registry.published(options.name, only=options.only)
    limit = options.max_gigabytes and round(options.max_gigabytes * 2**30)
    archives = options.archive or ()
    bring(facts, options.root, archives=archives, max_bytes=limit, progress=progress_bar)
    if not _has_videos(options.root):
        print(f"There are no videos in {options.root} yet. Where they are: {facts.page}")
        return 0
    options.csv = options.csv or str(Path(options.root) / "videos.csv")
    return check(options)


def check(options):
    from vidrec.experiment.check import check as look

    findings = look(_source(options), workers=options.workers)
    path = options.csv or f"{options.name}_check.csv"
    print("\n".join(findings.lines), flush=True)  # whatever becomes of the file
    findings.save(path)
    print(f"All of it: {path}")
    return 0 if findings.whole else 1


def show(options):
    from vidrec.datasets import registry
    from vidrec.experiment.contact_sheet import contact_sheet
    from vidrec.extraction.engines import FlowSettings

    dataset, path = registry.get(options.name), options.out or f"{options.name}.png"
    failed = contact_sheet(
        _source(options).table(),
        path,
        videos=options.videos,
        frames=options.frames,
        seed=options.seed,
        settings=FlowSettings(engine=options.engine),
        title=dataset.facts.title if dataset.facts else Path(options.root).name,
        workers=options.workers,
    )
    for _, message in failed:
        print(message)
    print(path)
    return 1 if failed else 0


def preview(options):
    from vidrec.experiment.preview import preview as draw

    experiment = experiment_of(options)
    path = options.out or f"{experiment.name}_preview.png"
    draw(
        experiment,
        path,
        clips=options.clips,
        stream=options.stream,
        epoch=options.epoch,
        test=options.test,
    )
    print(path)


def add(verbs):
    """Adds these verbs."""
    text = "a data set: bring it here, check it, show it, and the clips that are made of it"
    data = verbs.add_parser("data", help=text, description=text)
    inner = data.add_subparsers(
        dest="what", required=True, metavar="prepare, check, show or preview"
    )

    text = "fetch and unpack a published data set, then check it"
    new = _add_dataset(inner, "prepare", prepare, text)
    new.add_argument("--archive", action="append", help="file that you have; may be repeated")
    new.add_argument("--only", help="just this of the published files, such as that of the lists")
    new.add_argument("--max-gigabytes", type=float, help="that an archive may hold")
    new.add_argument("--csv", help="file to write, default ROOT/videos.csv")

    text = "what is there, what is missing, what is wrong with the lists"
    new = _add_dataset(inner, "check", check, text)
    new.add_argument("--csv", help="file to write, default NAME_check.csv")

    new = _add_dataset(inner, "show", show, "a picture of some videos, their frames and flow")
    new.add_argument("--out", help="PNG to write, default NAME.png")
    new.add_argument("--videos", type=int, default=8, help="rows, default 8")
    new.add_argument("--frames", type=int, default=4, help="frames of each, default 4")
    new.add_argument("--seed", type=int, default=0, help="which videos, default 0")
    new.add_argument("--engine", default="fast", help="of flow, default fast (TV-L1)")

    new = add_verb(inner, "preview", preview, "a picture of the clips that an experiment trains on")
    add_experiment(new)
    new.add_argument("--out", help="PNG to write, default <experiment>_preview.png")
    new.add_argument("--clips", type=int, default=4, help="of each stream, default 4")
    new.add_argument("--stream", choices=STREAMS, help="just this one")
    new.add_argument(
        "--epoch", type=int, default=0, help="of the first stage, default 0, the first"
    )
    new.add_argument("--test", action="store_true", help="what evaluation sees instead")


def _add_dataset(verbs, name, run, text):
    new = add_verb(verbs, name, run, text)
    new.add_argument("name", help=DATASETS)
    new.add_argument("root", help="folder of the videos")
    add_lists(new)
    new.add_argument("--workers", type=int, help=WORKERS)
    return new


def _source(options):
    from vidrec.experiment.videos import Source

    return Source(
        videos=options.root,
        dataset=options.name,
        lists=options.lists,
        groups=groups_of(options),
    )


def _has_videos(root):
    from vidrec.datasets.table import video_files

    try:
        return bool(video_files(root))
    except FileNotFoundError:
        return False
