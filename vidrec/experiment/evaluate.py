"""Scores the test videos with each stream of an experiment, and with their fusion."""

import hashlib
from pathlib import Path

import pandas as pd

from vidrec import config
from vidrec.evaluation import fusion, metrics, plots, scores
from vidrec.experiment import clips
from vidrec.experiment.runs import WEIGHTS, load_stream, stream_folder
from vidrec.experiment.videos import split_videos
from vidrec.files import write_atomic


def evaluate(experiment, out):
    """Scores the test videos with each stream and with their fusion.

    Writes into `<out>/<name>/evaluation`: a score file for each stream and draw and for the mean
    of the draws, accuracy per class and confusion matrix (CSV, PNG) of streams and fusion, and
    `summary.csv`.

    Returns:
        DataFrame with one row for each stream and one for the fusion: top1 and top5 (mean over the
        draws), top1_low and top1_high (their range), mean_class_accuracy, chance, videos.
    """
    folder = Path(out) / experiment.name / "evaluation"
    _, test_videos, classes = split_videos(experiment)
    draws = {
        stream: list(_score_draws(experiment, stream, out, test_videos, classes, folder))
        for stream in experiment.streams
    }
    if len(draws) == 2:
        settings = experiment.fusion
        weights = (settings.spatial, settings.temporal)
        draws["fused"] = [
            fusion.fuse(pair, weights, on=experiment.fused_on, normalize=settings.normalize)
            for pair in zip(draws["spatial"], draws["temporal"], strict=True)
        ]
    rows = []
    for name, results in draws.items():
        mean = fusion.average_scores(results)
        scores.save_scores(folder / f"{name}.npz", mean)
        metrics.per_class_accuracy(mean).to_csv(folder / f"{name}_per_class.csv", index=False)
        matrix = metrics.confusion_matrix(mean)
        matrix.to_csv(folder / f"{name}_confusion.csv")
        plots.plot_confusion(matrix, folder / f"{name}_confusion.png", name)
        found = pd.DataFrame([metrics.summary(result) for result in results])
        rows.append(
            {"stream": name}
            | found[["top1", "top5", "mean_class_accuracy", "chance", "videos"]].mean().to_dict()
            | {"top1_low": found.top1.min(), "top1_high": found.top1.max()}
        )
    summary = pd.DataFrame(rows).set_index("stream").astype({"videos": int})
    write_atomic(folder / "summary.csv", summary.to_csv().encode())
    return summary


def _score_draws(experiment, stream, out, test_videos, classes, folder):
    run = stream_folder(experiment, stream, out)
    model, trained = load_stream(run)
    if trained != classes:
        raise ValueError(
            f"{run} was trained on other classes: {list(trained)}. Received: {list(classes)}"
        )
    settings = experiment.evaluation
    clip = experiment.clip_spec(config.STREAMS[stream])
    source = clips.clip_source(experiment, test_videos, classes, clip)
    weights_hash = _sha256(run / WEIGHTS)
    video_ids, forward = list(test_videos.video_id), scores.inference(model)
    number = settings.draws if settings.sampling == "random" else 1
    for draw in range(number):
        stamp = {
            "experiment": experiment.name,
            "stream": stream,
            "protocol": f"{settings.sampling}, {experiment.clip.segments} segments",
            "draw": draw,
            "split": experiment.data.split.model_dump(mode="json"),
            "short_side": settings.short_side,
            "index_sha256": _sha256(source.store.index_path),
            "weights_sha256": weights_hash,
        }
        path = folder / f"{stream}_draw{draw}.npz"
        if path.exists() and scores.load_scores(path).stamp == stamp:
            result = scores.load_scores(path)  # the same weights, videos and draw
        else:
            batches = clips.evaluation_batches(experiment, source, draw=draw)
            result = scores.predict_scores(forward, batches, video_ids, classes, stamp)
            scores.save_scores(path, result)
        top1 = metrics.top_k_accuracy(result, 1)
        print(f"{stream}: draw {draw + 1} of {number}, top-1 {top1:.1%}", flush=True)
        yield result


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
