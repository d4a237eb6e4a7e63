"""Verbs for what came out: score files, and the claims of the papers."""

from pathlib import Path

from vidrec.cli.options import add_verb

ON = ("scores", "probabilities")


def fuse(options):
    from vidrec.evaluation.fusion import fuse as fuse_scores
    from vidrec.evaluation.report import score_table
    from vidrec.evaluation.scores import load_scores, save_scores
    from vidrec.evaluation.sweep import sweep_weights
    from vidrec.files import write_atomic

    scores = [load_scores(path) for path in options.files]
    if options.sweep:
        if options.weights or options.normalize:
            raise ValueError(
                "--sweep looks for the weights itself: leave --weights, --normalize out"
            )
        found = sweep_weights(scores, on=options.on, step=options.step)
        print(found.head(10).to_string(index=False))
        if options.out:
            write_atomic(options.out, found.to_csv(index=False).encode())
            print(options.out)
        return
    weights = options.weights or [1.0] * len(scores)
    fused = fuse_scores(scores, weights, on=options.on, normalize=options.normalize)
    print(score_table(dict(zip([*options.files, "fused"], [*scores, fused], strict=True))))
    if options.out:
        save_scores(options.out, fused)
        print(options.out)


def compare(options):
    from vidrec.evaluation.report import score_table
    from vidrec.evaluation.scores import load_scores
    from vidrec.evaluation.statistics import mcnemar

    first, second = (load_scores(path) for path in options.files)
    found = mcnemar(first, second)
    print(score_table(dict(zip(options.files, (first, second), strict=True))))
    print(
        f"{found['only_first']} videos only the first has right, {found['only_second']} only the "
        f"second. If both were equally good, so large a difference would come with a probability "
        f"of {found['p']:.2g} (McNemar's exact test)"
    )


def import_scores(options):
    from vidrec.config.data import Split
    from vidrec.evaluation.imported import import_scores as read
    from vidrec.evaluation.scores import load_scores, save_scores

    classes = (
        Path(options.classes).read_text(encoding="utf-8").splitlines() if options.classes else None
    )
    if options.like and (options.protocol or options.split):
        raise ValueError("--like says what the scores are of: leave --protocol and --split out")
    if options.like:
        like = load_scores(options.like)
        test, classes = like.stamp, classes or like.classes
    elif options.protocol and options.split:
        split = Split(name=options.split).model_dump(mode="json")
        test = {"protocol": options.protocol, "split": split, "side": options.side}
    else:
        raise ValueError("What the scores are of is missing: --like, or --protocol and --split")
    scores = read(options.file, test=test, classes=classes, probabilities=options.probabilities)
    save_scores(options.out, scores)
    print(f"{options.out}: {len(scores.video_id)} videos, {len(scores.classes)} classes")


def report(options):
    from vidrec.experiment.report import report as write

    pictures = {"root": options.data, "evidence": not options.no_evidence}
    write(options.runs, options.out, claims=options.claims, **pictures)
    print(options.out)


def diagnose(options):
    from vidrec.experiment.diagnosis.run import diagnose as look

    found = look(options.run_folder, options.data)
    for number, finding in enumerate(found, 1):
        print(f"{number}. {finding}")
    if not found:
        print("Nothing unusual: data, training and test are as the reference has them.")


def claims(options):
    from vidrec.experiment.claims import LEDGER, run_claims

    print(run_claims(options.folder).to_string())
    print(f"{options.folder}/{LEDGER}")


def add(verbs):
    """Adds these verbs."""
    new = add_verb(verbs, "fuse", fuse, "sum the scores of several streams, by video")
    new.add_argument("files", nargs="+", metavar="FILE", help="score files (.npz)")
    new.add_argument("--weights", nargs="+", type=float, help="one a file, default 1 for each")
    new.add_argument("--on", choices=ON, default=ON[0], help="what is summed, default scores")
    new.add_argument("--normalize", action="store_true", help="divide by the sum of the weights")
    text = "look for the best weights; the files are of `vidrec evaluate --side validation`"
    new.add_argument("--sweep", action="store_true", help=text)
    text = "of the weights of --sweep, from one to the next; default 0.05"
    new.add_argument("--step", type=float, default=0.05, help=text)
    new.add_argument("--out", help="score file to write; of --sweep a .csv of all weights")

    text = "whether one of two score files is better: accuracies, intervals, McNemar's test"
    new = add_verb(verbs, "compare", compare, text)
    new.add_argument("files", nargs=2, metavar="FILE", help="score files (.npz) of one test")

    text = "another tool's scores as a score file"
    new = add_verb(verbs, "import-scores", import_scores, text)
    new.add_argument("file", help=".csv (video_id, label, a column a class) or .npz")
    new.add_argument("--out", required=True, help="score file to write")
    new.add_argument("--like", help="score file of the same test and the same classes")
    new.add_argument("--protocol", help="of the test, in the words of our score files")
    new.add_argument("--split", help="of the test, as official-1")
    new.add_argument("--side", choices=("test", "validation"), default="test")
    new.add_argument("--classes", help="text file, a class a line, in the order of the scores")
    text = "they are probabilities, not logits"
    new.add_argument("--probabilities", action="store_true", help=text)

    text = "a page of HTML: accuracy, the paper's figures, curves, confusions, what was seen"
    new = add_verb(verbs, "report", report, text)
    text = "folders of evaluated experiments, <out>/<name>"
    new.add_argument("runs", nargs="+", metavar="RUN", help=text)
    new.add_argument("--out", default="report.html", help="file to write, default report.html")
    new.add_argument("--data", help="store: frames/, flow/ and index.csv")
    text = "folder of the experiments, for the papers' figures; default experiments"
    new.add_argument("--claims", default="experiments", help=text)
    text = "run no clips through the networks"
    new.add_argument("--no-evidence", action="store_true", help=text)

    text = "why is my accuracy low: looks for what goes wrong most often"
    new = add_verb(verbs, "diagnose", diagnose, text)
    new.add_argument("run_folder", metavar="RUN", help="run folder of a stream")
    text = "store: frames/, flow/ and index.csv; default that of the run"
    new.add_argument("data", nargs="?", help=text)

    text = "check what the papers claim, and write the ledger"
    new = add_verb(verbs, "claims", claims, text)
    text = "the experiments, with claims.csv beside each paper's; default experiments"
    new.add_argument("folder", nargs="?", default="experiments", help=text)
