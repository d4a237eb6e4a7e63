"""The ledger of the papers' claims holds, and is up to date."""

import re
import shutil

import pandas as pd
import pytest

from tests.conftest import PROJECT
from vidrec import cli
from vidrec.evaluation.claims import NEEDS_DATA, read_claims
from vidrec.experiment.claims import Checks, run_claims

EXPERIMENTS = PROJECT / "experiments"
PAPERS = sorted(path.parent.name for path in EXPERIMENTS.glob("*/README.md"))


@pytest.fixture(scope="module")
def checks():
    return Checks(EXPERIMENTS).calls()


def test_the_ledger_is_up_to_date(tmp_path, capsys):
    """All claims come out as their verdicts say, and CLAIMS.md is made of them."""
    names = shutil.ignore_patterns("*.png", "benchmarks", "CLAIMS.md")
    shutil.copytree(EXPERIMENTS, tmp_path / "experiments", ignore=names)
    assert cli.main(["claims", str(tmp_path / "experiments")]) == 0
    made = (tmp_path / "experiments/CLAIMS.md").read_text()
    assert made == (EXPERIMENTS / "CLAIMS.md").read_text(), "run `vidrec claims`"
    assert re.search(r"^all +\d+ +\d+ +\d+ +\d+ +3\d\d$", capsys.readouterr().out, re.M)


def test_every_paper_has_claims_of_every_kind():
    for paper in PAPERS:
        rows = read_claims(EXPERIMENTS / paper / "claims.csv")
        assert len(rows) > 50, paper
        assert len({row.verdict for row in rows}) == 4, paper


def test_what_needs_data_has_commands_of_this_project():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    for paper in PAPERS:
        for row in read_claims(EXPERIMENTS / paper / "claims.csv"):
            if row.verdict != NEEDS_DATA:
                continue
            for command in row.commands:
                make, *words = command.split()
                assert make == "make", row
                given = dict(word.split("=", 1) for word in words if "=" in word)
                assert {word for word in words if "=" not in word} <= targets, row
                if "CONFIG" in given:
                    assert (PROJECT / given["CONFIG"]).is_file(), row


def write(folder, check, value, verdict="match", note=""):
    (folder / "paper").mkdir(exist_ok=True)
    row = {"id": "a", "section": "1", "claim": "Something", "value": value, "unit": ""}
    row |= {"check": check, "verdict": verdict, "note": note, "command": ""}
    pd.DataFrame([row]).to_csv(folder / "paper/claims.csv", index=False)


def test_a_claim_that_comes_out_otherwise_stops_the_ledger(tmp_path):
    write(tmp_path, "videos('ucf101')", "13321")
    with pytest.raises(ValueError, match=r"(?s)1 claims.*a: 13321 there, 13320 here: differs, not"):
        run_claims(tmp_path)
    assert not (tmp_path / "CLAIMS.md").exists()
    write(tmp_path, "videos('ucf101')", "13321", "differs", "one more")
    assert run_claims(tmp_path).loc["all", "differs"] == 1
    assert "\n## paper\n" in (tmp_path / "CLAIMS.md").read_text()
    write(tmp_path, "videos('ucf101')", "13320", "differs", "one more")
    with pytest.raises(ValueError, match="match, not differs"):
        run_claims(tmp_path)
    write(tmp_path, "videos('ucf')", "1")
    with pytest.raises(ValueError, match=r"claims.csv, a: videos\('ucf'\): `name` must be one of"):
        run_claims(tmp_path)
    with pytest.raises(FileNotFoundError, match="must hold <paper>/claims.csv"):
        run_claims(tmp_path / "paper")


def test_checks(checks):
    """Numbers by hand: C3D's first convolution, its head, its clip."""
    c3d = "hst/hmdb51_c3d"
    assert checks["parameters"](c3d, of="^conv1/") == 64 * (27 * 3 + 1)
    assert checks["parameters"](c3d, of="^logits/") == 51 * (4096 + 1)
    assert checks["macs"](c3d, of="^conv1$") == 16 * 112 * 112 * 64 * 27 * 3
    assert checks["macs"](c3d, of="^conv1$", clips=3) == 3 * checks["macs"](c3d, of="^conv1$")
    assert checks["layers"](c3d, "Conv3D") == 8
    assert checks["layers"](c3d, "Conv3D", named="a$") == 3
    assert checks["shape"](c3d, "conv1") == (16, 112, 112, 64)
    assert checks["clip"](c3d, "rgb") == (16, 112, 112, 3)
    assert checks["clip"]("tstam/ucf101_spatial", "rgb", test=True) == (25, 224, 224, 3)
    assert checks["setting"](c3d, "streams.spatial.stages.0.epochs") == 100
    assert checks["setting"](c3d, "augment.resize") == (112, 112)
    assert checks["option"](c3d, "column") == "resnet21"
    assert checks["option"](c3d, "width") == 1.0
    assert checks["classes"]("hmdb51") == 51
    xception = "multiseg_xception/ucf101_spatial"
    head = checks["parameters"](xception, layers="head")
    assert head == 101 * (2048 + 1)
    every = checks["parameters"](xception, trainable=False)
    assert every > checks["parameters"](xception) > head


@pytest.mark.parametrize(
    ("name", "arguments", "options", "message"),
    [
        ("parameters", ("hst/hmdb51_c3d",), {"of": "conv9"}, "'conv9' must be in one of the names"),
        ("layers", ("hst/hmdb51_c3d", "Conv4D"), {}, "It is in none"),
        ("shape", ("hst/hmdb51_c3d", "conv9"), {}, "`layer` must be one of hst/hmdb51_c3d. Rec"),
    ],
)
def test_a_check_that_finds_nothing_is_a_mistake(checks, name, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        checks[name](*arguments, **options)
