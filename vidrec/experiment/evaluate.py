"""Scores the test videos with each stream of an experiment, and with their fusion."""

import dataclasses
import json
from pathlib import Path

import pandas as pd

from vidrec import config
from vidrec.evaluation import fusion, metrics, plots, scores
from vidrec.evaluation.statistics import calibration_error, top1_interval
from vidrec.experiment import clips
from vidrec.experiment.runs import CONFIG, WEIGHTS, fusion_of, load_for
from vidrec.experiment.splits import describe, split_videos
from vidrec.files import sha256, write_atomic


def evaluate(experiment, out, *, side="test", named=None):
    """Scores the test videos with each stream and with their fusion, and writes the results.

    Args:
        experiment: config.Experiment, its streams trained.
        out: folder of all runs.
        side: "test", or "validation" for the videos on which fusion weights may be looked for.
        named: str or None, what the folder's name ends with, of a test that is not the file's.

    Writes into `evaluation_folder`: a score file for each stream and draw and for the mean of the
    draws, accuracy per class, confusion matrix (CSV, PNG) and the most confused pairs of streams
    and fusion, the configuration, and `summary.csv`. All but the accuracies are of the draws' mean
    scores.

    Returns:
        DataFrame with one row for each stream and one for the fusion: top1 and top5 (mean over the
        draws), top1_low and top1_high (their range), mean_class_accuracy, chance, videos;
        interval_low and interval_high (bootstrap of top1, 95 %); calibration_error; missing and
        expected videos of the whole data set; and trained_missing and trained_expected, of the
        training that lacked most.

    Raises:
        FileNotFoundError: if a stream is not trained.
        ValueError: if a stream was trained on other classes, otherwise than it is to be tested, or
            on a video of the test; if the split has no such side.
    """
    folder = evaluation_folder(experiment, out, side, named)
    split, classes = split_videos(experiment)
    if side not in split.sides:
        raise ValueError(
            f"Split {experiment.data.split.name} must have {side} videos, as random-8:1:1 has. "
            f"Received: {' and '.join(split.sides)} videos"
        )
    trained = {stream: load_for(experiment, stream, out) for stream in experiment.streams}
    draws = {
        stream: list(_score_draws(experiment, trained[stream], split, side, classes, folder))
        for stream in experiment.streams
    }
    if {"spatial", "temporal"} == draws.keys():
        weights, on = fusion_of(experiment)
        draws["fused"] = [
            fusion.fuse(pair, weights, on=on, normalize=experiment.fusion.normalize)
            for pair in zip(draws["spatial"], draws["temporal"], strict=True)
        ]
    partial = max(stream.missing for stream in trained.values())
    rows = []
    for name, results in draws.items():
        mean = fusion.average_scores(results)
        _write(folder, name, mean)
        counted = [mean] if experiment.evaluation.average == "scores" else results
        rows.append(
            {"stream": name}
            | _accuracies(counted)
            | dict(zip(("interval_low", "interval_high"), top1_interval(*counted), strict=True))
            | {"calibration_error": calibration_error(mean)}
            | {"missing": split.missing, "expected": split.expected}
            | dict(zip(("trained_missing", "trained_expected"), partial, strict=True))
        )
    write_atomic(folder / CONFIG, config.dump(experiment).encode())
    summary = pd.DataFrame(rows).set_index("stream").astype({"videos": int})
    write_atomic(folder / "summary.csv", summary.to_csv().encode())
    return summary


def _accuracies(results):
    """The means over several draws, and the range of top-1."""
    found = pd.DataFrame([metrics.summary(result) for result in results])
    means = found[["top1", "top5", "mean_class_accuracy", "chance", "videos"]].mean().to_dict()
    return means | {"top1_low": found.top1.min(), "top1_high": found.top1.max()}


def _write(folder, name, mean):
    """The files of a stream, or of the fusion."""
    scores.save_scores(folder / f"{name}.npz", mean)
    metrics.per_class_accuracy(mean).to_csv(folder / f"{name}_per_class.csv", index=False)
    matrix = metrics.confusion_matrix(mean)
    matrix.to_csv(folder / f"{name}_confusion.csv")
    pairs = metrics.confused_pairs(matrix)
    pairs.to_csv(folder / f"{name}_confused_pairs.csv", index=False)
    plots.plot_confusion(matrix, folder / f"{name}_confusion.png", name)


def evaluate_splits(experiment, out, splits, *, named=None):
    """Evaluates several splits of a data set; `<out>/<name>/splits.csv` has what is returned.

    Args:
        experiment: config.Experiment; see `config.of_split` for the runs of the other splits.
        out: folder of all runs.
        splits: names, two or more.
        named: see `evaluate`.

    Returns:
        float DataFrame, rows the streams and the fusion: top-1 of each split, their mean and their
        standard deviation (of a sample: divided by the number of splits less 1).

    Raises:
        As `evaluate`.
        ValueError: if there are not two splits, or one comes twice.
    """
    if len(set(splits)) != len(splits) or len(splits) < 2:
        raise ValueError(f"`splits` must be two or more, each once. Received: {list(splits)}")
    found = {}
    for split in splits:
        print(f"{split}:", flush=True)
        found[split] = evaluate(config.of_split(experiment, split), out, named=named).top1
    table = pd.DataFrame(found)
    table = table.assign(mean=table.mean(axis=1), sd=table.std(axis=1, ddof=1))
    write_atomic(Path(out) / experiment.name / "splits.csv", table.to_csv().encode())
    return table


def evaluation_folder(experiment, out, side="test", named=None):
    """Where `evaluate` writes, Path: `<out>/<experiment>/evaluation`, with what is not as usual
    behind it."""
    parts = "evaluation", None if side == "test" else side, named
    return Path(out) / experiment.name / "_".join(filter(None, parts))


def _score_draws(experiment, trained, split, side, classes, folder):
    if trained.classes != classes:
        raise ValueError(
            f"{trained.run} was trained on other classes: {list(trained.classes)}. "
            f"Received: {list(classes)}"
        )
    stream, videos = trained.stream, split.sides[side]
    trained.check_unseen(videos.video_id)
    settings = experiment.evaluation
    clip = experiment.clip_spec(stream, test=True)
    source = clips.clip_source(experiment, videos, classes, clip, test=True)
    hashes = {
        "index_sha256": source.store.fingerprint(),
        "weights_sha256": sha256(trained.run / WEIGHTS),
    }
    video_ids = list(videos.video_id)
    views_on = settings.views_on if settings.views > 1 else None
    forward = scores.inference(trained.model, views_on=views_on)
    number = settings.draws if settings.sampling == "random" else 1
    for draw in range(number):
        stamp = {
            "experiment": experiment.name,
            "stream": stream,
            "protocol": _protocol(experiment, clip),
            "draw": draw,
            "split": experiment.data.split.model_dump(mode="json"),
            "side": side,
            "data": describe(experiment, split),
            "trained_on": trained.data,
            "clip": dataclasses.asdict(source.timing),
            "sampling": dataclasses.asdict(source.sampling),
            "short_side": settings.short_side,
            "resize": settings.resize,
            "crops": settings.crops,
            "clips": settings.clips,
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


def _protocol(experiment, clip):
    """What must agree of two tests, in words."""
    settings, frames = experiment.evaluation, clip.frames_per_segment
    of = f" of {frames} frames" if frames > 1 else ""
    words = f"{settings.sampling}, {experiment.sampling.policy}, {clip.segments} segments{of}"
    for number, name in ((settings.clips, "clips"), (settings.crops, "crops")):
        words += f", {number} {name}" if number > 1 else ""
    return words + (f" averaged on {settings.views_on}" if settings.views > 1 else "")


def _saved(path, stamp, video_ids):
    """Scores of an earlier evaluation, if they are of the same weights, videos and draw."""
    try:
        found = scores.load_scores(path)
    except (FileNotFoundError, ValueError):
        return None
    wanted = json.loads(json.dumps(stamp))
    return found if found.stamp == wanted and found.video_id.tolist() == video_ids else None
