"""What TensorBoard and Weights & Biases are shown."""

import io
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.training.small_run import EPOCHS, train
from vidrec.training import watching

PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def png():
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "png")
    return file.getvalue()


def watch(*writers):
    return watching.Watch(writers, lambda epoch: {"clips": png()} if epoch == 0 else {})


def test_tensorboard_has_every_epoch(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    write = watching.tensorboard_writer(tmp_path / "all")
    train(tiny, tmp_path, options={"watchers": [watch(write)]})
    (file,) = (tmp_path / "all").iterdir()
    values, pictures = {}, {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            tensor = tf.make_ndarray(value.tensor)
            if value.metadata.plugin_data.plugin_name == "images":
                pictures[value.tag, event.step] = tf.io.decode_png(tensor[2]).numpy()
            else:
                values.setdefault(value.tag, []).append((event.step, float(tensor)))
    assert values.keys() == {"loss", "accuracy", "learning_rate", "clips_per_second", "waiting"}
    assert [step for step, _ in values["loss"]] == list(range(EPOCHS))
    np.testing.assert_allclose([v for _, v in values["learning_rate"]][::2], [0.01, 2e-3, 4e-4])
    assert pictures.keys() == {("clips", 0)}
    np.testing.assert_array_equal(pictures["clips", 0], PICTURE)


def test_without_tensorboard_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(watching.importlib.util, "find_spec", lambda name: None)
    assert watching.tensorboard_writer(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in that keeps what it is told."""
    stand_in = types.ModuleType("wandb")
    stand_in.Image = lambda array: ("image", array.tolist())
    stand_in.begun, stand_in.rows = [], []

    def init(**options):
        stand_in.begun.append(options)
        return types.SimpleNamespace(log=stand_in.rows.append)

    stand_in.init = init
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


def begin(folder):
    return watching.wandb_run("films", name="demo/rgb", folder=folder, settings={"seed": 3})


def test_wandb_has_every_epoch_in_one_run(wandb, tiny, tmp_path):
    write = watching.wandb_writer(begin(tmp_path / "run"), "head")
    train(tiny, tmp_path, epochs=2, options={"watchers": [watch(write)]})
    assert [row["head/epoch"] for row in wandb.rows] == [0, 1]
    assert wandb.rows[0]["head/clips"] == ("image", PICTURE.tolist())
    assert 0 < wandb.rows[1]["head/loss"] < 3
    begin(tmp_path / "run")
    begin(tmp_path / "other")
    one, again, other = (options["id"] for options in wandb.begun)
    assert one == again != other
    assert wandb.begun[0]["project"] == "films"
    assert wandb.begun[0]["config"] == {"seed": 3}
    assert wandb.begun[0]["resume"] == "allow"


def test_wandb_itself(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = begin(tmp_path / "run")
    watching.wandb_writer(run, "all")(0, {"loss": 0.5}, {"clips": png()})
    assert run.summary["all/loss"] == 0.5
    run.finish()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))


def test_without_wandb(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="pip install wandb.*--wandb"):
        begin(tmp_path)
    assert not list(tmp_path.iterdir())
