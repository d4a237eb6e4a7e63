"""Runs a diagnosis."""

import pandas as pd

from vidrec import config
from vidrec.experiment.diagnosis.data import data_findings
from vidrec.experiment.diagnosis.finding import ranked
from vidrec.experiment.diagnosis.flow import flow_findings
from vidrec.experiment.diagnosis.training import training_findings
from vidrec.experiment.runs import CONFIG, load_stream
from vidrec.experiment.splits import split_videos
from vidrec.store import Store
from vidrec.training.callbacks import read_log


def diagnose(run, root=None):
    """What may be wrong with a trained stream or its data.

    Args:
        run: path of the run folder of a stream.
        root: the store of frames and flow, or None for where the run says.

    Returns:
        list of Finding, the likeliest first; empty if nothing is unusual.

    Raises:
        FileNotFoundError: if `run` holds no complete run, or the store is not there.
    """
    trained = load_stream(run)
    evaluation = trained.run.parent / "evaluation"
    tested = evaluation / CONFIG if (evaluation / CONFIG).is_file() else trained.run / CONFIG
    overrides = {"allow_missing": True} | ({} if root is None else {"root": root})
    experiment = config.load(tested, **overrides)
    store = Store(experiment.data.root, experiment.data.layout)
    index = store.index()
    split, classes = split_videos(experiment)
    found = list(data_findings(store, index, split, classes, trained))
    whole = index[index.status == "ok"]
    counted = not (whole.n_flow != whole.n_frames - 1).any()
    if "flow" in experiment.clip_spec(trained.stream).modalities and counted:
        found += flow_findings(store, whole, experiment.data.flow)
    log = read_log(trained.run / "log.csv")
    options = trained, experiment, log, _summary(evaluation, trained.stream)
    known = set(split.train.label) <= set(trained.classes)
    found += training_findings(*options, split.train if counted and known else None)
    return ranked(found)


def _summary(folder, stream):
    if not (folder / "summary.csv").is_file():
        return None
    table = pd.read_csv(folder / "summary.csv", index_col="stream")
    return table.loc[stream] if stream in table.index else None
