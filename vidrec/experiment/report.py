"""A page of HTML about evaluated runs, in one file that needs nothing else."""

import base64
import json
from pathlib import Path

import cv2
import jinja2
import pandas as pd

import vidrec
from vidrec import config
from vidrec.clip import ClipSpec
from vidrec.evaluation import metrics
from vidrec.evaluation.claims import read_claims
from vidrec.evaluation.scores import load_scores
from vidrec.experiment.claims import CLAIMS
from vidrec.experiment.evidence import draw_evidence
from vidrec.experiment.runs import CONFIG, PROVENANCE, load_for
from vidrec.experiment.splits import split_videos
from vidrec.files import new_file
from vidrec.pipeline import dataset
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store
from vidrec.training.callbacks import read_log

TEMPLATE = Path(__file__).with_name("report.html")
PAIRS, SIDE = 8, 160  # pairs that are shown, and px of their pictures
MADE = ("command", "git_commit", "vidrec", "tensorflow", "keras", "python", "machine", "seed")


def report(runs, path, *, claims="experiments", root=None, evidence=True):
    """Writes the page.

    Args:
        runs: paths of experiments' folders, `<out>/<name>`, that `evaluate` has written into.
        path: the HTML file to write; it appears whole or not at all.
        claims: folder of the experiments, where a paper's claims lie; none are shown without it.
        root: the store of frames and flow, or None for where each experiment says; pictures of
            videos are left out where it is not there.
        evidence: bool, whether clips are run through the networks, to draw what they saw.

    Raises:
        FileNotFoundError: if a folder holds no evaluation, or a stream is not trained.
    """
    found = [_run(Path(run), Path(claims), root, evidence) for run in runs]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    title = f"vidrec: {', '.join(run['name'] for run in found)}"
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title, runs=found
    )
    with new_file(path) as file:
        file.write(page.encode())


def _run(run, claims, root, evidence):
    """What the template shows of a run."""
    folder = run / "evaluation"
    if not (folder / "summary.csv").is_file() or not (folder / CONFIG).is_file():
        raise FileNotFoundError(
            f"{run} must hold an evaluation: run `vidrec evaluate` with its configuration first."
        )
    overrides = {"allow_missing": True} | ({} if root is None else {"root": root})
    experiment = config.load(folder / CONFIG, **overrides)
    out = run.parent
    summary = pd.read_csv(folder / "summary.csv", index_col="stream")
    main = summary.index[-1]  # the fusion, where there is one
    trained = {name: load_for(experiment, name, out) for name in experiment.streams}
    scores = load_scores(folder / f"{main}.npz")
    videos = _videos(experiment, scores)
    shown = {
        "name": experiment.name,
        "facts": _facts(experiment, scores),
        "warnings": _warnings(summary, videos),
        "accuracy": [_accuracy(name, row) for name, row in summary.iterrows()],
        "chance": f"{summary.chance.iloc[0]:.1%}",
        "protocol": scores.stamp["protocol"],
        "claims": list(_claims(claims, experiment, summary.loc[main])),
        "curves": [],
        "training": {},
        "confusion": _picture(folder / f"{main}_confusion.png"),
        "evidence": [],
        "made": _made(trained),
        "config": config.dump(experiment),
    }
    shown["pairs"] = _pairs(experiment, scores, videos)
    shown["thumbnails"] = any(pair["wrong"] for pair in shown["pairs"])
    for name, stream in trained.items():
        if (stream.run / "curves.png").is_file():
            shown["curves"].append((name, _picture(stream.run / "curves.png")))
            shown["training"][name] = _training(stream.run)
        if evidence and videos is not None:
            drawn = folder / f"{name}_evidence.png"
            own = load_scores(folder / f"{name}.npz")
            draw_evidence(stream, experiment, videos, own, drawn)
            shown["evidence"].append((name, _picture(drawn)))
    return shown


def _videos(experiment, scores):
    """The index's rows of the test, or None where the store has not all of them."""
    if not Store(experiment.data.root, experiment.data.layout).index_path.is_file():
        return None
    split, _ = split_videos(experiment)
    return split.test if set(scores.video_id) <= set(split.test.video_id) else None


def _facts(experiment, scores):
    data = experiment.data
    yield f"model {experiment.model.name}"
    yield f"data set {data.dataset}, split {data.split.name}"
    yield f"{len(scores.classes)} classes, {len(scores.video_id)} test videos"
    yield f"seed {experiment.seed}"
    yield f"vidrec {vidrec.__version__}"


def _warnings(summary, videos):
    first = summary.iloc[0]
    if first.missing:
        yield f"Partial data: {first.missing:,.0f} of {first.expected:,.0f} videos are missing."
    if first.trained_missing:
        of = f"{first.trained_missing:,.0f} of {first.trained_expected:,.0f}"
        yield f"Trained on partial data: {of} videos were missing."
    if videos is None:
        yield "The frames and flow of these videos are not here, so none are shown (--data)."


def _accuracy(name, row):
    return {
        "stream": name,
        "top1": f"{row.top1:.1%}",
        "draws": f"{row.top1_low:.1%} to {row.top1_high:.1%}",
        "interval": f"{row.interval_low:.1%} to {row.interval_high:.1%}",
        "top5": f"{row.top5:.1%}",
        "mean_class": f"{row.mean_class_accuracy:.1%}",
        "calibration": f"{row.calibration_error:.3f}",
        "videos": int(row.videos),
    }


def _claims(folder, experiment, ours):
    """(Claim, ours) of what a paper claims for this experiment and needs data. Ours is that of its
    evaluation, of a row whose command ends with that."""
    for path in sorted(folder.glob(f"*/{CLAIMS}")):
        files = [file for file in path.parent.glob("*.yaml") if _named(file, experiment)]
        for claim in read_claims(path):
            last = claim.commands[-1]
            if not any(last.endswith(f"/{file.name}") for file in files):
                continue
            evaluated = claim.unit == "%" and " evaluate " in last
            top = ours.top5 if "top-5" in claim.claim else ours.top1
            yield claim, f"{top:.1%}" if evaluated else ""


def _named(file, experiment):
    """Whether it is the experiment's file, on whatever split."""
    name = experiment.name.removesuffix(f"_{experiment.data.split.name}")
    return any(
        line.strip() == f"name: {name}" for line in file.read_text(encoding="utf-8").splitlines()
    )


def _training(run):
    log = read_log(run / "log.csv")
    epochs = ", ".join(
        f"{len(rows)} epochs of {stage}" for stage, rows in log.groupby("stage", sort=False)
    )
    return (
        f"{epochs}; at the end loss {log.loss.iloc[-1]:.3f}, accuracy {log.accuracy.iloc[-1]:.1%}"
    )


def _made(trained):
    """(name, value) of what the streams' runs were made by."""
    told = {
        name: json.loads((one.run / PROVENANCE).read_text(encoding="utf-8"))
        for name, one in trained.items()
    }
    for key in MADE:
        values = {name: facts.get(key) for name, facts in told.items()}
        texts = {
            name: " ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }
        if len(set(texts.values())) == 1:
            yield key.replace("_", " "), next(iter(texts.values()))
        else:
            yield from ((f"{key.replace('_', ' ')}, {name}", text) for name, text in texts.items())


def _pairs(experiment, scores, videos):
    """The pairs of classes that are confused most, with a picture of either."""
    table = metrics.confused_pairs(metrics.confusion_matrix(scores), PAIRS)
    predicted = pd.Series(scores.predicted, index=scores.video_id)
    label = pd.Series(scores.label, index=scores.video_id)
    number = {name: i for i, name in enumerate(scores.classes)}
    examples = []
    for row in table.itertuples():
        true, other = number[row.true], number[row.predicted]
        wrong = label.index[(label == true) & (predicted == other)][0]
        like = label.index[(label == other) & (predicted == other)]
        examples.append((wrong, like[0] if len(like) else None))
    names = sorted({name for pair in examples for name in pair if name})
    pictures = _thumbnails(experiment, names, videos)
    return [
        {
            "true": row.true,
            "predicted": row.predicted,
            "videos": row.videos,
            "of": int((label == number[row.true]).sum()),
            "wrong": pictures.get(wrong),
            "like": pictures.get(like),
        }
        for row, (wrong, like) in zip(table.itertuples(), examples, strict=True)
    ]


def _thumbnails(experiment, names, videos):
    """{video_id: the middle frame as a data URI}; of videos whose frames are there."""
    if videos is None or not names or (videos.n_frames < 1).any():
        return {}
    table = videos[videos.video_id.isin(names)]
    source = ClipSource(
        store=Store(experiment.data.root, experiment.data.layout),
        table=table,
        classes=sorted(set(table.label)),
        clip=ClipSpec(segments=1, size=SIDE, modalities=("rgb",)),
        sampling=Sampling(policy="even"),
    )
    found = {}
    with source.guard.explained():
        for images, _, facts in dataset.evaluation_clips(source, batch_size=8, short_side=SIDE):
            for name, image in zip(facts["video_id"].numpy(), images["rgb"].numpy(), strict=True):
                _, coded = cv2.imencode(".jpg", cv2.cvtColor(image[0], cv2.COLOR_RGB2BGR))
                found[name.decode()] = _uri(coded.tobytes(), "jpeg")
    return found


def _picture(path):
    return _uri(path.read_bytes(), "png")


def _uri(content, kind):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
