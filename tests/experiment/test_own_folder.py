"""A folder of one's own, from the videos and a csv file to the accuracy on sources held out."""

import pandas as pd
import pytest
import yaml

from tests.conftest import PROJECT
from vidrec import cli
from vidrec.evaluation.scores import load_scores
from vidrec.store import Store


@pytest.mark.slow
def test_fights_by_source(shared_data, tmp_path, capsys):
    content = yaml.safe_load((PROJECT / "experiments/multiseg_xception/fights.yaml").read_text())
    content["data"] |= {
        "videos": str(shared_data / "fights"),
        "root": str(tmp_path / "store"),
    }
    del content["streams"]["temporal"]  # minutes of flow; the streams are alike here
    content["streams"]["spatial"]["stages"][0]["epochs"] = 1
    content["evaluation"] |= {"protocol": None, "draws": 1}
    path, out = tmp_path / "fights.yaml", str(tmp_path / "runs")
    path.write_text(yaml.safe_dump(content))
    assert cli.main(["extract-frames", "--config", str(path)]) == 0
    index = Store(tmp_path / "store").index()
    assert len(index) == 59
    assert set(index.group) == {f"s{number:02d}" for number in range(8)}
    assert cli.main(["train", str(path), "--stream", "spatial", "--out", out]) == 0
    run = tmp_path / "runs/fights/spatial"
    assert (run / "classes.txt").read_text() == "fight\nnoFight\n"
    source = pd.read_csv(shared_data / "fights/clips.csv").set_index("clip").source
    seen = {source[f"{name}.mp4"] for name in (run / "train_videos.txt").read_text().split()}
    assert seen == {f"s{number:02d}" for number in range(6)}
    capsys.readouterr()
    assert cli.main(["evaluate", str(path), "--out", out]) == 0
    assert "Partial data" not in capsys.readouterr().out
    scores = load_scores(tmp_path / "runs/fights/evaluation/spatial.npz")
    assert {source[f"{name}.mp4"] for name in scores.video_id} == {"s06", "s07"}
    assert len(scores.video_id) == 19
    assert list(scores.classes) == ["fight", "noFight"]
