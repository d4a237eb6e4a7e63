"""`vidrec <verb>`: thin calls of `vidrec.experiment`. Heavy imports wait until they are needed.

Exit codes: 0 done; 1 done, but some videos are not whole; 2 not done, the message says why;
130 interrupted, run again to go on.
"""

import argparse
import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path

import vidrec

OUT = "runs"
DEMO = "experiments/multiseg_xception/demo.yaml"


def main(arguments=None):
    """Runs one verb; returns the exit code."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.suppress(ValueError):  # a scheduler's "stop" is as good as ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        again = " with --resume" if options.verb == "train" else ""
        print(
            f"\nInterrupted. What is done is kept: run the same command again{again}.",
            file=sys.stderr,
        )
        return 130
    except Exception as error:
        foreseen = (ValueError, OSError, ImportError, RuntimeError)
        if not isinstance(error, foreseen) or os.environ.get("VIDREC_TRACEBACK"):
            traceback.print_exc()
        print(f"vidrec {options.verb}: {error}", file=sys.stderr)
        return 2


def extract_frames(options):
    from vidrec.experiment import videos

    experiment = _experiment(options, required=False)
    source = options.videos or (experiment and experiment.data.videos)
    _need(source, "--videos")
    store = _store(options, experiment)
    if options.dry_run:
        print(videos.plan(source, store, experiment=experiment, workers=options.workers))
        return 0
    index = videos.extract_frames(source, store, experiment=experiment, **_how(options))
    print(f"{index.n_frames.sum()} frames of {len(index)} videos in {store.root}")
    return _report(videos.problems(index))


def extract_flow(options):
    from vidrec.experiment import videos
    from vidrec.extraction.engines import FlowSettings

    experiment = _experiment(options, required=False)
    store = _store(options, experiment)
    settings = experiment.data.flow.model_dump() if experiment else {}
    changes = {"engine": options.engine, "bound": options.bound}
    changes = {name: value for name, value in changes.items() if value is not None}
    settings = FlowSettings(**(settings | changes))
    source = options.videos
    if source is None and experiment and Path(experiment.data.videos).is_dir():
        source = experiment.data.videos
    if options.dry_run:
        how = {"experiment": experiment, "workers": options.workers}
        print(videos.plan(source, store, settings, **how))
        return 0
    how = {"experiment": experiment, **_how(options)}
    index = videos.extract_flow(store, settings, videos=source, **how)
    print(f"{index.n_flow.sum()} flow pairs of {len(index)} videos in {store.root}")
    return _report(videos.problems(index))


def audit(options):
    from vidrec.extraction.audit import audit as find
    from vidrec.extraction.repair import repair

    store = _store(options, None)
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

    store = _store(options, None)
    made = write(store, options.out, file_bytes=options.megabytes << 20)
    files = sum(made.files.values())
    print(f"{made.videos['frames']} videos in {files} TFRecord files in {options.out}")
    if made.without_images:
        print(f"{made.without_images} videos have no images: rows of the index alone")


def index(options):
    from vidrec.experiment import videos

    table = videos.index_store(options.data, options.layout, videos=options.videos)
    print(f"{len(table)} videos in {Path(options.data) / 'index.csv'}")
    return _report(videos.problems(table))


def merge(options):
    store = _store(options, None)
    print(f"{len(store.compact())} videos in {store.index_path}")


def train(options):
    from vidrec.experiment.train import train as train_stream

    experiment = _experiment(options)
    run = train_stream(
        experiment,
        options.stream,
        options.out,
        config_path=options.config,
        resume=options.resume,
    )
    print(f"{options.stream} stream: {run}")


def evaluate(options):
    from vidrec.evaluation.report import table
    from vidrec.experiment.evaluate import evaluate as score

    experiment = _experiment(options)
    print(table(score(experiment, options.out)))
    folder = Path(options.out) / experiment.name / "evaluation"
    print(f"Scores, accuracy per class, confusion matrices: {folder}")


def export(options):
    from vidrec.experiment.export import export as write

    experiment = _experiment(options)
    folder, difference = write(experiment, options.out, options.model)
    print(f"{folder}: largest difference of logits from Keras {difference:.1e}")


def predict(options):
    from vidrec.export.predictor import Predictor

    prediction = Predictor(options.model).predict(options.clip)
    print(options.clip)
    for name, probability in prediction.top(options.top):
        print(f"  {probability:7.2%}  {name}")


def demo(options):
    from vidrec.experiment import demo as main_job

    main_job.run(
        _experiment(options), options.out, config_path=options.config, workers=options.workers
    )


def _experiment(options, *, required=True):
    from vidrec import config

    if options.config is None and not required:
        return None
    given = vars(options)
    return config.load(
        options.config,
        seed=given.get("seed"),
        root=given.get("data"),
        videos=given.get("videos"),
    )


def _store(options, experiment):
    from vidrec.store import Store

    given = vars(options)
    root = options.data or (experiment and experiment.data.root)
    _need(root, "--data")
    layout = experiment.data.layout if experiment else given.get("layout", "vidrec")
    return Store(root, layout, given.get("shard"))


def _how(options):
    """How to extract, as `vidrec.extraction.batch.work` takes it."""
    return {name: getattr(options, name) for name in ("workers", "scheduler", "time_limit")}


def _need(value, flag):
    if value is None:
        raise ValueError(f"{flag} is missing (or give an experiment with --config)")


def _report(bad):
    """Names the videos that are not whole; the exit code."""
    for row in bad.itertuples():
        print(f"{row.status}: {row.message}", file=sys.stderr)
    if len(bad):
        print(f"{len(bad)} videos are not whole; the others are done.", file=sys.stderr)
    return 1 if len(bad) else 0


def _parser():
    parser = argparse.ArgumentParser(prog="vidrec", description=vidrec.__doc__)
    parser.add_argument("--version", action="version", version=f"vidrec {vidrec.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    workers = "processes, default one a core; 0 for none but this one"

    def verb(name, run, text, *, config=None):
        new = verbs.add_parser(name, help=text, description=text)
        new.set_defaults(run=run)
        if config == "flag":
            new.add_argument("--config", help="experiment (YAML) that says the rest")
        elif config == "first":
            new.add_argument("config", help="experiment (YAML)")
        elif config == "demo":
            new.add_argument("config", nargs="?", default=DEMO, help=f"default {DEMO}")
        if config:
            new.add_argument("--data", help="store: frames/, flow/ and index.csv")
        if config in ("first", "demo"):
            new.add_argument("--seed", type=int, help="replaces the experiment's seed")
            new.add_argument("--out", default=OUT, help=f"folder of all runs, default {OUT}")
        return new

    def how(new):
        new.add_argument("--workers", type=int, help=workers)
        new.add_argument("--shard", help="i/n: this machine's part of the videos, as in 2/4")
        new.add_argument("--scheduler", help="tcp://...: the workers of a dask cluster instead")
        new.add_argument("--time-limit", type=float, help="s, after which a video is given up")
        new.add_argument("--dry-run", action="store_true", help="only say what it would take")

    new = verb("extract-frames", extract_frames, "video files to JPG frames", config="flag")
    new.add_argument("--videos", help="folder with one sub-folder of videos per class")
    how(new)

    new = verb("extract-flow", extract_flow, "JPG frames to optical flow images", config="flag")
    new.add_argument("--videos", help="folder of videos: frames and flow in one pass")
    new.add_argument("--engine", help="fast (TV-L1, default), opencv (TV-L1), dis or farneback")
    new.add_argument("--bound", type=float, help="px, displacement of the codes 0 and 255")
    how(new)

    new = verb("audit", audit, "look at every image of a store, and mend what is broken")
    new.add_argument("--data", required=True, help="store: frames/, flow/ and index.csv")
    new.add_argument("--layout", default="vidrec", help="of the store, default vidrec")
    new.add_argument("--repair", action="store_true", help="extract again what is broken")
    new.add_argument("--workers", type=int, help=workers)

    new = verb("pack", pack, "a store into a few large TFRecord files, or back")
    new.add_argument("--data", required=True, help="store, or with --unpack a pack")
    new.add_argument("--layout", default="vidrec", help="of the store, default vidrec")
    new.add_argument("--out", required=True, help="new folder")
    new.add_argument("--unpack", action="store_true", help="loose files again, byte for byte")
    new.add_argument("--megabytes", type=int, default=256, help="of a file, default 256")

    new = verb("index", index, "index of frames and flow that another tool extracted")
    new.add_argument("--data", required=True, help="folder of the set")
    new.add_argument("--layout", required=True, help="tsn, mmaction2, feichtenhofer or vidrec")
    new.add_argument("--videos", help="folder of class folders, where the set itself has none")

    new = verb("merge", merge, "the indices of shards into one")
    new.add_argument("--data", required=True, help="store that shards were extracted into")

    new = verb("train", train, "train one stream through its stages", config="first")
    new.add_argument("--stream", required=True, choices=["spatial", "temporal"])
    new.add_argument("--resume", action="store_true", help="go on with the run that is there")

    verb("evaluate", evaluate, "top-1, top-5, per class, confusion; fusion", config="first")

    new = verb("export", export, "SavedModel that runs without vidrec", config="first")
    new.add_argument("--model", help="folder to write, default <out>/<experiment>/savedmodel")

    new = verb("predict", predict, "the most likely classes of a video file")
    new.add_argument("clip", help="video file")
    new.add_argument("--model", required=True, help="folder that `vidrec export` wrote")
    new.add_argument("--top", type=int, default=5)

    new = verb("demo", demo, "the main job on the embedded data set", config="demo")
    new.add_argument("--workers", type=int, help=workers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
