"""Verbs that train, score and export models, and use them."""

import sys

from vidrec.cli.options import STREAMS, WORKERS, add_experiment, add_verb, experiment_of

OUT = "runs"
ATTENTION = "attention.png"
DEMO = "experiments/multiseg_xception/demo.yaml"


def train(options):
    from vidrec.experiment.train import train as train_stream

    experiment = experiment_of(options)
    streams = [options.stream] if options.stream else experiment.trained
    if not streams:
        raise ValueError(
            f"{options.config} trains no stream: it takes those of other experiments. Evaluate it"
        )
    for stream in streams:
        run = train_stream(
            experiment,
            stream,
            options.out,
            config_path=options.config,
            resume=options.resume,
            keep=options.keep,
            minutes=options.minutes,
            slurm=options.slurm,
            wandb=options.wandb,
        )
        print(f"{stream} stream: {run}")


def evaluate(options):
    from vidrec.evaluation.report import table
    from vidrec.experiment.evaluate import evaluate as score
    from vidrec.experiment.evaluate import evaluate_splits, evaluation_folder

    experiment = experiment_of(options)
    if options.splits:
        if options.split or options.side != "test":
            raise ValueError("--splits goes without --split, and is of the tests, not of --side")
        found = evaluate_splits(experiment, options.out, options.splits, named=options.protocol)
        print(found.to_string(float_format=lambda share: f"{share:.1%}"))
        return
    print(table(score(experiment, options.out, side=options.side, named=options.protocol)))
    folder = evaluation_folder(experiment, options.out, options.side, options.protocol)
    print(f"Scores, accuracy per class, confusion matrices: {folder}")


def export(options):
    from vidrec.experiment.export import CONVERTED, convert
    from vidrec.experiment.export import export as write

    data = {"root": options.data, "lists": options.lists}
    if options.to and options.to.endswith(CONVERTED):
        found, notes = convert(options.folder, options.to, quantize=options.quantize, **data)
        print("\n".join([f"{options.to}: {found}", *notes]))
        return
    if options.quantize:
        raise ValueError("--quantize is of a .tflite file: name one as what is to be written")
    done = write(options.folder, options.to, check=options.check, compiled=options.xla, **data)
    clips = f"a random clip and {done.real_clips} real ones"
    print(f"{done.folder}")
    print(f"Keras against SavedModel: largest difference of a logit {done.difference:.1e}, {clips}")
    if done.agreement:
        print(f"Raw video against flow of the processor's engine: {done.agreement}")
    for note in done.notes:
        print(note)


def predict(options):
    from vidrec.experiment.predict import Options
    from vidrec.experiment.predict import predict as predict_all

    names = ("top", "evidence", "window", "stride", "seconds", "results", "annotated", "out")
    chosen = Options(**{name: getattr(options, name) for name in names})
    failed = predict_all(options.videos, options.model, chosen)
    if failed:
        print(f"{failed} videos could not be predicted.", file=sys.stderr)
    return 1 if failed else 0


def show_attention(options):
    from vidrec.experiment.attention import TOP
    from vidrec.experiment.attention import show_attention as draw

    prediction = draw(options.folder, options.clip, options.out, columns=options.columns)
    print("\n".join([options.clip, *prediction.told(TOP)]))
    print(options.out)


def demo(options):
    from vidrec.experiment import demo as main_job

    main_job.run(
        experiment_of(options), options.out, config_path=options.config, workers=options.workers
    )


def add(verbs):
    """Adds these verbs."""
    new = _add_experiment(verbs, "train", train, "train the streams through their stages")
    new.add_argument("--stream", choices=STREAMS, help="just this one")
    new.add_argument("--resume", action="store_true", help="go on with the run that is there")
    new.add_argument("--keep", type=int, default=2, help="checkpoints that stay, default 2")
    text = "a checkpoint at least every so many, default 15; 0 for those of the stages alone"
    new.add_argument("--minutes", type=float, default=15, help=text)
    text = "train on all machines of this step of SLURM; others are found in TF_CONFIG"
    new.add_argument("--slurm", action="store_true", help=text)
    text = "show curves, clips and confusions in this project of Weights & Biases"
    new.add_argument("--wandb", metavar="PROJECT", help=text)

    new = _add_experiment(verbs, "evaluate", evaluate, "top-1, top-5, per class, confusion; fusion")
    new.add_argument("--protocol", help="another test than the file's, in a folder of its own")
    text = "validation: the videos on which `vidrec fuse --sweep` may look for weights"
    new.add_argument("--side", choices=("test", "validation"), default="test", help=text)
    text = "several splits, their mean and standard deviation"
    new.add_argument("--splits", nargs="+", metavar="SPLIT", help=text)

    new = add_verb(verbs, "export", export, "a model that runs without vidrec")
    text = "run folder of a stream, or of an experiment: all its streams, fused"
    new.add_argument("folder", metavar="run", help=text)
    text = (
        "folder of the SavedModel's versions, default <run>/savedmodel; or a .tflite or .onnx file"
    )
    new.add_argument("to", nargs="?", metavar="model", help=text)
    text = "of a .tflite file: weights in half, or in a quarter of the space"
    new.add_argument("--quantize", choices=("float16", "dynamic"), help=text)
    new.add_argument("--data", help="store of the test videos, default as the run says")
    new.add_argument("--lists", help="folder of the official lists, default as the run says")
    text = "test videos on which flow in the graph is compared, default 10; 0 for none"
    new.add_argument("--check", type=int, default=10, help=text)
    text = "compile the flow of raw video: faster, for TensorFlow with XLA"
    new.add_argument("--xla", action="store_true", help=text)

    new = add_verb(verbs, "predict", predict, "the most likely classes of videos, or of a camera")
    text = "video file, folder of images, folder of videos, or number of a camera"
    new.add_argument("videos", nargs="+", metavar="video", help=text)
    new.add_argument("--model", required=True, help="folder that `vidrec export` wrote")
    new.add_argument("--top", type=int, default=5, help="classes that are told, default 5")
    new.add_argument("--evidence", action="store_true", help="what each segment says alone, too")
    text = "seconds: long videos are taken in such parts, with a timeline; a camera in 4 s"
    new.add_argument("--window", type=float, help=text)
    text = "seconds from part to part, default half of --window"
    new.add_argument("--stride", type=float, help=text)
    new.add_argument("--seconds", type=float, help="leave a camera after so many; default ctrl-C")
    new.add_argument("--results", metavar="FILE", help="a .json or .csv file to write")
    text = "write each video as MP4 with classes, probabilities and flow"
    new.add_argument("--annotate", action="store_true", dest="annotated", help=text)
    text = "folder of these and of timelines, default predictions"
    new.add_argument("--out", default="predictions", help=text)

    text = "a picture of where a trained stream with attention looks in a video"
    new = add_verb(verbs, "show-attention", show_attention, text)
    new.add_argument("folder", metavar="run", help="run folder of the stream, of `vidrec train`")
    new.add_argument("clip", help="video file")
    new.add_argument("--out", default=ATTENTION, help=f"PNG to write, default {ATTENTION}")
    new.add_argument("--columns", type=int, default=8, help="frames shown, default 8")

    text = "the main job on the embedded data set"
    new = _add_experiment(verbs, "demo", demo, text, default=DEMO)
    new.add_argument("--workers", type=int, help=WORKERS)


def _add_experiment(verbs, name, run, text, *, default=None):
    new = add_verb(verbs, name, run, text)
    add_experiment(new, default=default)
    new.add_argument("--out", default=OUT, help=f"folder of all runs, default {OUT}")
    return new
