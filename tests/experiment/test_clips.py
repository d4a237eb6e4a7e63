"""What an experiment says about reading its images: bad ones, a cache, the fast DCT."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml

from tests.experiment.conftest import CONFIG
from vidrec import cli, config
from vidrec.experiment import clips
from vidrec.experiment.splits import split_videos
from vidrec.layouts import PACKED
from vidrec.packs import Manifest


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The content of an experiment whose frames and flow are there. Read it only."""
    root = tmp_path_factory.mktemp("clips")
    content = json.loads(json.dumps(CONFIG))
    content["data"] |= {"videos": str(root / "videos"), "root": str(root / "store")}
    content["data"]["flow"] = {"engine": "dis"}
    (root / "clips.yaml").write_text(yaml.safe_dump(content))
    from vidrec.datasets import synthetic

    synthetic.write_videos(root / "videos", synthetic.SyntheticSpec(**content["data"]["synthetic"]))
    assert cli.main(["extract-flow", "--config", str(root / "clips.yaml")]) == 0
    return content


def source_of(content, modality="flow", **data):
    experiment = config.Experiment(**content | {"data": content["data"] | data})
    split, classes = split_videos(experiment)
    return clips.clip_source(experiment, split.test, classes, experiment.clip_spec(modality))


def batches(content, **data):
    experiment = config.Experiment(**content)
    return list(clips.evaluation_batches(experiment, source_of(content, **data)))


def test_a_cache_gives_the_same_clips(content, tmp_path):
    expected = batches(content)
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


def test_a_bad_image_in_training_is_named_or_skipped(content, tmp_path, capsys):
    """The whole way: split, decoding, `fit`, exit code."""
    content = json.loads(json.dumps(content))
    content["streams"] = {"spatial": content["streams"]["spatial"]}
    content["streams"]["spatial"]["stages"] = content["streams"]["spatial"]["stages"][:1]
    experiment = config.Experiment(**content)
    split, _ = split_videos(experiment)
    store = clips.clip_source(
        experiment, split.train, sorted(set(split.train.label)), experiment.clip_spec("rgb")
    ).store
    broken = split.train.video_id.iloc[2]
    paths = [store.path("frame", broken, i) for i in range(1, 7)]
    kept = [path.read_bytes() for path in paths]
    try:
        for path in paths:
            path.write_bytes(path.read_bytes()[:200])
        codes = []
        for policy in ("error", "skip"):
            content["data"]["on_missing"] = policy
            (tmp_path / f"{policy}.yaml").write_text(yaml.safe_dump(content))
            train = ["train", str(tmp_path / f"{policy}.yaml"), "--stream", "spatial"]
            codes.append(cli.main([*train, "--out", str(tmp_path / policy)]))
            told = capsys.readouterr()
            assert f"{paths[0].parent}/img_0000" in told.err
            assert ("Traceback" in told.err) is False
        assert codes == [2, 0]
        table = pd.read_csv(tmp_path / "skip/tiny/spatial/skipped.csv")
        assert table.video_id.tolist() == [broken]
        assert table.clips[0] >= 1
        assert "1 videos could not be read, and others took their place" in told.out
    finally:
        for path, data in zip(paths, kept, strict=True):
            path.write_bytes(data)
