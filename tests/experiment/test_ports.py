"""Models other than the first, through the command line: what they need that it does not."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.experiment.conftest import STAGE, experiment
from vidrec import cli, config
from vidrec.evaluation.scores import load_scores
from vidrec.export.predictor import Predictor

JOINT = {
    "model": {"name": "deep_fusion_tpn", "options": {"width": 0.015625, "lstm_units": 4}},
    "clip": {
        "segments": 1,
        "frames_per_segment": 8,
        "size": 64,
        "flow_length": 4,
        "flow_position": "centre",
    },
    "sampling": {"policy": "strided"},
    "augment": {"resize": [64, 64], "crop": "centre", "flip_lr": 0, "flip_ud": 0, "brightness": 0},
    "evaluation": {"sampling": "centre", "resize": [64, 64], "each_epoch": True, "batch_size": 9},
}
IN_PARTS = {
    "model": {"name": "vcm_sdd", "options": {"blocks": [1, 1, 1, 1], "width": 0.0625}},
    "clip": JOINT["clip"] | {"frames_per_segment": 3, "flow_length": 2},
    "sampling": {"policy": "even", "parts": 2},
    "augment": JOINT["augment"],
    "evaluation": JOINT["evaluation"] | {"segments": 2},
}
DECAY = {"name": "sgd", "momentum": 0.9, "weight_decay": 0.0005}
STREAM = {
    "stages": [
        {
            **STAGE,
            "name": "all",
            "epochs": 2,
            "batch_size": 9,
            "optimizer": DECAY,
            "schedule": {"kind": "milestones", "rate": 0.001, "factor": 0.1, "at": [1]},
        }
    ]
}
T_STAM = {
    "model": {
        "name": "tstam",
        "options": {"num_spatial": 2, "map_dim": 16, "temporal_hidden": 8, "se_blocks": []},
    },
    "clip": {"segments": 2, "size": 64, "flow_length": 2},
    "sampling": {"policy": "intervals"},
    "augment": {"crop": "corners", "resize": [72, 80]},
    "fusion": {"spatial": 1, "temporal": 3, "fuse_on": "probabilities"},
    "evaluation": {
        "sampling": "centre",
        "segments": 4,
        "crops": 10,
        "views_on": "probabilities",
        "resize": [72, 80],
        "each_epoch": False,
        "batch_size": 9,
    },
}


def written(root, folder, streams, sections):
    """The path of an experiment's file, and what runs a verb on it."""
    plan = experiment(root, streams=streams, **sections)
    path = folder / "tiny.yaml"
    path.write_text(config.dump(plan))

    def run(verb, *arguments):
        assert cli.main([verb, str(path), *arguments, "--out", str(folder)]) == 0

    return plan, run


# Clips of eight frames from videos of six.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:\\d videos are so short", "ignore:.* has 6 frames, so few")
def test_a_network_of_both_modalities_is_one_stream(root, tmp_path, capsys):
    stages = [
        {**STAGE, "name": name, "layers": layers, "epochs": 1, "batch_size": 9}
        | {"optimizer": {"name": "adam"}, "schedule": {"kind": "constant", "rate": rate}}
        for name, layers, rate in (("first", "all", 1e-3), ("second", "last4", 1e-6))
    ]
    _, run = written(root, tmp_path, {"joint": {"stages": stages}}, JOINT)
    run("train")
    assert "joint: 9 training and 9 test videos" in capsys.readouterr().out
    log = pd.read_csv(tmp_path / "tiny/joint/log.csv")
    assert log.learning_rate.tolist() == pytest.approx([1e-3, 1e-6])
    run("evaluate")
    summary = pd.read_csv(tmp_path / "tiny/evaluation/summary.csv")
    assert summary.stream.tolist() == ["joint"]
    assert summary.videos.tolist() == [9]
    assert cli.main(["export", str(tmp_path / "tiny"), "--check", "1"]) == 0
    facts = json.loads((tmp_path / "tiny/savedmodel/1/assets/vidrec.json").read_text())
    assert facts["clip"]["modalities"] == ["rgb", "flow"]
    video = sorted((root / "videos").rglob("*g02*.avi"))[0]
    found = Predictor(tmp_path / "tiny/savedmodel").predict(video)
    assert found.frames == (0, 1, 2, 3, 4, 5, 5, 5)  # six there are, eight it takes
    assert found.probabilities.sum() == pytest.approx(1)


@pytest.mark.slow
def test_a_network_that_trains_on_parts_is_tested_on_all_of_them(root, tmp_path):
    """One of two parts of three frames in training; in the test both, all six frames there are."""
    stage = {**STAGE, "name": "all", "epochs": 1, "batch_size": 9, "optimizer": {"name": "adamw"}}
    _, run = written(root, tmp_path, {"joint": {"stages": [stage]}}, IN_PARTS)
    run("train")
    run("evaluate")
    scores = load_scores(tmp_path / "tiny/evaluation/joint.npz")
    assert scores.stamp["protocol"] == "centre, even, 2 segments of 3 frames"
    assert scores.logits.shape[0] == 9
    assert cli.main(["export", str(tmp_path / "tiny"), "--check", "1"]) == 0
    facts = json.loads((tmp_path / "tiny/savedmodel/1/assets/vidrec.json").read_text())
    assert (facts["clip"]["segments"], facts["clip"]["frames_per_segment"]) == (2, 3)
    video = sorted((root / "videos").rglob("*g02*.avi"))[0]
    found = Predictor(tmp_path / "tiny/savedmodel").predict(video)
    assert found.frames == (0, 1, 2, 3, 4, 5)
    assert found.probabilities.sum() == pytest.approx(1)


@pytest.mark.slow
def test_streams_that_are_tested_with_more_frames_and_views(root, tmp_path, capsys):
    streams = {"spatial": STREAM, "temporal": {**STREAM, "init": {"run": "spatial"}}}
    _, run = written(root, tmp_path, streams, T_STAM)
    run("train")
    log = pd.read_csv(tmp_path / "tiny/temporal/log.csv")
    assert log.learning_rate.tolist() == pytest.approx([1e-3, 1e-4])
    assert "averaged over its input channels" in capsys.readouterr().out
    run("evaluate")
    spatial, temporal, fused = (
        load_scores(tmp_path / f"tiny/evaluation/{name}.npz")
        for name in ("spatial", "temporal", "fused")
    )
    assert (
        spatial.stamp["protocol"]
        == "centre, intervals, 4 segments, 10 crops averaged on probabilities"
    )
    assert (spatial.stamp["crops"], spatial.stamp["views_on"]) == (10, "probabilities")
    both = np.exp(spatial.logits), np.exp(temporal.logits)
    for probabilities in both:  # the logarithm of averages
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    expected = (both[0] + 3 * both[1]) / 4
    softmax = np.exp(fused.logits) / np.exp(fused.logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, expected, rtol=1e-4)
    assert cli.main(["export", str(tmp_path / "tiny"), "--check", "1"]) == 0
    facts = json.loads((tmp_path / "tiny/savedmodel/1/assets/vidrec.json").read_text())
    assert facts["clip"]["segments"] == 4
    model = Predictor(tmp_path / "tiny/savedmodel")
    video = sorted((root / "videos").rglob("*g02*.avi"))[0]
    assert len(model.predict(video).frames) == 4
