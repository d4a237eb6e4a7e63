"""What README and the experiments' files tell people to type exists, and its options are right."""

import re
import shlex

import pytest

from tests.conftest import PROJECT
from vidrec import cli

MAKEFILE = (PROJECT / "Makefile").read_text()
TEXTS = {
    path.relative_to(PROJECT).as_posix(): path.read_text()
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "notebooks/*.md",
        "preprocessing/*.md",
        "experiments/**/*.md",
        "experiments/**/*.yaml",
    )
    for path in PROJECT.glob(pattern)
}


def commands(text, program):
    """The lines of code, and the code in a sentence, that start with `program`."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    lines += re.findall(r"^# +(make .*)$", text, re.M)
    return [line.strip() for line in lines if line.strip().split(" ")[0] == program]


@pytest.mark.parametrize("name", TEXTS)
def test_make_targets_and_variables_exist(name):
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    variables = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.M))
    for line in commands(TEXTS[name], "make"):
        for word in shlex.split(line)[1:]:
            if "=" in word:
                variable, value = word.split("=", 1)
                assert variable in variables, line
                if value.startswith("experiments/"):
                    assert (PROJECT / value).is_file(), line
            elif not word.startswith("<") and not word.endswith(">"):
                assert word in targets, line


@pytest.mark.parametrize("name", TEXTS)
def test_vidrec_commands_parse(name):
    for line in commands(TEXTS[name], "vidrec"):
        if "<" not in line:
            cli.parser().parse_args(shlex.split(line)[1:])


def test_readme_shows_the_two_commands_first():
    assert commands(TEXTS["README.md"], "make")[:2] == ["make demo", "make test"]


def test_every_target_is_in_the_help():
    listed = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M))
    phony = set(re.search(r"\.PHONY: (.*?)\n\n", MAKEFILE, re.S)[1].replace("\\", " ").split())
    assert listed == phony - {"headless"}  # a step of setup
    assert phony >= {"setup", "demo", "test", "lint", "extract-frames", "extract-flow"}
    assert phony >= {"train-spatial", "train-temporal", "evaluate", "export", "predict", "clean"}


def test_links_lead_somewhere():
    for name, text in TEXTS.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.S)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            assert ((PROJECT / name).parent / target).exists(), (name, target)


def test_the_counts_of_claims_are_those_of_the_ledger():
    (counts,) = re.findall(r"^\| all \| (.*) \|$", TEXTS["experiments/CLAIMS.md"], re.M)
    *parts, every = counts.split(" | ")
    said = r"(\d+) claims.*? (\d+) match, (\d+) differ .*?, (\d+) contradict .*? and (\d+) need"
    for name in ("README.md", "experiments/README.md"):
        (found,) = re.findall(said, " ".join(TEXTS[name].split()))
        assert found == (every, *parts), name


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", TEXTS["README.md"], re.S)
    found = {}
    exec(next(block for block in blocks if "logits =" in block), found)  # our own text
    assert found["logits"].shape == (2, 101)


@pytest.mark.parametrize("script", ["extract_frames", "extract_flow"])
def test_scripts_are_thin_and_run(script):
    import subprocess
    import sys

    path = PROJECT / f"preprocessing/{script}.py"
    assert len(path.read_text().splitlines()) <= 40
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--workers" in done.stdout
