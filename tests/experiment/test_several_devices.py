"""The command line under MirroredStrategy: two logical CPUs stand for two GPUs."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from tests.conftest import PROJECT
from tests.experiment.conftest import CONFIG
from vidrec.datasets import synthetic

CODE = """
import sys
from tests.devices import logical_cpus
from vidrec import cli
from vidrec.training import strategy

logical_cpus(2)
assert strategy.choose_strategy().num_replicas_in_sync == 2
if sys.argv[-1] == "kill":
    from tests.experiment.conftest import interrupt_in_stage

    interrupt_in_stage(1)
    sys.argv.pop()
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_stream_trains_and_resumes_on_two_devices(tmp_path):
    content = json.loads(json.dumps(CONFIG))
    content["data"] |= {"videos": str(tmp_path / "videos"), "root": str(tmp_path / "store")}
    content["streams"] = {"spatial": content["streams"]["spatial"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(content))
    spec = synthetic.SyntheticSpec(**content["data"]["synthetic"])
    synthetic.write_videos(tmp_path / "videos", spec)

    def vidrec(*arguments):
        command = [sys.executable, "-c", CODE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)

    done = vidrec("extract-frames", "--config", str(tmp_path / "two.yaml"))
    assert done.returncode == 0, done.stderr
    train = ["train", str(tmp_path / "two.yaml"), "--stream", "spatial", "--out", str(tmp_path)]
    assert vidrec(*train, "kill").returncode == 130
    done = vidrec(*train, "--resume")
    assert done.returncode == 0, done.stderr
    resumed = pd.read_csv(tmp_path / "tiny/spatial/log.csv")
    assert resumed.stage.tolist() == ["head", "all", "all"]
    shutil.rmtree(tmp_path / "tiny")
    assert vidrec(*train).returncode == 0
    whole = pd.read_csv(tmp_path / "tiny/spatial/log.csv")
    pd.testing.assert_frame_equal(resumed, whole, rtol=1e-5)
