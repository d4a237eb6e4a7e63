"""What the targets of the Makefile call: with names of any letters, `vidrec` is given those."""

import re
import shlex
import shutil
import subprocess

import pytest

from tests.conftest import PROJECT
from vidrec import cli

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

CONFIG = 'mön éxp 实验 🎬 it\'s; $(exit 3) `x` "y".yaml'.replace("$", "$$")  # make's own letter
VIDEOS, DATA, OUT = "my vidéos, 视频/it's", "däta & more", "rüns (1)"
VENV = "elsewhere"


def make(*arguments, folder=PROJECT):
    """The lines that make would run, with an environment that it takes for ready."""
    command = ["make", "-n", "-f", PROJECT / "Makefile", f"VENV={VENV}", "-o", f"{VENV}/ready"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder)


def options(*arguments, folder=PROJECT):
    """What `vidrec` takes from the one line that calls it."""
    done = make(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    (line,) = re.findall(rf"^{VENV}/bin/vidrec (.*)$", done.stdout, re.M)
    return cli.parser().parse_args(shlex.split(line))


@pytest.mark.parametrize(
    "target", ["demo", "train", "train-spatial", "evaluate", "extract-frames", "extract-flow"]
)
def test_paths_of_any_letters_reach_vidrec(target):
    found = options(target, f"CONFIG={CONFIG}", f"VIDEOS={VIDEOS}", f"DATA={DATA}", f"OUT={OUT}")
    assert found.config == CONFIG.replace("$$", "$")
    assert found.data == DATA
    if target.startswith("extract"):
        assert found.videos == VIDEOS
    else:
        assert found.out == OUT


def test_paths_of_data_sets_packs_and_the_doctor():
    assert options("data-check", f"VIDEOS={VIDEOS}", "LISTS=l i").root == VIDEOS
    assert options("data-prepare", f"VIDEOS={VIDEOS}", "ARCHIVE=a b.zip").archive == ["a b.zip"]
    assert options("pack", f"DATA={DATA}").out == f"{DATA}-packed"
    found = options("doctor", f"DATA={DATA}", f"OUT={OUT}")
    assert (found.data, found.out) == (DATA, OUT)


@pytest.mark.parametrize(
    "line",
    ["name: my exp", "name:   'my exp'   # of ours", 'name: "my exp"', "name: my exp  # name: no"],
)
def test_the_run_is_named_by_the_experiment(line, tmp_path):
    (tmp_path / "it's one.yaml").write_text(f"# name: other\n{line}\nmodel:\n  name: hst\n")
    found = options("export", "CONFIG=it's one.yaml", f"OUT={OUT}", folder=tmp_path)
    assert (found.folder, found.to) == (f"{OUT}/my exp", f"{OUT}/my exp/savedmodel")
    found = options("predict", "CONFIG=it's one.yaml", "CLIP=a b.avi", folder=tmp_path)
    assert (found.videos, found.model) == (["a b.avi"], "runs/my exp/savedmodel")


def test_an_environment_with_spaces_is_refused():
    done = make("train", "VENV=my env")
    assert done.returncode == 2
    assert "VENV must be one path without spaces" in done.stderr
