"""The benchmarks run, at a size that measures nothing, and print the tables they promise."""

import re
import subprocess
import sys

import pytest

from tests.conftest import PROJECT


def run(script, *options):
    command = [sys.executable, str(PROJECT / "experiments/benchmarks" / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_flow():
    out = run("flow.py", "--clips", "1", "--pairs", "1", "--processes", "1", "--seconds", "0.2")
    for engine in ("opencv", "fast", "dis", "farneback"):
        assert re.search(rf"│ +{engine} │ +[\d.]+ │ +[\d.]+x │", out), out
    assert re.search(r"opencv │ +[\d.]+ │ +1.0x │ +100.00% │ 100.000% │ +0.0000 │", out)
    assert "fast, 1 at once:" in out
    assert "OpenCV" in out.splitlines()[-1]


@pytest.mark.slow
def test_pack():
    out = run("pack.py", "--clips", "16", "--rounds", "1")
    rows = (
        r"^(?:read and decode|training clips), (?:rgb|flow), (?:wall|cpu) +[\d.]+ +[\d.]+ +[\d.]+$"
    )
    assert len(re.findall(rows, out, re.M)) == 8, out


@pytest.mark.slow
def test_pipeline():
    out = run("pipeline.py", "--clips", "4", "--rounds", "1", "--only", "xception")
    number, share = r" +[\d.,]+", r" +[\d.,]+ +[\d.]+ +\d+%"
    kinds = f"(?:{number}){{3}}(?:{share}){{4}}(?:{number}){{2}}"
    row = rf"^ *multiseg_xception (\w+) +(\d+){kinds} .*ms$"
    assert re.findall(row, out, re.M) == [("rgb", "3"), ("flow", "60")], out
    for stage in ("files read", "crop decoded", "as channels", "resized", "batched", "flips"):
        assert re.search(rf"^ +{stage} +-?[\d.]+ +[\d.]+$", out, re.M), out
    assert len(re.findall(r"^ +[\d,]+ videos(?:   [\d,]+: [\d,]+){3}$", out, re.M)) == 2, out
