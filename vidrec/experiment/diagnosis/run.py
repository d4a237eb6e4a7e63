"""Runs a diagnosis."""

import json
from pathlib import Path

import pandas as pd

from vidrec import config
from vidrec.experiment.diagnosis.data import data_findings
from vidrec.experiment.diagnosis.finding import Finding, ranked
from vidrec.experiment.diagnosis.flow import flow_findings
from vidrec.experiment.diagnosis.training import (
    learning_findings,
    protocol_findings,
    statistics_findings,
)
from vidrec.experiment.runs import (
    CLASSES,
    CONFIG,
    PROVENANCE,
    TRAIN_VIDEOS,
    WEIGHTS,
    load_stream,
)
from vidrec.experiment.splits import split_videos
from vidrec.store import Store
from vidrec.training.callbacks import read_log


def diagnose(run, root=None):
    """What may be wrong with a trained stream or its data.

    Args:
        run: path of the run folder of a stream; one whose training stopped will do.
        root: the store of frames and flow, or None for where the run says.

    Returns:
        list of Finding, the likeliest first; empty if nothing is unusual.

    Raises:
        FileNotFoundError: if `run` holds no run.
    """
    run = Path(run)
    for name in (CONFIG, PROVENANCE, CLASSES, TRAIN_VIDEOS):
        if not (run / name).is_file():
            raise FileNotFoundError(f"{run} holds no run of a stream: {run / name} is missing")
    evaluation = run.parent / "evaluation"
    tested = evaluation / CONFIG if (evaluation / CONFIG).is_file() else run / CONFIG
    overrides = {"allow_missing": True} | ({} if root is None else {"root": root})
    experiment = config.load(tested, **overrides)
    known = tuple((run / CLASSES).read_text(encoding="utf-8").splitlines())
    stream = json.loads((run / PROVENANCE).read_text(encoding="utf-8"))["stream"]
    found = list(protocol_findings(experiment))
    log = read_log(run / "log.csv")
    found += learning_findings(len(known), log, _summary(evaluation, stream))
    if not (run / WEIGHTS).is_file():
        found.append(
            Finding(
                how="sure",
                cause="training has not come to its end",
                seen=f"{run / WEIGHTS} is missing; {len(log)} epochs are done",
                advice="vidrec train --resume, or, if it stopped with a message, what that says",
            )
        )
    found += _refused(_of_data, run, stream, experiment, known)
    return ranked(found)


def _of_data(run, stream, experiment, known):
    flow = "flow" in experiment.clip_spec(stream).modalities
    store = Store(experiment.data.root, experiment.data.layout)
    index = store.index()
    split, classes = split_videos(experiment)
    trained_on = (run / TRAIN_VIDEOS).read_text(encoding="utf-8").splitlines()
    yield from data_findings(
        store, index, split, classes, known=known, trained_on=trained_on, flow=flow
    )
    whole = index[index.status == "ok"]
    counted = whole[whole.n_flow == whole.n_frames - 1]
    if flow and len(counted):
        yield from _refused(flow_findings, store, counted, experiment.data.flow)
    if (run / WEIGHTS).is_file() and set(split.train.label) <= set(known):
        videos = split.train
        if flow:
            videos = videos[videos.video_id.isin(counted.video_id)]
        if len(videos):
            yield from _refused(statistics_findings, load_stream(run), experiment, videos)


def _refused(look, *arguments):
    """The findings of a part; what it refuses is one of them."""
    try:
        yield from look(*arguments)
    except (ValueError, OSError) as error:
        yield Finding(
            how="sure",
            cause="these data cannot give the clips that the run takes",
            seen=str(error),
            advice="mend what it says; then diagnose again",
        )


def _summary(folder, stream):
    if not (folder / "summary.csv").is_file():
        return None
    table = pd.read_csv(folder / "summary.csv", index_col="stream")
    return table.loc[stream] if stream in table.index else None
