"""Each fault is planted, and found; a sound run has none."""

import re
import shutil

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.experiment.conftest import STAGE, experiment
from vidrec import cli
from vidrec.clip import decode_flow, encode_flow
from vidrec.experiment.diagnosis.data import data_findings
from vidrec.experiment.diagnosis.finding import Finding, ranked
from vidrec.experiment.diagnosis.flow import flow_findings
from vidrec.experiment.diagnosis.run import diagnose
from vidrec.experiment.diagnosis.training import (
    learning_findings,
    protocol_findings,
    statistics_findings,
)
from vidrec.experiment.evaluate import evaluate
from vidrec.experiment.runs import load_stream
from vidrec.experiment.splits import split_videos
from vidrec.experiment.train import train
from vidrec.store import Store

STREAM = {"stages": [{**STAGE, "name": "all", "epochs": 8, "optimizer": {"name": "adam"},
                      "schedule": {"rate": 0.01}}]}  # fmt: skip
SMALL = {
    "model": {
        "name": "vcm_sdd",
        "options": {"blocks": [1, 1, 1, 1], "width": 0.0625, "bn_momentum": 0.5},
    },
    "clip": {"segments": 1, "frames_per_segment": 6, "size": 64, "flow_length": 1},
    "sampling": {"policy": "even"},
    "augment": {"resize": [64, 64], "crop": "centre", "flip_lr": 0, "flip_ud": 0, "brightness": 0},
    "evaluation": {"sampling": "centre", "resize": [64, 64], "batch_size": 6, "each_epoch": False},
}

pytestmark = pytest.mark.filterwarnings("ignore:\\d+ videos are so short")


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """A stream that has learnt the embedded data set, and its experiment."""
    out = tmp_path_factory.mktemp("runs")
    plan = experiment(root, streams={"joint": STREAM}, **SMALL)
    folder = train(plan, "joint", out)
    evaluate(plan, out)
    return folder, plan


def causes(findings):
    return [finding.cause for finding in findings]


def flow_of(root, tmp_path, change, settings=None):
    """The causes found in the flow of a store, each of whose pairs `change` has changed; it gets
    codes x and y, and their decoded px."""
    plan = experiment(root)
    shutil.copytree(root / "store", tmp_path / "store")
    store = Store(tmp_path / "store")
    table = store.index()
    for row in table.itertuples():
        for pair in range(1, row.n_flow + 1):
            paths = [store.path(kind, row.video_id, pair) for kind in ("flow_x", "flow_y")]
            codes = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths], -1)
            for path, code in zip(paths, np.moveaxis(change(codes), -1, 0), strict=True):
                Image.fromarray(np.ascontiguousarray(code)).save(path, quality=95)
    return causes(flow_findings(store, table, settings or plan.data.flow))


def noise(codes):
    """Smooth motion that has nothing to do with the frames."""
    coarse = np.random.default_rng(int(codes.sum())).normal(0, 4, (6, 6, 2)).astype(np.float32)
    return encode_flow(cv2.resize(coarse, codes.shape[1::-1]), bound=20)


def px(codes):
    return decode_flow(codes, bound=20)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda codes: codes, None),
        (lambda codes: codes[..., ::-1], "is not what the network expects: x and y are swapped$"),
        (lambda codes: 255 - codes, "its sign is turned round, as if frames were taken from last"),
        (lambda codes: np.stack([255 - codes[..., 0], codes[..., 1]], -1), "the sign of x is"),
        (lambda codes: np.stack([codes[..., 0], 255 - codes[..., 1]], -1), "the sign of y is"),
        (lambda codes: encode_flow(px(codes), bound=60), "is not 20 px, about (5|6|7)[0-9] px"),
        (lambda codes: encode_flow(px(codes), bound=8), "is not 20 px, about [789] px"),
        (lambda codes: encode_flow(px(codes), bound=0.5), "bound of the flow is too small: much"),
        (lambda codes: encode_flow(px(codes), quantize="minmax"), "scaled to its own smallest"),
        (lambda codes: encode_flow(px(codes), bound=2000), "hardly any motion is in the flow"),
        (lambda codes: np.clip(codes.astype(int) + 30, 0, 255).astype(np.uint8), "is not code 128"),
        (lambda codes: noise(codes), "is not that of its frames"),
    ],
)  # fmt: skip
def test_faults_of_flow(root, tmp_path, change, cause):
    found = flow_of(root, tmp_path, change)
    if cause is None:
        assert found == []
    else:
        assert any(re.search(cause, one) for one in found), found


def test_flow_that_is_scaled_image_by_image_on_purpose(root, tmp_path):
    settings = experiment(root).data.flow.model_copy(update={"quantize": "minmax"})
    scaled = flow_of(
        root, tmp_path, lambda codes: encode_flow(px(codes), quantize="minmax"), settings
    )
    assert scaled == []


def look_at_data(run, store=None, index=None, classes=None, trained_on=None, flow=True):
    folder, plan = run
    split, found = split_videos(plan)
    store = store or Store(plan.data.root)
    trained = load_stream(folder)
    return list(
        data_findings(
            store,
            store.index() if index is None else index,
            split,
            classes or found,
            known=trained.classes,
            trained_on=trained_on or trained.train_videos,
            flow=flow,
        )
    )


def test_faults_of_the_data(run, root, tmp_path):
    assert look_at_data(run) == []
    store = Store(root / "store")
    index = store.index()
    index.loc[3, "n_flow"] = 4
    (found,) = look_at_data(run, index=index)
    assert found.cause.startswith("there is not one flow pair less")
    assert "1 of 18 videos" in found.seen
    assert "6 frames, 4 pairs" in found.seen
    index = store.index()
    index.loc[[1, 2], "n_flow"] = 0
    (found,) = look_at_data(run, index=index)
    assert (found.how, found.cause) == ("maybe", "some videos have no flow")
    assert "2 of 18 videos" in found.seen
    assert look_at_data(run, index=index, flow=False) == []
    (found,) = look_at_data(run, index=index.assign(n_flow=0))
    assert (found.how, found.cause) == ("sure", "there is no flow")
    index = store.index().assign(fps=8.0)
    assert causes(look_at_data(run, index=index)) == [
        "frames are far apart, so motion between them is large and hard to find"
    ]
    index = store.index()
    index.loc[0, "status"] = "failed"
    assert causes(look_at_data(run, index=index)) == ["some videos are not whole, and left out"]
    shutil.copytree(root / "store", tmp_path / "store")
    other = Store(tmp_path / "store")
    other.path("frame", index.video_id[5], 6).unlink()
    (found,) = look_at_data(run, store=other)
    assert found.cause == "there are not as many frames as the index says"
    assert index.video_id[5] in found.seen


def test_faults_of_classes_and_split(run):
    folder, plan = run
    trained = load_stream(folder)
    names = trained.classes
    (found,) = look_at_data(run, classes=(names[1], names[0], *names[2:]))
    assert (found.how, found.cause) == ("sure", "the classes are in another order than in training")
    assert f"position 0: {names[0]} there, {names[1]} here" in found.seen
    (found,) = look_at_data(run, classes=(*names[:-1], "Juggling"))
    assert found.cause == "the network was trained on other classes"
    assert "only here ['Juggling']" in found.seen
    split, _ = split_videos(plan)
    seen = trained.train_videos | {split.test.video_id.iloc[2]}
    (found,) = look_at_data(run, trained_on=seen)
    assert found.cause.startswith("the network was trained on videos of the test")
    assert "1 of 9" in found.seen


LEARNT = np.minimum(np.linspace(0.1, 1.5, 20), 0.99)


def log_of(accuracy, loss=1.0, rate=0.01):
    """Losses have a penalty of the weights in them, which may be larger than all else."""
    return pd.DataFrame({"accuracy": accuracy, "loss": loss, "learning_rate": rate})


@pytest.mark.parametrize(
    ("log", "classes", "cause"),
    [
        (log_of(LEARNT), 10, None),
        (log_of(LEARNT, loss=40.0), 10, None),
        (log_of([0.1, 0.1, 0.2], [2.0, 2.5, np.nan]), 10, "training diverged"),
        (log_of([0.1, 0.1, 0.1], [2.0, 30.0, 400.0]), 10, "training diverged"),
        (log_of([0.1, 0.12, 0.11], 2.3), 10, "nothing was learnt"),
        (log_of([0.5, 0.5, 0.52], 0.7), 2, "nothing was learnt"),
        (log_of([0.5, 0.6, 0.7], 0.7), 2, None),
        (log_of(np.linspace(0.1, 0.6, 20)), 10, "training was ended while it still went on"),
        (log_of([0.6] * 20), 10, None),
        (log_of([1.0] * 3), 1, None),
        (log_of([]), 10, None),
    ],
)
def test_faults_of_learning(log, classes, cause):
    found = causes(learning_findings(classes, log, None))
    assert len(found) == (cause is not None), found
    assert cause is None or found[0].startswith(cause)


def test_videos_learnt_by_heart():
    log, test = log_of([0.5, 0.9, 0.99]), pd.Series({"top1": 0.5})
    (found,) = learning_findings(9, log, test)
    assert found.cause == "the network has learnt its videos by heart"
    assert "99.0%, test 50.0%" in found.seen
    assert list(learning_findings(9, log, pd.Series({"top1": 0.9}))) == []


def test_faults_of_the_protocol(run):
    _, plan = run

    def look(**changes):
        settings = plan.evaluation.model_copy(update=changes)
        return list(protocol_findings(plan.model_copy(update={"evaluation": settings})))

    assert look(segments=8) == []
    (found,) = look(segments=8, crops=10)
    assert found.cause == "the test is not that of the paper"
    assert "evaluation has {'crops': 10}; the paper's: 6 frames of each of 8" in found.seen
    assert "vidrec evaluate --protocol 8-segments (8-segments or 16-segments)" in found.advice
    (found,) = look(segments=16, resize=(256, 256))
    assert found.cause == "the test's images are scaled otherwise than those of training"


def test_faults_of_batch_normalisation(run):
    """Statistics of clips that are never seen: right with the batch's own, wrong with these."""
    folder, plan = run
    videos, trained = split_videos(plan)[0].train, load_stream(folder)
    assert list(statistics_findings(trained, plan, videos)) == []
    for layer in trained.model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(layer.moving_variance * 100)
    (found,) = statistics_findings(trained, plan, videos)
    assert found.cause == "the moving statistics of batch normalisation do not fit the data"
    assert "bn_momentum" in found.advice


def test_the_likeliest_comes_first():
    made = [
        Finding(how=how, cause=how, seen="s", advice="a")
        for how in ("maybe", "sure", "likely", "sure")
    ]
    assert causes(ranked(made)) == ["sure", "sure", "likely", "maybe"]


def store_with(root, folder, change):
    """A copy of the store, the rows of whose index `change` has changed."""
    shutil.copytree(root / "store", folder / "store")
    index = pd.read_csv(folder / "store/index.csv", keep_default_na=False)
    change(index)
    index.to_csv(folder / "store/index.csv", index=False)
    return folder / "store"


def test_diagnose_by_the_command_line(run, root, tmp_path, capsys):
    folder, _ = run
    found = diagnose(folder)
    assert causes(found) == ["the test is not that of the paper"]  # one segment of six frames

    def fail(index):
        index.loc[0, ["status", "message"]] = "failed", "clip.avi is empty"

    assert cli.main(["diagnose", str(folder), str(store_with(root, tmp_path, fail))]) == 0
    out = capsys.readouterr().out
    assert "1. maybe: the test is not that of the paper" in out
    assert "2. maybe: some videos are not whole" in out
    assert "    do:   vidrec audit names them" in out
    assert cli.main(["diagnose", str(tmp_path)]) == 2
    assert "holds no run of a stream" in capsys.readouterr().err


def test_what_the_data_refuse_is_a_finding(run, root, tmp_path):
    """Flow of which the index says that it has another bound."""

    def other_bound(index):
        index["flow_parameters"] = index.flow_parameters.str.replace(
            '"bound": 20.0', '"bound": 15.0'
        )

    found = diagnose(run[0], store_with(root, tmp_path, other_bound))
    assert found[0].cause == "these data cannot give the clips that the run takes"
    assert "must be what data.flow says" in found[0].seen
    assert "the test is not that of the paper" in causes(found)


def test_a_video_without_flow_hides_no_fault_of_the_others(run, root, tmp_path):
    store = Store(
        store_with(root, tmp_path, lambda index: index.__setitem__("n_flow", [0] + [5] * 17))
    )
    for row in store.index().itertuples():
        for pair in range(1, 6):
            x, y = (store.path(kind, row.video_id, pair) for kind in ("flow_x", "flow_y"))
            x.rename(tmp_path / "x"), y.rename(x), (tmp_path / "x").rename(y)
    found = causes(diagnose(run[0], store.root))
    assert "the flow is not what the network expects: x and y are swapped" in found
    assert "some videos have no flow" in found


def test_a_run_that_stopped_can_be_diagnosed(run, tmp_path):
    folder = tmp_path / "tiny/joint"
    shutil.copytree(run[0], folder)
    (folder / "stream.weights.h5").unlink()
    log = pd.read_csv(folder / "log.csv")
    log.assign(loss=[*log.loss[:-1], np.nan]).to_csv(folder / "log.csv", index=False)
    found = causes(diagnose(folder))
    assert set(found[:2]) == {
        "training diverged: the learning rate is too high",
        "training has not come to its end",
    }
