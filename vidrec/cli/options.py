"""Options that several verbs share, and what they stand for."""

import sys

DATASETS = "folder, ucf101, hmdb51, ucf11, ucf_sports, kinetics400 or kinetics600"
STREAMS = ("spatial", "temporal", "joint")
WORKERS = "processes, default one a core; 0 for none but this one"


def add_verb(verbs, name, run, text):
    """A verb; returns its parser."""
    new = verbs.add_parser(name, help=text, description=text)
    new.set_defaults(run=run)
    return new


def add_dataset(new):
    """--dataset, and what `add_lists` adds."""
    new.add_argument("--dataset", help=f"{DATASETS}; default folder")
    add_lists(new)


def add_lists(new):
    """--lists, and where the groups of a folder's videos come from."""
    new.add_argument("--lists", help="folder of the official lists, default in or by the videos")
    new.add_argument("--group-pattern", help="of a folder: regular expression on <class>/<file>")
    new.add_argument(
        "--group-csv", metavar="FILE:VIDEO:GROUP", help="of a folder: csv file and its two columns"
    )


def add_experiment(new, *, default=None):
    """An experiment's file, and the options that replace or allow what it says."""
    optional = {"nargs": "?", "default": default} if default else {}
    preset = f", default {default}" if default else ""
    new.add_argument("config", help=f"experiment (YAML){preset}", **optional)
    new.add_argument("--data", help="store: frames/, flow/ and index.csv")
    new.add_argument("--lists", help="folder of the official lists, or of a folder's own videos")
    new.add_argument("--seed", type=int, help="replaces the experiment's seed")
    text = "another split than the file's, whose runs have its name behind theirs"
    new.add_argument("--split", help=text)
    new.add_argument(
        "--allow-missing",
        action="store_true",
        help="go on with the part of the data set that is there; every result will say so",
    )


def experiment_of(options, *, required=True):
    """The experiment of --config, or None."""
    from vidrec import config

    if options.config is None and not required:
        return None
    given = vars(options)
    experiment = config.load(
        options.config,
        seed=given.get("seed"),
        root=given.get("data"),
        videos=given.get("videos"),
        dataset=given.get("dataset"),
        lists=given.get("lists"),
        allow_missing=given.get("allow_missing") or None,
    )
    if given.get("split"):
        experiment = config.of_split(experiment, options.split)
    if given.get("protocol"):
        experiment = config.of_protocol(experiment, options.protocol)
    return experiment


def store_of(options, experiment):
    """The Store of --data, or of an experiment, which may be None."""
    from vidrec.store import Store

    given = vars(options)
    root = options.data or (experiment and experiment.data.root)
    need(root, "--data")
    layout = experiment.data.layout if experiment else given.get("layout", "vidrec")
    return Store(root, layout, given.get("shard"))


def source_of(options, experiment):
    """The Source of --videos, or of an experiment, which may be None; None without either."""
    from vidrec.experiment.videos import Source

    if experiment:
        if groups_of(options) is not None:
            raise ValueError("with --config, groups are what the experiment's data.groups says")
        return Source.of(experiment)
    if options.videos is None:
        return None
    dataset = options.dataset or "folder"
    return Source(
        videos=options.videos, dataset=dataset, lists=options.lists, groups=groups_of(options)
    )


def groups_of(options):
    """The Groups of --group-pattern or --group-csv, or None.

    Raises:
        ValueError: if --group-csv is no file and two columns.
    """
    from vidrec.datasets.folder import Groups

    if options.group_csv is None:
        pattern = options.group_pattern
        return None if pattern is None else Groups(pattern=pattern)
    parts = options.group_csv.rsplit(":", 2)
    if len(parts) < 3:
        raise ValueError(
            "--group-csv must be a csv file below the videos' folder, its column of videos and its "
            f"column of groups, as clips.csv:clip:source. Received: {options.group_csv!r}"
        )
    file, video, group = parts
    return Groups(pattern=options.group_pattern, csv=file, video=video, group=group)


def need(value, flag):
    """Raises ValueError if a value is None, that a flag or an experiment should have given."""
    if value is None:
        raise ValueError(f"{flag} is missing (or give an experiment with --config)")


def report(bad):
    """Names the videos that are not whole; the exit code."""
    for row in bad.itertuples():
        print(f"{row.status}: {row.message}", file=sys.stderr)
    if len(bad):
        print(f"{len(bad)} videos are not whole; the others are done.", file=sys.stderr)
    return 1 if len(bad) else 0
