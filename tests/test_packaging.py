"""What is written of the package in several places says the same everywhere."""

import configparser
import importlib.util
import os
import re

import pytest
import yaml

import vidrec
from tests.conftest import PACKAGE, PROJECT
from vidrec.models import registry

SETTINGS = configparser.ConfigParser()
SETTINGS.read(PROJECT / "setup.cfg")
PYTHONS = re.findall(r"Python :: (3\.\d+)$", SETTINGS["metadata"]["classifiers"], re.M)
WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
CITATION = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def lowest():
    """What `.github/lowest.py` makes of a setup.cfg."""
    spec = importlib.util.spec_from_file_location("lowest", PROJECT / ".github/lowest.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.lowest


def test_the_lowest_versions_are_those_of_setup_cfg(lowest):
    there = (PROJECT / ".github/lowest.txt").read_text()
    assert there == lowest(PROJECT / "setup.cfg"), "run `python .github/lowest.py`"
    assert "keras==3.13.2\n" in there
    assert len(there.splitlines()) > 25


def test_a_package_has_one_lowest_version(lowest, tmp_path):
    path = tmp_path / "setup.cfg"
    text = "[options]\ninstall_requires =\n    a-b>=1.2,<3\n    c>={}\n"
    text += "[options.extras_require]\nd =\n    c>=1\n"
    path.write_text(text.format(1))
    assert lowest(path).splitlines()[2:] == ["a-b==1.2", "c==1"]
    path.write_text(text.format(2))
    with pytest.raises(ValueError, match="one lowest version"):
        lowest(path)


def test_every_package_has_a_lowest_version_and_a_reason():
    """Of the dependencies: none is left without a bound, none without its row in CONTRIBUTING."""
    required = SETTINGS["options"]["install_requires"]
    required += "".join(SETTINGS["options.extras_require"].values())
    names = {re.match(r"[\w.-]+", line)[0] for line in required.split()} - {"vidrec"}
    bounded = re.findall(r"^([\w.-]+)==", (PROJECT / ".github/lowest.txt").read_text(), re.M)
    assert names == set(bounded)
    reasons = CONTRIBUTING.partition("## Dependencies")[2].partition("\n## ")[0].lower()
    reasons = reasons.replace("opencv (contrib", "opencv-contrib-python")
    assert [name for name in sorted(names) if name.lower() not in reasons] == []


def test_the_package_has_its_files():
    wanted = SETTINGS["options.package_data"]["vidrec.experiment"].split(", ")
    assert wanted == ["*.html", "*.md"]
    for pattern in wanted:
        assert list((PACKAGE / "experiment").glob(pattern)), pattern
    others = {path.suffix for path in PACKAGE.rglob("*") if path.is_file()}
    assert others <= {".py", ".pyc", ".nbi", ".nbc", ".html", ".md"}  # numba's cache among them


def test_python_versions_agree():
    lowest = SETTINGS["options"]["python_requires"].removeprefix(">=")
    assert PYTHONS[0] == lowest
    jobs = WORKFLOW["jobs"]["run"]["strategy"]["matrix"]["include"]
    newest = [job["python"] for job in jobs if job["run"] == "make test" and "versions" not in job]
    assert newest == PYTHONS
    (of_lowest,) = [job["python"] for job in jobs if job.get("versions") == "lowest"]
    assert of_lowest == lowest
    assert {job["python"] for job in jobs} <= set(PYTHONS)


def test_the_workflow_runs_what_there_is():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    jobs = WORKFLOW["jobs"]["run"]["strategy"]["matrix"]["include"]
    made = [job["run"].removeprefix("make ") for job in jobs if job["run"].startswith("make ")]
    assert set(made) <= targets
    assert {"lint", "test", "test-slow", "test-notebooks"} <= set(made)
    for job in jobs:
        if not job["run"].startswith("make "):
            assert os.access(PROJECT / job["run"].split()[0], os.X_OK)
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_ci_run_is_what_the_workflow_runs():
    """A change that passes here must not fail there."""
    here = set(re.findall(r"^make ([a-z-]+)$", (PROJECT / ".ci/run").read_text(), re.M))
    jobs = WORKFLOW["jobs"]["run"]["strategy"]["matrix"]["include"]
    assert here <= {job["run"].removeprefix("make ") for job in jobs}


@pytest.mark.parametrize("name", ["ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/idea.yml"])
def test_issue_forms(name):
    form = yaml.safe_load((PROJECT / ".github" / name).read_text())
    assert form.keys() >= {"name", "description", "body"}
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids)
    if "bug" in name:
        assert "`vidrec doctor`" in str(form)


def test_the_citation():
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["version"] == vidrec.__version__
    assert CITATION["license"] == SETTINGS["metadata"]["license"]
    assert CITATION["repository-code"] == SETTINGS["metadata"]["url"]
    papers = {paper["notes"]: paper for paper in CITATION["references"]}
    assert len(papers) == len(CITATION["references"]) == 5
    assert set(registry.PAPERS) - set(papers) == {"conv3d_baselines"}  # of another's paper
    for name, paper in papers.items():
        text = registry.PAPERS[name]
        assert text.startswith(", ".join(each["family-names"] for each in paper["authors"]) + ": ")
        for key in ("title", "journal", "year", "doi"):
            assert key not in paper or str(paper[key]).lower() in text.lower(), (name, key)
        assert ("doi " in text) == ("doi" in paper)
        if "issue" in paper:
            assert f"{paper['volume']}({paper['issue']})" in text


def test_the_changelog_has_this_version():
    headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.M)
    assert vidrec.__version__ in headings


def test_paths_in_contributing_exist():
    named = re.findall(r"`([\w./-]+/[\w.-]*|\.?[\w-]+\.(?:md|cfg|toml|cff|in))`", CONTRIBUTING)
    assert len(named) > 30
    for path in named:
        places = (PROJECT, PACKAGE.parent, PACKAGE)
        assert path.startswith("../") or any((place / path).exists() for place in places), path
