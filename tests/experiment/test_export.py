"""Exports of run folders: versions, what the card says, and what is missing."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.experiment.conftest import experiment, write_run
from vidrec import cli, config
from vidrec.experiment import runs
from vidrec.experiment.export import export
from vidrec.experiment.splits import describe, split_videos
from vidrec.experiment.trained_run import load_run
from vidrec.export import savedmodel
from vidrec.export.predictor import Predictor

SUMMARY = {
    "stream": ["spatial", "temporal", "fused"],
    "top1": [0.5, 0.25, 0.75],
    "top5": [0.9, 0.8, 1.0],
    "interval_low": [0.4, 0.2, 0.625],
    "interval_high": [0.6, 0.3, 0.875],
    "chance": [1 / 9] * 3,
    "videos": [9] * 3,
}


def random_run(run, plan, stream, *, seed=3, missing=0):
    """A run folder of random weights."""
    split, classes = split_videos(plan)
    keras.utils.set_random_seed(seed)
    model = runs.build_stream(plan, stream, len(classes), plan.clip_spec(stream))
    data = describe(plan, split) | {"parent": None, "missing": missing}
    facts = {"data": data, "seed": seed, "command": ["secret"], "vidrec": "9.9"}
    facts |= {"git_commit": "abc123", "tensorflow": tf.__version__, "keras": keras.__version__}
    write_run(run, plan, stream, model, classes, split.train.video_id, **facts)


@pytest.fixture(scope="module")
def plan(root):
    return experiment(root, evaluation={"draws": 2, "batch_size": 4})


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    """`<out>/tiny` with both streams, and a test of them. Read it only."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    for stream, missing in (("spatial", 0), ("temporal", 2)):
        random_run(folder / stream, plan, stream, missing=missing)
    (folder / "evaluation").mkdir()
    pd.DataFrame(SUMMARY).to_csv(folder / "evaluation/summary.csv", index=False)
    (folder / "evaluation" / runs.CONFIG).write_text(config.dump(plan))
    return folder


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    return export(folder, tmp_path_factory.mktemp("models") / "m", check=2)


def test_the_first_version_is_whole(exported, folder, plan):
    assert exported.folder.name == "1"
    assert [path.name for path in exported.folder.parent.iterdir()] == ["1"]
    assert exported.difference < 1e-5
    assert exported.real_clips == 4
    assert exported.notes == []
    assert (exported.agreement.videos, exported.agreement.same_class) == (2, 2)
    assert exported.agreement.flow["px"] < 0.3
    loaded = tf.saved_model.load(str(exported.folder))
    assert sorted(loaded.signatures) == ["frames", "serving_default"]


def test_facts_hold_all_and_no_path(exported, folder, plan, root):
    text = (exported.folder / "assets/vidrec.json").read_text()
    facts = json.loads(text)
    assert (facts["experiment"], facts["model"]) == ("tiny", "multiseg_xception")
    assert facts["paper"].startswith("Qiao, Liu, Xu, Liu, Yang: Two-Stream Convolutional")
    assert facts["streams"] == ["spatial", "temporal"]
    assert facts["fusion"] == {"weights": [1.0, 1.5], "on": "scores"}
    assert len(facts["classes"]) == 9
    assert facts["clip"]["flow_length"] == 2
    assert facts["flow"]["engine"] == "farneback"
    assert facts["normalisation"]["rgb"] == [
        {"layer": "rgb_rescale", "scale": pytest.approx(1 / 127.5), "offset": -1}
    ]
    assert facts["data"]["split"] == "listed-1"
    assert facts["data"]["videos"] == {"train": 9, "test": 9}
    assert facts["accuracy"]["top1"] == 0.75
    assert facts["partial"] == [[2, 18]]
    assert [run["git_commit"] for run in facts["runs"]] == ["abc123"] * 2
    assert facts["agreement"]["videos"] == 2
    assert str(root.parent) not in text
    assert "secret" not in text


def test_the_card_says_it_to_people(exported):
    card = (exported.folder / "MODEL_CARD.md").read_text()
    for part in (
        "# tiny\n",
        "multiseg_xception: Qiao, Liu, Xu, Liu, Yang: Two-Stream",
        "not the authors' weights",
        "| streams | spatial, temporal, fused 1.0 : 1.5 on scores |",
        "| classes | 9: ",
        "| trained on | folder, split listed-1: 9 videos |",
        "| partial data | 2 of 18 videos were missing |",
        "| accuracy | top-1 75.0 % (95 %: 62.5 to 87.5), top-5 100.0 %, of 9 test videos; "
        "chance 11.1 % (random frames, drawn 2 times; this model takes those in the middle) |",
        "seed 3, vidrec 9.9 at commit abc123",
        "on a random clip and 4 real ones",
        "the same class in 2 of 2 videos",
        "| `rgb` | (None, None, 72, 72, 3) | RGB, 0 to 255 |",
        "| `flow` | (None, None, 72, 72, 4) | codes of farneback flow, 128 is no motion, 0 to 255 "
        "is -20 to 20 px |",
        "`video`, uint8 (1, any number of frames from 3 on, height, width, 3)",
    ):
        assert part in card
    assert "{" not in card.replace('{"layer"', "")
    assert "undefined" not in card.lower()


@pytest.mark.slow
def test_another_export_is_the_next_version(exported, folder, tmp_path, capsys):
    target = tmp_path / "models"
    for name in ("7", "notes"):
        (target / name).mkdir(parents=True)
    command = ["export", str(folder), str(target), "--check", "0"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert f"{target / '8'}\n" in out
    assert "largest difference of a logit" in out
    assert "a random clip and 4 real ones" in out
    assert "Raw video" not in out
    assert sorted(path.name for path in target.iterdir()) == ["7", "8", "notes"]
    assert Predictor(target).folder == target / "8"
    assert "not compared" in (target / "8/MODEL_CARD.md").read_text()


def test_a_stream_alone_sees_the_moments_of_both(folder, tmp_path, root):
    done = export(folder / "spatial", tmp_path / "m", check=1)
    facts = json.loads((done.folder / "assets/vidrec.json").read_text())
    assert facts["streams"] == ["spatial"]
    assert facts["fusion"] is None
    assert facts["accuracy"]["top1"] == 0.5
    assert facts["clip"]["modalities"] == ["rgb"]
    assert facts["timing"]["modalities"] == ["rgb", "flow"]
    assert facts["agreement"]["flow"] is None
    video = sorted((root / "videos").rglob("*.avi"))[0]
    both = load_run(folder).recipe
    assert Predictor(done.folder).predict(video).frames == tuple(both.frames(6).numpy()[0])
    card = (done.folder / "MODEL_CARD.md").read_text()
    assert "| streams | spatial |" in card
    assert "optical flow" not in card


@pytest.mark.slow
def test_without_its_data_it_is_compared_on_random_clips_and_says_so(folder, tmp_path):
    done = export(folder / "temporal", tmp_path / "m", root=tmp_path / "gone")
    assert done.real_clips == 0
    assert done.agreement is None
    assert done.notes[0].startswith("Keras and the SavedModel were compared on no real clip: ")
    assert "gone" in done.notes[0]
    assert "on no video: none is there" in done.notes[1]
    assert "| not compared |" in (done.folder / "MODEL_CARD.md").read_text()


def test_flow_that_no_graph_computes_leaves_frames_out(plan, root, tmp_path, monkeypatch):
    flow = {"engine": "dis"}
    other = experiment(root, data={"flow": flow})
    random_run(tmp_path / "tiny/temporal", other, "temporal")
    done = export(tmp_path / "tiny/temporal")
    assert done.folder == tmp_path / "tiny/temporal/savedmodel/1"
    assert any("There is no signature `frames`: flow of engine 'dis'" in n for n in done.notes)
    assert list(tf.saved_model.load(str(done.folder)).signatures) == ["serving_default"]
    card = (done.folder / "MODEL_CARD.md").read_text()
    assert "There is no signature `frames`: flow of engine 'dis' is not computed" in card


def test_what_does_not_agree_is_not_published(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(savedmodel, "parity", lambda *_: 0.01)
    assert cli.main(["export", str(folder / "spatial"), str(tmp_path), "--check", "0"]) == 2
    assert "differs from the Keras model by 1.0e-02" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing holds no run: there is no config.yaml"):
        export(tmp_path / "nothing")
    shutil.copytree(folder / "spatial", tmp_path / "tiny/spatial")
    with pytest.raises(FileNotFoundError, match="tiny/temporal holds no complete run"):
        export(tmp_path / "tiny")
    shutil.copytree(folder / "temporal", tmp_path / "tiny/temporal")
    (tmp_path / "tiny/temporal/classes.txt").write_text("".join(f"{n}\n" for n in "abcdefghi"))
    with pytest.raises(ValueError, match="must be trained on the same classes. Received: \\[9, 9"):
        export(tmp_path / "tiny")


def test_the_untested_run_is_that_of_its_streams(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "tiny")
    shutil.rmtree(tmp_path / "tiny/evaluation")
    trained = load_run(tmp_path / "tiny")
    assert trained.facts["accuracy"] is None
    assert trained.recipe == load_run(folder).recipe
    clip = {n: np.zeros((1, *trained.recipe.clip.shape(n)), np.uint8) for n in ("rgb", "flow")}
    assert trained.model(clip).shape == (1, 9)
