"""Which videos an experiment is on, and on which side: messages for what is wrong with them."""

import pandas as pd
import pytest

from vidrec import config
from vidrec.experiment import videos
from vidrec.experiment.splits import describe, split_videos
from vidrec.store import Row, Store


def experiment(tmp_path, **data):
    stage = {"name": "all", "epochs": 1, "batch_size": 2, "schedule": {"rate": 0.1}}
    return config.Experiment(
        name="x",
        data={
            "videos": str(tmp_path / "videos"),
            "root": str(tmp_path / "store"),
            "split": {"name": "random-3:1"},
            **data,
        },
        streams={"spatial": {"stages": [stage]}},
    )


@pytest.fixture
def store(tmp_path):
    """Two classes of eight clips each, two clips a source video."""
    store = Store(tmp_path / "store")
    for label in ("Run", "Jump"):
        for clip in range(8):
            name = f"{label}/v_{label}_g{clip // 2:02d}_c{clip % 2:02d}"
            source = str(tmp_path / f"videos/{name}.avi")
            store.append(
                Row(video_id=name, label=label, group=f"g{clip // 2:02d}", n_frames=9 + clip,
                    source=source)
            )  # fmt: skip
    return store


def test_a_random_split_warns_of_leaking_groups(store, tmp_path, capsys):
    (train, test, *_), classes = split_videos(experiment(tmp_path))
    assert classes == ("Jump", "Run")
    assert (len(train), len(test)) == (12, 4)
    assert train.columns.tolist().count("n_frames") == 1
    assert "clips of" in capsys.readouterr().out
    train, test, *_ = split_videos(experiment(tmp_path, split={"name": "grouped-3:1"}))[0]
    assert not set(train.group) & set(test.group)
    assert capsys.readouterr().out == ""


def test_videos_that_are_not_whole_stop_or_are_counted(store, tmp_path, capsys):
    row = store.rows()["Run/v_Run_g01_c00"]
    row.status, row.message = "partial", "clip.avi: 3 frames decoded of 11. Is it truncated?"
    store.append(row)
    with pytest.raises(ValueError, match=r"(?s)1 of 16 videos.*3 frames decoded of 11.*extract"):
        split_videos(experiment(tmp_path))
    partial = experiment(tmp_path, allow_missing=True)
    split, _ = split_videos(partial)
    assert (split.found, split.missing, split.expected) == (15, 1, 16)
    assert split.missing_names == ("Run/v_Run_g01_c00",)
    assert describe(partial, split) == {
        "dataset": "folder",
        "videos": {"train": len(split.train), "test": len(split.test)},
        "missing": 1,
        "expected": 16,
    }
    assert "Left out: 1 of 16 videos" in capsys.readouterr().out


def test_the_table_keeps_what_the_index_knows(store, tmp_path):
    train, test, *_ = split_videos(experiment(tmp_path))[0]
    both = pd.concat([train, test]).set_index("video_id").sort_index()
    index = store.index().set_index("video_id").sort_index()
    pd.testing.assert_series_equal(both.n_frames, index.n_frames)
    assert (both.path == index.source).all()


def test_only_an_embedded_data_set_is_drawn(tmp_path):
    with pytest.raises(ValueError, match="x is on the videos in .*videos; only an experiment with"):
        videos.draw_videos(experiment(tmp_path))
    with pytest.raises(ValueError, match=r"takes \['clips', 'fps'.*Received: \['clps'\]"):
        videos.draw_videos(experiment(tmp_path, synthetic={"clps": 3}))
