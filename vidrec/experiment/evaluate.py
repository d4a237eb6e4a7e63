"""Scores the test videos with each stream of an experiment, and with their fusion."""

import dataclasses
import json
from pathlib import Path

import pandas as pd

from vidrec.evaluation import fusion, metrics, plots, scores
from vidrec.experiment import clips
from vidrec.experiment.runs import WEIGHTS, fusion_of, load_for
from vidrec.experiment.splits import describe, split_videos
from vidrec.files import sha256, write_atomic


def evaluate(experiment, out):
    """Scores the test videos with each stream and with their fusion, and writes the results.

    Args:
        experiment: config.Experiment, its streams trained.
        out: folder of all runs.

    Writes into `<out>/<name>/evaluation`: a score file for each stream and draw and for the mean
    of the draws, accuracy per class and confusion matrix (CSV, PNG) of streams and fusion, and
    `summary.csv`.

    Confusion and accuracy per class are those of the draws' mean scores.

    Returns:
        DataFrame with one row for each stream and one for the fusion: top1 and top5 (mean over the
        draws), top1_low and top1_high (their range), mean_class_accuracy, chance, videos; of the
        whole data set missing and expected videos; and trained_missing and trained_expected, of
        the training that lacked most.

    Raises:
        FileNotFoundError: if a stream is not trained.
        ValueError: if a stream was trained on other classes, otherwise than it is to be tested, or
            on a video of the test.
    """
    folder = Path(out) / experiment.name / "evaluation"
    split, classes = split_videos(experiment)
    trained = {stream: load_for(experiment, stream, out) for stream in experiment.streams}
    draws = {
        stream: list(_score_draws(experiment, stream, trained[stream], split, classes, folder))
        for stream in experiment.streams
    }
    partial = max(stream.missing for stream in trained.values())
    if {"spatial", "temporal"} == draws.keys():
        weights, on = fusion_of(experiment)
        draws["fused"] = [
            fusion.fuse(pair, weights, on=on, normalize=experiment.fusion.normalize)
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
        averaged = experiment.evaluation.average == "scores"
        counted = [mean] if averaged else results
        found = pd.DataFrame([metrics.summary(result) for result in counted])
        rows.append(
            {"stream": name}
            | found[["top1", "top5", "mean_class_accuracy", "chance", "videos"]].mean().to_dict()
            | {"top1_low": found.top1.min(), "top1_high": found.top1.max()}
            | {"missing": split.missing, "expected": split.expected}
            | dict(zip(("trained_missing", "trained_expected"), partial, strict=True))
        )
    summary = pd.DataFrame(rows).set_index("stream").astype({"videos": int})
    write_atomic(folder / "summary.csv", summary.to_csv().encode())
    return summary


def _score_draws(experiment, stream, trained, split, classes, folder):
    if trained.classes != classes:
        raise ValueError(
            f"{trained.run} was trained on other classes: {list(trained.classes)}. "
            f"Received: {list(classes)}"
        )
    trained.check_unseen(split.test.video_id)
    settings = experiment.evaluation
    clip = experiment.clip_spec(stream, test=True)
    source = clips.clip_source(experiment, split.test, classes, clip, test=True)
    hashes = {
        "index_sha256": source.store.fingerprint(),
        "weights_sha256": sha256(trained.run / WEIGHTS),
    }
    video_ids = list(split.test.video_id)
    views_on = settings.views_on if settings.crops > 1 else None
    forward = scores.inference(trained.model, views_on=views_on)
    number = settings.draws if settings.sampling == "random" else 1
    for draw in range(number):
        stamp = {
            "experiment": experiment.name,
            "stream": stream,
            "protocol": _protocol(settings, clip),
            "draw": draw,
            "split": experiment.data.split.model_dump(mode="json"),
            "data": describe(experiment, split),
            "trained_on": trained.data,
            "clip": dataclasses.asdict(source.timing),
            "sampling": dataclasses.asdict(source.sampling),
            "short_side": settings.short_side,
            "resize": settings.resize,
            "crops": settings.crops,
            "views_on": views_on,
            "flow_flip": experiment.augment.flow_flip,
            "short_video": source.short_video,
            "fast_dct": source.fast_dct,
            **hashes,
        }
        path = folder / f"{stream}_draw{draw}.npz"
        result = _saved(path, stamp, video_ids)
        if result is None:
            batches = clips.evaluation_batches(experiment, source, draw=draw)
            with source.guard.explained():
                result = scores.predict_scores(forward, batches, video_ids, classes, stamp)
            scores.save_scores(path, result)
        top1 = metrics.top_k_accuracy(result, 1)
        print(f"{stream}: draw {draw + 1} of {number}, top-1 {top1:.1%}", flush=True)
        yield result


def _protocol(settings, clip):
    """What must agree of two tests, in words."""
    views = f", {settings.crops} views" if settings.crops > 1 else ""
    return f"{settings.sampling}, {clip.segments} segments{views}"


def _saved(path, stamp, video_ids):
    """Scores of an earlier evaluation, if they are of the same weights, videos and draw."""
    try:
        found = scores.load_scores(path)
    except (FileNotFoundError, ValueError):
        return None
    wanted = json.loads(json.dumps(stamp))
    return found if found.stamp == wanted and found.video_id.tolist() == video_ids else None
