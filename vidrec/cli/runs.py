"""Verbs that train, score and export models, and use them."""

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
    from vidrec.experiment.export import export as write

    folder, difference = write(experiment_of(options), options.out, options.model)
    print(f"{folder}: largest difference of logits from Keras {difference:.1e}")


def predict(options):
    from vidrec.export.predictor import Predictor

    predictor = Predictor(options.model)
    prediction = predictor.predict(options.clip)
    _print_classes(options.clip, prediction.top(options.top))
    for note in predictor.notes:
        print(note)


def show_attention(options):
    from vidrec.experiment.attention import TOP
    from vidrec.experiment.attention import show_attention as draw

    prediction = draw(options.folder, options.clip, options.out, columns=options.columns)
    _print_classes(options.clip, prediction.top(TOP))
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

    new = _add_experiment(verbs, "export", export, "SavedModel that runs without vidrec")
    new.add_argument("--model", help="folder to write, default <out>/<experiment>/savedmodel")

    new = add_verb(verbs, "predict", predict, "the most likely classes of a video file")
    new.add_argument("clip", help="video file")
    new.add_argument("--model", required=True, help="folder that `vidrec export` wrote")
    new.add_argument("--top", type=int, default=5)

    text = "a picture of where a trained stream with attention looks in a video"
    new = add_verb(verbs, "show-attention", show_attention, text)
    new.add_argument("folder", metavar="run", help="run folder of the stream, of `vidrec train`")
    new.add_argument("clip", help="video file")
    new.add_argument("--out", default=ATTENTION, help=f"PNG to write, default {ATTENTION}")
    new.add_argument("--columns", type=int, default=8, help="frames shown, default 8")

    text = "the main job on the embedded data set"
    new = _add_experiment(verbs, "demo", demo, text, default=DEMO)
    new.add_argument("--workers", type=int, help=WORKERS)


def _print_classes(clip, top):
    print(clip)
    for name, probability in top:
        print(f"  {probability:7.2%}  {name}")


def _add_experiment(verbs, name, run, text, *, default=None):
    new = add_verb(verbs, name, run, text)
    add_experiment(new, default=default)
    new.add_argument("--out", default=OUT, help=f"folder of all runs, default {OUT}")
    return new
