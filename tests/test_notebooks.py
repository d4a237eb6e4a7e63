"""The notebooks: what they must be to be kept here, and that they run from top to bottom."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import PACKAGE, PROJECT
from vidrec import cli

FOLDER = PROJECT / "notebooks"
PLACE = "github.com/vidrec/vidrec/blob/main/notebooks"
BADGES = {
    "colab": f"https://colab.research.google.com/{PLACE.replace('.com', '')}",
    "kaggle": f"https://kaggle.com/kernels/welcome?src=https://{PLACE}",
}
STORY = (
    "01_quickstart",
    "02_extract_flow",
    "03_train_two_stream",
    "04_five_papers",
    "05_evaluate_and_report",
    "06_export_and_serve",
)
MINUTES = 20  # that one cell may take


def read(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def cells(name, kind):
    return ["".join(c["source"]) for c in read(name)["cells"] if c["cell_type"] == kind]


def data_cell(notebook):
    """The cell that switches between the embedded data and real ones."""
    (cell,) = [c for c in notebook["cells"] if "data" in c["metadata"].get("tags", [])]
    return cell


def test_the_story_is_whole():
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb"))) == STORY
    first = {cells(name, "code")[0] for name in STORY}
    assert len(first) == 1, "the cell that installs is the same in all"
    (install,) = first
    assert "vidrec doctor" in install
    for package in ("tensorflow", "keras", "numpy"):  # kept as the machine has them
        assert re.search(rf"grep .*\b{package}\b.*> kept.txt", install)
    assert "--constraint kept.txt" in install


@pytest.mark.parametrize("name", STORY)
def test_it_is_kept_without_outputs(name):
    for cell in read(name)["cells"]:
        assert not cell.get("outputs"), f"jupyter nbconvert --clear-output --inplace {name}.ipynb"
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("name", STORY)
def test_it_calls_vidrec_and_defines_nothing(name):
    code = "\n".join(cells(name, "code"))
    assert not re.search(r"^\s*(async def|def|class|@\w+)\b", code, re.M)
    assert len(re.findall(r"^\s*assert ", code, re.M)) >= 4, "it asserts what it claims"
    assert re.search(r"^\s*(display|Image|IFrame|.*\bplt\.)", code, re.M), "it has pictures"


@pytest.mark.parametrize("name", STORY)
def test_it_opens_in_colab_and_kaggle(name):
    title = cells(name, "markdown")[0]
    for address in BADGES.values():
        assert f"]({address}/{name}.ipynb)" in title


@pytest.mark.parametrize("name", STORY)
def test_it_runs_anywhere_unless_told_otherwise(name):
    assert 'DATA = "embedded"' in "".join(data_cell(read(name))["source"])


@pytest.mark.parametrize("name", STORY)
def test_its_commands_parse_and_its_links_lead_somewhere(name):
    found = re.findall(r"!(vidrec .*)", "\n".join(cells(name, "code")))
    for line in found:
        for command in line.split(" > ")[0].split(" && "):
            words = shlex.split(re.sub(r" \$\w+", "", command))
            cli.parser().parse_args(words[1:])
    assert found
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", "\n".join(cells(name, "markdown"))):
        assert (FOLDER / target).exists(), target


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Like a fresh clone. All of them run in it: what one has trained serves the next."""
    folder = tmp_path_factory.mktemp("notebooks with a space")
    (folder / "experiments").symlink_to(PROJECT / "experiments")
    return folder


def run(name, place, monkeypatch, data=None):
    """Runs all cells in a kernel of this Python; raises what a cell raises."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    here = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    if data:
        data_cell(notebook)["source"] = "\n".join(f"{k} = {v!r}" for k, v in data.items())
    client = nbclient.NotebookClient(
        notebook,
        timeout=60 * MINUTES,
        kernel_name="python3",
        resources={"metadata": {"path": place}},
    )
    client.execute()
    return notebook


def pictures(notebook):
    outputs = [each for cell in notebook["cells"] for each in cell.get("outputs", [])]
    return sum("image/png" in each.get("data", {}) for each in outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORY)
def test_it_runs_from_top_to_bottom(name, place, monkeypatch):
    assert pictures(run(name, place, monkeypatch)) >= 1


def copied(videos, folder):
    """Real clips, by class, under names with a space."""
    for number, video in enumerate(videos):
        (folder / video.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(video, folder / video.parent.name / f"clip {number}.avi")


@pytest.fixture
def real_clips(shared_data):
    return sorted((shared_data / "weizmann4").glob("*/*.avi"))


@pytest.mark.slow
def test_the_first_two_run_on_real_clips(place, real_clips, monkeypatch):
    copied(real_clips[::2], place / "own")
    own = {"DATA": "own", "VIDEOS": "own"}
    run("02_extract_flow", place, monkeypatch, own | {"STORE": "own store", "PACKED": "own pack"})
    model = place / "runs/demo/savedmodel"
    if not model.is_dir():  # where this test runs alone
        pytest.skip("needs the model that 01_quickstart trains")
    run("01_quickstart", place, monkeypatch, own | {"MODEL": str(model)})


@pytest.mark.slow
def test_five_papers_learn_from_real_clips(place, real_clips, monkeypatch):
    copied(real_clips, place / "all")
    own = {"DATA": "own", "VIDEOS": "all", "STORE": "all tvl1", "FARNEBACK": "all farneback"}
    run("04_five_papers", place, monkeypatch, own)


@pytest.mark.slow
def test_an_experiment_of_ones_own_is_evaluated(place, monkeypatch):
    if not (place / "runs/three_stages").is_dir():  # where this test runs alone
        pytest.skip("needs what 03_train_two_stream trains")
    own = {"DATA": "own", "CONFIG": "runs/three_stages.yaml", "STORE": "data/demo", "RUNS": "runs"}
    run("05_evaluate_and_report", place, monkeypatch, own)
