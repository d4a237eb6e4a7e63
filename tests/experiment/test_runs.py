"""Whose a run folder is: when it may be begun, resumed, or must be left alone."""

import json

import keras
import pandas as pd
import pytest
import yaml

from vidrec import config
from vidrec.clip import ClipSpec
from vidrec.datasets.gate import Split
from vidrec.experiment import runs

VIDEOS = ["Jump/a", "Run/b", "Run/c"]


def experiment(**changes):
    stage = {"name": "all", "epochs": 3, "batch_size": 2, "schedule": {"rate": 0.1}}
    return config.Experiment(
        **{
            "name": "x",
            "data": {"videos": "v", "root": "r", "split": {"name": "random-8:2"}},
            "streams": {"spatial": {"stages": [stage]}, "temporal": {"stages": [stage]}},
            **changes,
        }
    )


def begin(folder, of, videos, missing=()):
    train = pd.DataFrame({"video_id": videos})
    split = Split(train, train[:0], missing=len(missing), missing_names=tuple(missing))
    facts = {"config": "x.yaml", "data": {"missing": len(missing)}}
    runs.begin(folder, of, "spatial", ("Jump", "Run"), split, facts=facts)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "x/spatial"
    begin(folder, experiment(), VIDEOS)
    return folder


def test_begin_writes_what_the_run_is_made_from(run):
    assert (run / "classes.txt").read_text() == "Jump\nRun\n"
    assert (run / "train_videos.txt").read_text() == "Jump/a\nRun/b\nRun/c\n"
    assert yaml.safe_load((run / "config.yaml").read_text())["streams"]["spatial"]["stages"]
    provenance = json.loads((run / "provenance.json").read_text())
    assert (provenance["stream"], provenance["config"]) == ("spatial", "x.yaml")


def test_a_run_without_a_checkpoint_is_begun_anew(run):
    (run / "log.csv").write_text("stage,epoch\nold,0\n")
    runs.check_free(run, experiment(seed=1), "spatial", resume=False)
    begin(run, experiment(seed=1), VIDEOS[:2], missing=["Run/z"])
    assert not (run / "log.csv").exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["seed"] == 1
    assert (run / "train_videos.txt").read_text() == "Jump/a\nRun/b\n"
    assert (run / "missing_videos.txt").read_text() == "Run/z\n"
    assert json.loads((run / "provenance.json").read_text())["data"] == {"missing": 1}


def test_a_run_with_a_checkpoint_goes_on_as_it_was_begun(run):
    (run / "checkpoints").mkdir()
    (run / "log.csv").write_text("stage,epoch\nall,0\n")
    with pytest.raises(FileExistsError, match="holds a run already. Pass --resume"):
        runs.check_free(run, experiment(), "spatial", resume=False)
    elsewhere = {"videos": "other", "root": "moved", "split": {"name": "random-8:2"}}
    other_fusion = experiment(fusion={"temporal": 2.0}, data=elsewhere)
    runs.check_free(run, other_fusion, "spatial", resume=True)
    begin(run, experiment(), VIDEOS)
    assert (run / "log.csv").exists()
    with pytest.raises(ValueError, match="another configuration: clip, seed differ from"):
        runs.check_free(run, experiment(seed=1, clip={"size": 96}), "spatial", resume=True)
    with pytest.raises(ValueError, match=r"(?s)data set has changed.*train_videos.txt"):
        begin(run, experiment(), [*VIDEOS, "Run/d"])


def test_a_stream_is_not_scored_on_what_it_saw(run):
    trained = runs.TrainedStream(run, None, "", None, ("Jump", "Run"), frozenset(VIDEOS), {})
    trained.check_unseen(["Run/d", "Jump/e"])
    with pytest.raises(ValueError, match=r"trained on 2 of the 3 test videos.*\['Run/c', 'Jump/a'"):
        trained.check_unseen(["Run/d", "Run/c", "Jump/a"])


def test_what_a_run_and_those_it_starts_from_lacked():
    whole = {"missing": 0, "expected": 9, "parent": None}
    first = {"missing": 7, "expected": 9, "parent": whole}
    last = {"missing": 1203, "expected": 13320, "parent": first}
    assert runs.lacking(whole) == set()
    assert runs.lacking(last) == {(7, 9), (1203, 13320)}
    assert runs.TrainedStream(None, None, "", None, (), frozenset(), last).missing == (1203, 13320)
    assert runs.TrainedStream(None, None, "", None, (), frozenset(), whole).missing == (0, 9)


def test_an_incomplete_run_is_not_loaded(run):
    with pytest.raises(FileNotFoundError, match=r"stream.weights.h5 is missing. Train this stream"):
        runs.load_stream(run)


def test_a_run_with_damaged_weights_is_not_loaded(run):
    weights = run / "stream.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(300)]).save_weights(weights)
    with pytest.raises(ValueError, match=f"{weights} holds the weights of another network than"):
        runs.load_stream(run)
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(ValueError, match=f"{weights} cannot be read: it is cut off. Copy or down"):
        runs.load_stream(run)


def test_unknown_options_of_a_model_are_refused():
    wrong = experiment(model={"options": {"dropuot": 0.5}})
    with pytest.raises(ValueError, match=r"among \['bn_momentum', .*Received: \['dropuot'\]"):
        runs.build_stream(wrong, "spatial", 2, wrong.clip_spec("spatial"))


def test_a_model_of_fixed_length_is_not_given_clips_of_another():
    clips = {length: keras.Input((length, 8, 8, 3), name="rgb") for length in (3, None)}
    models = {n: keras.Model({"rgb": clip}, clip[:, 0], name="m") for n, clip in clips.items()}
    clip = ClipSpec(segments=3, modalities=("rgb",))
    runs.check_length(models[3], clip)
    runs.check_length(models[None], ClipSpec(segments=25, modalities=("rgb",)))
    with pytest.raises(ValueError, match=r"m takes clips of 3 frames only.*Received: 25 frames"):
        runs.check_length(models[3], ClipSpec(segments=25, modalities=("rgb",)))


@pytest.mark.parametrize(
    ("model", "fusion", "expected"),
    [
        ({}, {}, ((1.0, 1.5), "scores")),
        ({"options": {"consensus_on": "probabilities"}}, {}, ((1.0, 1.5), "probabilities")),
        ({}, {"temporal": 2, "fuse_on": "probabilities"}, ((1.0, 2), "probabilities")),
        ({"name": "tstam"}, {}, ((1, 3), "probabilities")),
        ({"name": "tstam"}, {"spatial": 2, "fuse_on": "scores"}, ((2, 3), "scores")),
    ],
)
def test_fusion_is_the_model_s_own_unless_said_otherwise(model, fusion, expected):
    assert runs.fusion_of(experiment(model=model, fusion=fusion)) == expected


@pytest.mark.parametrize(
    ("stream", "changes", "message"),
    [
        ("temporal", {}, r"streams.temporal of x must be a temporal stream.*a spatial stream"),
        ("spatial", {"model": {"name": "tstam"}}, "model.name: 'multiseg_xception' there, 'tstam'"),
        ("spatial", {"clip": {"size": 96}}, "clip: {'frames_per_segment': 1, 'size': 224} there"),
        ("spatial", {"sampling": {"policy": "even"}}, "sampling: {'policy': 'segments'"),
    ],
)
def test_a_stream_is_tested_as_it_was_trained(run, monkeypatch, stream, changes, message):
    model = keras.Sequential([keras.Input((None, 8, 8, 3), name="rgb")])
    found = runs.TrainedStream(run, experiment(), "spatial", model, (), frozenset(), {})
    monkeypatch.setattr(runs, "load_stream", lambda folder: found)
    with pytest.raises(ValueError, match=message):
        runs.load_for(experiment(**changes), stream, run.parent)


def test_what_a_stream_does_not_see_may_differ(run, monkeypatch):
    clips = keras.Input((None, 8, 8, 3), name="rgb")
    model = keras.Model({"rgb": clips}, clips[:, 0])
    found = runs.TrainedStream(run, experiment(), "spatial", model, (), frozenset(), {})
    monkeypatch.setattr(runs, "load_stream", lambda folder: found)
    other = experiment(clip={"flow_length": 5, "segments": 25}, augment={"flip_ud": 0})
    assert runs.load_for(other, "spatial", run.parent) is found
