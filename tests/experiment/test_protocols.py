"""Tests by protocols, of validation videos and over several splits, with a small 3D network."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.test_fusion import softmax
from tests.experiment.conftest import STAGE, experiment, extract_frames
from vidrec import cli, config
from vidrec.evaluation.scores import load_scores
from vidrec.experiment.evaluate import evaluate, evaluate_splits
from vidrec.experiment.train import train

STREAM = {"stages": [{**STAGE, "name": "all", "epochs": 1, "optimizer": {"name": "adam"}}]}
R3D = {
    "model": {
        "name": "conv3d_baselines",
        "options": {"network": "r3d", "width": 0.0625, "layer_sizes": [1, 1, 1, 1]},
    },
    "clip": {"segments": 1, "frames_per_segment": 8, "size": 32},
    "sampling": {"policy": "consecutive"},
    "augment": {"resize": [32, 32], "crop": "centre", "flip_lr": 0, "flip_ud": 0, "brightness": 0},
    "evaluation": {"sampling": "centre", "resize": [32, 32], "each_epoch": False, "batch_size": 6},
}
SYNTHETIC = {"groups": 2, "test_groups": 1, "clips": 2, "frames": 6, "size": 72}
ONE = "centre, consecutive, 1 segments of 8 frames"
SPLITS = ("random-8:1:1", "random-6:2:2")

pytestmark = pytest.mark.filterwarnings("ignore:\\d+ videos are so short")


def plan(root, split=SPLITS[0], **evaluation):
    sections = R3D | {
        "evaluation": R3D["evaluation"] | evaluation,
        "data": {"split": {"name": split}, "synthetic": SYNTHETIC},
    }
    return experiment(root, streams={"spatial": STREAM}, **sections)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Frames of 36 videos, four of each class: enough for three sides."""
    root = tmp_path_factory.mktemp("frames")
    extract_frames(plan(root))
    return root


@pytest.fixture(scope="module")
def out(root, tmp_path_factory):
    """A folder with a run of either split."""
    out = tmp_path_factory.mktemp("runs")
    for split in SPLITS:
        train(config.of_split(plan(root), split), "spatial", out)
    return out


def test_clips_over_the_whole_video_are_averaged(root, out):
    evaluate(plan(root, clips=3, views_on="probabilities"), out)
    several = load_scores(out / "tiny/evaluation/spatial.npz")
    assert several.stamp["protocol"] == f"{ONE}, 3 clips averaged on probabilities"
    assert several.stamp["draws"][0]["clips"] == 3
    np.testing.assert_allclose(np.exp(several.logits).sum(axis=1), 1, rtol=1e-5)
    evaluate(plan(root), out)
    one = load_scores(out / "tiny/evaluation/spatial.npz")
    assert one.stamp["protocol"] == ONE
    # 6 frames there are and 8 are taken: all three clips are alike
    np.testing.assert_allclose(np.exp(several.logits), softmax(one.logits), rtol=1e-4, atol=1e-7)


def test_another_protocol_by_the_command_line(root, out, tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(config.dump(plan(root)))
    command = ["evaluate", str(path), "--out", str(out), "--protocol"]
    assert cli.main([*command, "dense-clips"]) == 0
    stamp = load_scores(out / "tiny/evaluation_dense-clips/spatial.npz").stamp
    assert stamp["protocol"] == f"{ONE}, 10 clips averaged on probabilities"
    saved = config.load(out / "tiny/evaluation_dense-clips/config.yaml")
    assert saved.evaluation.protocol == "dense-clips"
    assert cli.main([*command, "24-frames"]) == 2
    assert "protocol 24-frames is for" in capsys.readouterr().err


def test_validation_videos_are_scored_apart(root, out):
    summary = evaluate(plan(root), out, side="validation")
    folder = out / "tiny/evaluation_validation"
    scores = load_scores(folder / "spatial.npz")
    assert scores.stamp["side"] == "validation"
    test = evaluate(plan(root), out)
    held_out = load_scores(out / "tiny/evaluation/spatial.npz")
    assert held_out.stamp["side"] == "test"
    assert not set(scores.video_id) & set(held_out.video_id)
    assert (summary.videos.iloc[0], test.videos.iloc[0]) == (
        len(scores.video_id),
        len(held_out.video_id),
    )
    assert summary.interval_low.iloc[0] <= summary.top1.iloc[0] <= summary.interval_high.iloc[0]
    table = pd.read_csv(folder / "spatial_confused_pairs.csv")
    wrong = int((scores.logits.argmax(axis=1) != scores.label).sum())
    assert table.videos.sum() == wrong
    with pytest.raises(ValueError, match="listed-1 must have validation videos, as random-8:1:1"):
        evaluate(plan(root, "listed-1"), out, side="validation")


def test_the_mean_of_several_splits(root, out, tmp_path, capsys):
    found = evaluate_splits(plan(root), out, SPLITS)
    tops = [evaluate(config.of_split(plan(root), split), out).top1.iloc[0] for split in SPLITS]
    assert found.loc["spatial", list(SPLITS)].tolist() == tops
    assert found.loc["spatial", "mean"] == pytest.approx(np.mean(tops))
    assert found.loc["spatial", "sd"] == pytest.approx(np.std(tops, ddof=1))
    saved = pd.read_csv(out / "tiny/splits.csv", index_col=0)
    assert saved.columns.tolist() == [*SPLITS, "mean", "sd"]
    path = tmp_path / "tiny.yaml"
    path.write_text(config.dump(plan(root)))
    assert cli.main(["evaluate", str(path), "--out", str(out), "--splits", *SPLITS]) == 0
    assert f"{found['mean'].iloc[0]:.1%}" in capsys.readouterr().out
    command = [
        "evaluate",
        str(path),
        "--out",
        str(out),
        "--splits",
        *SPLITS,
        "--side",
        "validation",
    ]
    assert cli.main(command) == 2
    assert "--splits goes without --split" in capsys.readouterr().err
    with pytest.raises(ValueError, match="must be two or more, each once"):
        evaluate_splits(plan(root), out, SPLITS[:1])
    with pytest.raises(FileNotFoundError, match="tiny_random-7:1:2"):
        evaluate_splits(plan(root), out, [*SPLITS, "random-7:1:2"])


def test_score_files_by_the_command_line(root, out, tmp_path, capsys):
    """Fused, compared, swept, and brought in from elsewhere."""
    for side in ("test", "validation"):
        evaluate(plan(root), out, side=side)
    ours = load_scores(out / "tiny/evaluation/spatial.npz")
    table = pd.DataFrame(ours.logits[::-1] * 0.5, columns=list(ours.classes))
    table.insert(0, "video_id", ours.video_id[::-1])
    table.insert(1, "label", ours.label[::-1])
    theirs = tmp_path / "theirs.csv"
    table.to_csv(theirs, index=False)
    file, like = str(tmp_path / "theirs.npz"), str(out / "tiny/evaluation/spatial.npz")
    assert cli.main(["import-scores", str(theirs), "--like", like, "--out", file]) == 0
    fused = str(tmp_path / "fused.npz")
    assert cli.main(["fuse", like, file, "--weights", "1", "3", "--out", fused]) == 0
    assert "fused" in capsys.readouterr().out
    np.testing.assert_allclose(load_scores(fused).logits, ours.logits * 2.5, rtol=1e-5)
    assert cli.main(["compare", like, file]) == 0
    assert "0 videos only the first has right, 0 only the second" in capsys.readouterr().out

    split = ["--protocol", ONE, "--split", SPLITS[0]]
    assert cli.main(["import-scores", str(theirs), *split, "--out", file]) == 0
    assert cli.main(["fuse", like, file]) == 0
    assert cli.main(["import-scores", str(theirs), "--out", file]) == 2
    assert "--like, or --protocol and --split" in capsys.readouterr().err
    assert cli.main(["fuse", like, file, "--sweep"]) == 2
    assert "vidrec evaluate --side validation" in capsys.readouterr().err
    assert cli.main(["fuse", like, file, "--sweep", "--weights", "1", "2"]) == 2
    assert "leave --weights, --normalize out" in capsys.readouterr().err
    both = ["--like", like, *split]
    assert cli.main(["import-scores", str(theirs), *both, "--out", file]) == 2
    assert "leave --protocol and --split out" in capsys.readouterr().err
    held_out = str(out / "tiny/evaluation_validation/spatial.npz")
    weights = tmp_path / "weights.csv"
    assert cli.main(["fuse", held_out, held_out, "--sweep", "--out", str(weights)]) == 0
    assert pd.read_csv(weights).weight_1.tolist()[0] == pytest.approx(0.5)


def test_what_a_run_is_of_stands_in_its_scores(root, out):
    evaluate(plan(root), out)
    stamp = load_scores(out / "tiny/evaluation/spatial_draw0.npz").stamp
    assert stamp["split"] == {"name": SPLITS[0], "seed": 0, "test_groups": []}
    assert json.loads(json.dumps(stamp)) == stamp
