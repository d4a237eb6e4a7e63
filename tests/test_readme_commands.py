"""The commands of README run, one after the other, as they stand there.

Each experiment that they name is made small first, where it lies: the same networks, streams and
tests, few filters, one epoch, a few drawn clips.
"""

import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.conftest import PACKAGE, PROJECT
from tests.experiment.test_recipes import SMALL
from tests.test_readme import TEXTS
from vidrec.datasets import synthetic
from vidrec.extraction.video import read_frames

README = TEXTS["README.md"]
ELSEWHERE = {  # what is not run here, and what runs it or why nothing can
    "make test": "it runs this",
    "pip install": "tests have no network; `.ci/test-wheel` installs",
    "vidrec demo-page": "it ends with ctrl-C; tests/experiment/test_demo_page.py",
    "vidrec predict 0": "it needs a camera; tests/experiment/test_predict.py",
    "vidrec export runs/my my.onnx": "it takes 7 GB of memory; tests/export/test_onnx.py",
    "docker run": "tests have no Docker",
    "curl": "tests/export/test_savedmodel.py sends the signature what Serving would",
}
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S))
ROWS = "\n".join(re.findall(r"^\|.*`(make [^`]+)` \|$", README, re.M))
LINES = list(dict.fromkeys(f"{BLOCKS}\n{ROWS}".split("\n")))
RUN = [line for line in LINES if line and not line.startswith(tuple(ELSEWHERE))]
DEMO = "data/demo"  # where the experiments on drawn clips have their data


def test_what_is_not_run_is_in_readme():
    for start in ELSEWHERE:
        assert any(line.startswith(start) for line in LINES), start
    assert len(RUN) > 30


def shrink(content):
    """What an experiment's file says, for small networks and few clips."""
    model = content.setdefault("model", {"name": "multiseg_xception"})
    clip, options = SMALL[model["name"]]
    own = model.get("options", {})
    blocks = own.get("network") != "c3d"  # which has none
    less = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    model["options"] = own | {k: v for k, v in less.items() if blocks or k != "layer_sizes"}
    size = content["clip"]["size"] = clip["size"]
    square = {"resize": [size, size]}
    content["augment"] = square | {"crop": "centre"}
    test = {"protocol": content.get("evaluation", {}).get("protocol", "centre")}
    content["evaluation"] = test | square | {"batch_size": 20, "each_epoch": False}
    data = content["data"]
    if data["root"].startswith(DEMO):
        data.get("synthetic", {}).update(groups=4, test_groups=2, clips=1)
    else:
        data |= {"dataset": "folder", "videos": "videos", "split": {"name": "grouped-2:2"}}
        data["short_video"] = "pad"
        data.pop("groups", None)
    for stream in content["streams"].values():
        stream.get("init", {}).pop("weights", None)
        if "stages" in stream:
            stage = {"name": "all", "layers": "all", "epochs": 1, "batch_size": 4}
            step = {"optimizer": {"name": "adam"}, "schedule": {"kind": "constant", "rate": 0.001}}
            stream["stages"] = [stage | step]
    return content


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Like a clone in which README's reader stands, with an environment that make takes for ready,
    videos, a clip, a film, and an experiment of one's own."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(PROJECT / "experiments", folder / "experiments")
    for name in re.findall(r"experiments/\w+/\w+\.yaml", f"{README}experiments/tstam/demo.yaml"):
        content = shrink(yaml.safe_load((PROJECT / name).read_text()))
        (folder / name).write_text(yaml.safe_dump(content))
    own = yaml.safe_load((PROJECT / "experiments/multiseg_xception/fights.yaml").read_text())
    own |= {"name": "my", "data": own["data"] | {"root": "data/my", "flow": {}}}  # TV-L1
    (folder / "my.yaml").write_text(yaml.safe_dump(shrink(own)))

    spec = synthetic.SyntheticSpec(groups=4, test_groups=2, clips=1, frames=30, size=72)
    synthetic.write_videos(folder / "drawn", spec)
    for number, name in enumerate(("jump", "run", "wave")):
        drawn = folder / "drawn" / synthetic.class_names()[4 * number]
        (folder / "videos" / name).mkdir(parents=True)
        for video in drawn.glob("*.avi"):
            new = video.name.replace(drawn.name, name)
            shutil.copy(video, folder / "videos" / name / new)
    clip = folder / "videos/jump/v_jump_g01_c01.avi"
    shutil.copy(clip, folder / "clip.avi")
    film = cv2.VideoWriter(str(folder / "film.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (72, 72))
    for frame in 12 * list(read_frames(clip)):
        film.write(frame)
    film.release()

    bin_ = folder / ".venv/bin"
    bin_.mkdir(parents=True)
    for name, what in {"python": "", "vidrec": " -m vidrec.cli"}.items():
        (bin_ / name).write_text(f"#!/bin/sh\nexec '{sys.executable}'{what} \"$@\"\n")
        (bin_ / name).chmod(0o755)
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv/ready").touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", RUN)
def test_a_command_runs(line, place):
    if line.startswith("make") and shutil.which("make") is None:
        pytest.skip("needs make")
    path = f"{place / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        ["sh", "-c", line], cwd=place, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.stdout.strip()


@pytest.mark.slow
def test_the_exported_model_is_loaded_as_readme_does(place, monkeypatch):
    (block,) = re.findall(r"```python\n(model = tf.saved_model.load.*?)```", README, re.S)
    monkeypatch.chdir(place)
    found = {"tf": tf, "frames": np.stack(list(read_frames("clip.avi")))[..., ::-1]}
    exec(block, found)  # our own text
    assert found["probabilities"].shape == (1, 3)
    assert abs(float(tf.reduce_sum(found["probabilities"])) - 1) < 1e-5
