"""What an experiment says about reading its images: bad ones, a cache, the fast DCT."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml

from tests.experiment.conftest import CONFIG, experiment
from vidrec import cli, config
from vidrec.experiment import clips
from vidrec.experiment.splits import split_videos
from vidrec.layouts import PACKED
from vidrec.packs import Manifest
from vidrec.store import Store


@pytest.fixture
def content(root):
    """What the file of an experiment says whose frames and flow are there. Read those only."""
    return experiment(root).model_dump(mode="json")


def source_of(content, stream="temporal", **data):
    plan = config.Experiment(**content | {"data": content["data"] | data})
    split, classes = split_videos(plan)
    return clips.clip_source(plan, split.test, classes, plan.clip_spec(stream))


def batches(content, **data):
    plan = config.Experiment(**content)
    return list(clips.evaluation_batches(plan, source_of(content, **data)))


def test_a_cache_gives_the_same_clips(content, tmp_path):
    expected = batches(content)
    assert [source_of(content, cache=c).in_memory for c in (None, "memory")] == [False, True]
    for cache in ("memory", str(tmp_path / "local"), str(tmp_path / "local")):
        found = batches(content, cache=cache)
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    assert Manifest.read_complete(tmp_path / "local").videos == {"frames": 18, "flow": 18}
    assert source_of(content, cache=str(tmp_path / "local")).store.layout == PACKED


def test_what_cannot_be_a_cache_is_refused(content, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`out` must be a new or empty folder"):
        source_of(content, cache=str(tmp_path))
    local = str(tmp_path / "local")
    source_of(content, cache=local)
    with pytest.raises(ValueError, match="is a pack already: copy its folder"):
        source_of(content, root=local, layout=PACKED, cache=str(tmp_path / "more"))


def test_the_fast_dct_is_nearly_the_exact_one(content):
    for (exact, *_), (fast, *_) in zip(
        batches(content), batches(content, fast_dct=True), strict=True
    ):
        difference = np.abs(np.subtract(exact["flow"], fast["flow"], dtype=int))
        assert 0 < difference.max() <= 4
        assert difference.mean() < 0.5


@pytest.mark.slow
def test_a_bad_image_in_training_is_named_or_skipped(content, tmp_path, capsys):
    """The whole way: split, decoding, `fit`, exit code; and the run that stopped can go on."""
    shutil.copytree(content["data"]["root"], tmp_path / "store")
    content["data"]["root"] = str(tmp_path / "store")
    spatial = content["streams"]["spatial"]
    content["streams"] = {"spatial": spatial | {"stages": spatial["stages"][:1]}}
    content["evaluation"]["each_epoch"] = False
    split, _ = split_videos(config.Experiment(**content))
    broken = split.train.video_id.iloc[2]
    paths = [Store(tmp_path / "store").path("frame", broken, i) for i in range(1, 7)]
    for path in paths:
        path.write_bytes(path.read_bytes()[:200])
    codes = []
    for policy, more in (("error", []), ("skip", ["--resume"])):
        content["data"]["on_missing"] = policy
        (tmp_path / "one.yaml").write_text(yaml.safe_dump(content))
        train = ["train", str(tmp_path / "one.yaml"), "--stream", "spatial", *more]
        codes.append(cli.main([*train, "--out", str(tmp_path)]))
        told = capsys.readouterr()
        assert f"{paths[0].parent}/img_0000" in told.err
        assert "Traceback" not in told.err
    assert codes == [2, 0]
    table = pd.read_csv(tmp_path / "tiny/spatial/skipped.csv")
    assert table.video_id.tolist() == [broken]
    assert table.clips[0] >= 1
    assert "1 videos could not be read, and others took their place" in told.out


@pytest.mark.slow
def test_clips_that_the_device_finishes_train_the_same(content, tmp_path):
    """The logs of two stages; the codes differ by one here and there."""
    spatial = CONFIG["streams"]["spatial"]
    content["streams"] = {"spatial": spatial}
    logs = []
    for finish in ("pipeline", "device"):
        content["data"]["finish"] = finish
        path, out = tmp_path / f"{finish}.yaml", tmp_path / finish
        path.write_text(yaml.safe_dump(content))
        train = ["train", str(path), "--stream", "spatial", "--out", str(out)]
        assert cli.main(train) == 0
        logs.append(pd.read_csv(out / "tiny/spatial/log.csv"))
    assert logs[0].stage.tolist() == logs[1].stage.tolist() == ["head", "all", "all"]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=0.02)
    assert (logs[0].loss != logs[1].loss).any()
