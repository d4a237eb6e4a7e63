"""The main job through the command line, from AVI files to a prediction, at the smallest size."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.experiment.conftest import CONFIG, interrupt_in_stage
from vidrec import cli, config
from vidrec.evaluation.scores import load_scores
from vidrec.experiment.runs import load_stream


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The folder in which `vidrec demo` has run once."""
    root = tmp_path_factory.mktemp("job")
    content = json.loads(json.dumps(CONFIG))
    content["data"] |= {"videos": str(root / "videos"), "root": str(root / "store")}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    assert cli.main(["demo", str(root / "tiny.yaml"), "--out", str(root / "runs")]) == 0
    return root


def run(job, *arguments):
    return cli.main(
        [arguments[0], str(job / "tiny.yaml"), *arguments[1:], "--out", str(job / "runs")]
    )


def test_everything_is_written(job):
    base = job / "runs/tiny"
    for stream in ("spatial", "temporal"):
        assert sorted(path.name for path in (base / stream).iterdir()) == [
            "classes.txt",
            "clips.png",
            "config.yaml",
            "confusion.png",
            "curves.png",
            "log.csv",
            "missing_videos.txt",
            "provenance.json",
            "speed.csv",
            "stream.weights.h5",
            "tensorboard",
            "train_videos.txt",
        ]
    names = {path.name for path in (base / "evaluation").iterdir()}
    assert names >= {"summary.csv", "fused.npz", "fused_confusion.png", "fused_per_class.csv"}
    assert names >= {"spatial_draw0.npz", "spatial_draw1.npz", "temporal_confusion.csv"}


def test_run_folder_tells_how_it_was_made(job):
    run_folder = job / "runs/tiny/spatial"
    saved = config.Experiment(**yaml.safe_load((run_folder / "config.yaml").read_text()))
    assert saved == config.load(job / "tiny.yaml")
    provenance = json.loads((run_folder / "provenance.json").read_text())
    assert provenance["config"] == str(job / "tiny.yaml")
    assert provenance["seed"] == 0
    assert provenance["data"] == {
        "dataset": "folder",
        "videos": {"train": 9, "test": 9},
        "missing": 0,
        "expected": 18,
        "parent": None,
    }
    assert {"git_commit", "tensorflow", "keras", "opencv", "numpy", "machine"} <= set(provenance)
    log = pd.read_csv(run_folder / "log.csv")
    assert log.stage.tolist() == ["head", "all", "all"]
    assert log.learning_rate.tolist() == pytest.approx([0.01, 0.001, 0.001])
    assert log.val_accuracy.between(0, 1).all()


def test_score_files_fuse_to_the_fused_file(job):
    folder = job / "runs/tiny/evaluation"
    spatial, temporal, fused = (
        load_scores(folder / f"{name}.npz") for name in ("spatial", "temporal", "fused")
    )
    assert (spatial.video_id == temporal.video_id).all()
    assert len(spatial.video_id) == 9
    np.testing.assert_allclose(fused.logits, spatial.logits + 1.5 * temporal.logits, atol=1e-4)
    draws = [load_scores(folder / f"spatial_draw{i}.npz") for i in (0, 1)]
    assert np.abs(draws[0].logits - draws[1].logits).max() > 0
    assert draws[1].stamp["draw"] == 1
    assert len(draws[0].stamp["weights_sha256"]) == 64
    summary = pd.read_csv(folder / "summary.csv", index_col="stream")
    assert summary.index.tolist() == ["spatial", "temporal", "fused"]
    accuracy = [np.mean(draw.logits.argmax(axis=1) == draw.label) for draw in draws]
    assert summary.top1["spatial"] == pytest.approx(np.mean(accuracy))
    assert summary.chance["fused"] == pytest.approx(1 / 9)


@pytest.mark.slow
def test_a_second_run_skips_what_is_done(job, capsys):
    weights = job / "runs/tiny/spatial/stream.weights.h5"
    before = weights.stat().st_mtime_ns
    assert run(job, "demo") == 0
    assert weights.stat().st_mtime_ns == before
    out = capsys.readouterr().out
    assert "all there" in out
    assert "spatial: trained already" in out
    assert "exported already" in out
    assert [path.name for path in (job / "runs/tiny/savedmodel").iterdir()] == ["1"]
    assert "chance   11.1%" in out
    assert f"make predict CLIP={job}" in out


def test_train_does_not_overwrite_a_run(job, capsys):
    assert run(job, "train", "--stream", "spatial") == 2
    assert "holds a run already. Pass --resume" in capsys.readouterr().err


def test_resume_refuses_another_configuration(job, capsys):
    assert run(job, "train", "--stream", "spatial", "--resume", "--seed", "1") == 2
    error = capsys.readouterr().err
    assert "begun with another configuration: seed differ" in error


@pytest.mark.slow
def test_an_interrupted_stream_goes_on_where_it_stopped(job, tmp_path, capsys):
    """Killed within its second stage, with one of two epochs done."""
    from vidrec.training import fit

    arguments = ["train", str(job / "tiny.yaml"), "--stream", "spatial", "--out", str(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "save_checkpoint", fit.save_checkpoint)  # put back at the end
        interrupt_in_stage(1)
        assert cli.main(arguments) == 130
    assert "run the same command again with --resume" in capsys.readouterr().err
    run_folder = tmp_path / "tiny/spatial"
    kept = sorted(path.name for path in (run_folder / "checkpoints").iterdir())
    assert kept == ["00-0001-000000", "01-0001-000000"]
    assert not (run_folder / "stream.weights.h5").exists()
    assert cli.main(["evaluate", str(job / "tiny.yaml"), "--out", str(tmp_path)]) == 2
    assert "holds no complete run" in capsys.readouterr().err
    assert cli.main([*arguments, "--resume"]) == 0
    whole = pd.read_csv(job / "runs/tiny/spatial/log.csv")
    pd.testing.assert_frame_equal(pd.read_csv(run_folder / "log.csv"), whole, check_exact=True)


def changed(job, tmp_path, change):
    """A copy of the experiment with something changed, and its runs beside it."""
    content = yaml.safe_load((job / "tiny.yaml").read_text())
    change(content)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    if not (tmp_path / "runs").exists():
        (tmp_path / "runs").symlink_to(job / "runs")
    return str(tmp_path / "tiny.yaml"), str(tmp_path / "runs")


def test_a_stream_is_not_scored_on_videos_it_was_trained_on(job, tmp_path, capsys):
    split = {"name": "groups", "test_groups": ["g02"]}  # g02 is what the runs were trained on
    path, out = changed(job, tmp_path, lambda content: content["data"].update(split=split))
    assert cli.main(["evaluate", path, "--out", out]) == 2
    error = capsys.readouterr().err
    assert "tiny/spatial was trained on 9 of the 9 test videos" in error
    out = str(tmp_path / "other")
    shutil.copytree(job / "runs/tiny/spatial", tmp_path / "other/tiny/spatial")
    assert cli.main(["train", path, "--stream", "temporal", "--out", out]) == 2
    assert "was trained on 9 of the 9 test videos" in capsys.readouterr().err


def test_flow_must_be_what_the_experiment_says(job, tmp_path, capsys):
    path, out = changed(job, tmp_path, lambda content: content["data"].update(flow={"bound": 15}))
    assert cli.main(["evaluate", path, "--out", out]) == 2
    assert "'bound': 20.0, 'quantize': 'bound'} there, {" in capsys.readouterr().err
    train = ["train", path, "--stream", "temporal", "--out", str(tmp_path / "new")]
    assert cli.main(train) == 2
    error = capsys.readouterr().err
    assert "must be what data.flow says" in error
    assert "'bound': 20.0" in error


def test_what_is_wrong_is_found_before_the_run_begins(job, tmp_path, capsys):
    """And does not block the run that follows when it is corrected."""

    def with_stage(key, value):
        def change(content):
            content["name"] = "new"
            content["streams"]["spatial"]["stages"][1][key] = value

        return change

    for key, value, message in (
        ("layers", "block3-1", "`layers` must be 'head'"),
        ("batch_size", 10, "at most the number of training videos. Received: batch_size=10"),
    ):
        path, _ = changed(job, tmp_path, with_stage(key, value))
        out = str(tmp_path / "fresh")
        assert cli.main(["train", path, "--stream", "spatial", "--out", out]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "fresh/new/spatial").exists()
    path, out = changed(job, tmp_path, lambda c: c["model"]["options"].update(dropuot=0.1))
    assert cli.main(["train", path, "--stream", "spatial", "--out", str(tmp_path / "x")]) == 2
    assert "Received: ['dropuot']" in capsys.readouterr().err


def test_predict_names_the_classes(job, capsys):
    clip = next((job / "videos").glob("BlueDotsOrbit/*g01*.avi"))
    assert cli.main(["predict", str(clip), "--model", str(job / "runs/tiny/savedmodel")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(clip)
    assert len(lines) == 6
    assert all("%" in line for line in lines[1:])


@pytest.mark.slow
def test_a_partial_data_set_stops_unless_allowed_and_every_result_says_so(job, tmp_path, capsys):
    store = tmp_path / "store"
    shutil.copytree(job / "store", store)
    index = pd.read_csv(store / "index.csv", keep_default_na=False)
    bad = index.index[index.group == "g02"][0]  # a training video
    index.loc[bad, ["status", "message"]] = "failed", "clip.avi is empty"
    index.to_csv(store / "index.csv", index=False)
    arguments = ["train", str(job / "tiny.yaml"), "--stream", "temporal", "--out", str(tmp_path)]
    assert cli.main([*arguments, "--data", str(store)]) == 2
    error = capsys.readouterr().err
    assert "1 of 18 videos" in error
    assert "clip.avi is empty" in error
    assert "go on without them by --allow-missing" in error
    shutil.copytree(job / "runs", tmp_path / "runs")
    again = ["evaluate", str(job / "tiny.yaml"), "--data", str(store)]
    again += ["--out", str(tmp_path / "runs"), "--allow-missing"]
    assert cli.main(again) == 0
    assert "Partial data: 1 of 18 videos are missing" in capsys.readouterr().out
    folder = tmp_path / "runs/tiny/evaluation"
    assert pd.read_csv(folder / "summary.csv").missing.tolist() == [1, 1, 1]
    for name in ("spatial", "spatial_draw0", "fused"):
        stamp = load_scores(folder / f"{name}.npz").stamp
        assert stamp["data"] == {
            "dataset": "folder",
            "videos": {"train": 8, "test": 9},
            "missing": 1,
            "expected": 18,
        }
        assert name == "fused" or stamp["trained_on"]["missing"] == 0
    assert pd.read_csv(folder / "summary.csv").trained_missing.tolist() == [0, 0, 0]
    # and the other way round: trained on a part, scored on the whole
    provenance = tmp_path / "runs/tiny/spatial/provenance.json"
    facts = json.loads(provenance.read_text())
    facts["data"]["missing"] = 3
    provenance.write_text(json.dumps(facts))
    assert cli.main([*again[:2], *again[4:6]]) == 0
    assert "Trained on partial data: 3 of 18 videos" in capsys.readouterr().out
    assert pd.read_csv(folder / "summary.csv").missing.tolist() == [0, 0, 0]
    assert load_scores(folder / "spatial.npz").stamp["trained_on"]["missing"] == 3


def test_init_from_other_classes_is_refused(job, tmp_path, capsys):
    out = tmp_path / "runs"
    shutil.copytree(job / "runs/tiny/spatial", out / "tiny/spatial")
    names = (out / "tiny/spatial/classes.txt").read_text().splitlines()
    (out / "tiny/spatial/classes.txt").write_text("\n".join(reversed(names)) + "\n")
    arguments = ["train", str(job / "tiny.yaml"), "--stream", "temporal", "--out", str(out)]
    assert cli.main(arguments) == 2
    assert "trained on other classes, so its head does not fit" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stream_starts_from_one_of_other_classes_but_for_the_head(job, tmp_path, capsys):
    """As from Kinetics-400 to UCF101."""
    store = tmp_path / "store"
    shutil.copytree(job / "store", store)
    index = pd.read_csv(store / "index.csv", keep_default_na=False)
    fewer = sorted(index.label.unique())[:4]
    index[index.label.isin(fewer)].to_csv(store / "index.csv", index=False)
    parent = job / "runs/tiny/spatial"

    def start_from_parent(content):
        head = content["streams"]["spatial"]["stages"][0]
        init = {"run": str(parent), "include_head": False}
        content["streams"] = {"spatial": {"init": init, "stages": [head]}}
        content["data"]["split"] = {"name": "groups", "test_groups": ["g01"]}
        content["data"]["videos"] = "none"  # beside them is a list of all classes

    path, _ = changed(job, tmp_path, start_from_parent)
    out = tmp_path / "transferred"
    assert cli.main(["train", path, "--data", str(store), "--out", str(out)]) == 0
    assert f"spatial: starts from {parent}, with a new head" in capsys.readouterr().out
    old, new = load_stream(parent), load_stream(out / "tiny/spatial")
    assert new.classes == tuple(fewer)
    *old, old_kernel, old_bias = old.model.get_weights()
    *new, new_kernel, new_bias = new.model.get_weights()
    for there, here in zip(old, new, strict=True):
        np.testing.assert_array_equal(there, here)
    assert (old_kernel.shape, new_kernel.shape) == ((2048, 9), (2048, 4))
    assert (old_bias.shape, new_bias.shape) == ((9,), (4,))
