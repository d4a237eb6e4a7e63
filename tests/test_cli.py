"""The command line itself: help, messages, exit codes. What the verbs do is tested with them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from vidrec import cli
from vidrec.cli import runs
from vidrec.datasets import synthetic
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.store import Store


def test_help_names_every_verb_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom vidrec import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'tensorflow', 'keras', 'cv2', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    verbs = "extract-frames extract-flow index train evaluate export predict demo demo-page"
    assert all(f"  {verb}" in done.stdout for verb in verbs.split())
    assert done.stdout.splitlines()[-1] == "[]"


def test_extraction_from_the_command_line(tmp_path, capsys):
    spec = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=3, size=32)
    synthetic.write_videos(tmp_path / "videos", spec)
    for path in (tmp_path / "videos").iterdir():  # what a user has: class folders alone
        if path.name not in ("BlueDotsOrbit", "GreenChecksPulse"):
            (path.unlink if path.is_file() else lambda p=path: __import__("shutil").rmtree(p))()
    videos, data = str(tmp_path / "videos"), str(tmp_path / "store")
    assert cli.main(["extract-frames", "--videos", videos, "--data", data]) == 0
    assert "12 frames of 4 videos" in capsys.readouterr().out
    assert cli.main(["extract-flow", "--data", data, "--bound", "10", "--workers", "1"]) == 0
    assert "8 flow pairs of 4 videos" in capsys.readouterr().out
    assert '"bound": 10.0' in Store(data).index().flow_parameters[0]


def test_a_damaged_video_is_named_and_the_exit_code_is_1(tmp_path, capsys):
    (tmp_path / "videos/Jump").mkdir(parents=True)
    (tmp_path / "videos/Jump/v_Jump_g01_c01.avi").write_bytes(b"")
    options = ["--videos", str(tmp_path / "videos"), "--data", str(tmp_path / "store")]
    assert cli.main(["extract-frames", *options]) == 1
    error = capsys.readouterr().err
    assert "failed: " in error
    assert "v_Jump_g01_c01.avi is empty (0 bytes)" in error
    assert "1 videos are not whole" in error


def test_a_foreign_set_is_indexed(tmp_path, capsys):
    gray = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    for name in ("img_00001", "img_00002", "x_00001", "y_00001"):
        path = tmp_path / f"Run/v_Run_g01_c01/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(gray))
    assert cli.main(["index", "--data", str(tmp_path), "--layout", "mmaction2"]) == 0
    row = Store(tmp_path, "mmaction2").rows()["Run/v_Run_g01_c01"]
    assert (row.label, row.n_frames, row.n_flow, row.status) == ("Run", 2, 1, "ok")


def test_a_set_whose_files_do_not_tell_the_class_needs_the_videos(tmp_path, capsys):
    for name in ("img_00001", "img_00002", "flow_x_00001", "flow_y_00001"):
        path = tmp_path / f"set/v_Run_g03_c01/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(np.zeros((8, 8), np.uint8)))
    command = ["index", "--data", str(tmp_path / "set"), "--layout", "tsn"]
    assert cli.main(command) == 2
    assert "do not tell the classes. Pass --videos" in capsys.readouterr().err
    (tmp_path / "videos/Run").mkdir(parents=True)
    (tmp_path / "videos/Run/v_Run_g03_c01.avi").write_bytes(b"RIFF")
    assert cli.main([*command, "--videos", str(tmp_path / "videos")]) == 0
    row = Store(tmp_path / "set", "tsn").rows()["Run/v_Run_g03_c01"]
    assert (row.label, row.group, row.n_flow) == ("Run", "g03", 1)


def test_unforeseen_errors_show_where_they_come_from(capsys, monkeypatch):
    monkeypatch.setattr(runs, "predict", lambda options: {}["gone"])
    assert cli.main(["predict", "a.avi", "--model", "m"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("vidrec predict: 'gone'\n")


def run_with(folder, *arguments, **environment):
    """`vidrec` in a process of its own, in a folder whose modules come before all others."""
    command = [sys.executable, "-m", "vidrec.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder)} | environment
    return subprocess.run(command, capture_output=True, env=environment, cwd=folder)


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "libGL.so.1: cannot"),
        ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
    ],
)
@pytest.mark.parametrize("verb", ["extract-frames --videos v --data d", "predict a --model m"])
def test_a_package_that_cannot_be_imported_leads_to_the_doctor(tmp_path, code, last, verb):
    (tmp_path / "cv2.py").write_text(code)
    done = run_with(tmp_path, *verb.split())
    assert done.returncode == 2
    *_, message, hint = done.stderr.decode().splitlines()
    assert message.startswith(f"vidrec {verb.split()[0]}: {last}")
    assert hint == "`vidrec doctor` says what is wrong on this machine, and what to type."


def test_only_broken_packages_lead_to_the_doctor(capsys, monkeypatch):
    def fail(options):
        raise OSError("the disk is full")

    monkeypatch.setattr(runs, "predict", fail)
    assert cli.main(["predict", "a.avi", "--model", "m"]) == 2
    assert capsys.readouterr().err == "vidrec predict: the disk is full\n"


def test_letters_that_the_output_has_not_are_escaped(tmp_path):
    (tmp_path / "Überschlag 跳").mkdir()
    (tmp_path / "Überschlag 跳/v_g01_c01.avi").write_bytes(b"RIFF")
    check = ["data", "check", "folder", ".", "--workers", "0"]
    done = run_with(tmp_path, *check, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert b"\\xdcberschlag \\u8df3" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="others take file names for UTF-8 always")
def test_file_names_that_are_not_utf8_are_told(tmp_path):
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run_with(tmp_path, "audit", "--data", "nowhere", **old)
    first, mend, *_ = done.stderr.decode().splitlines()
    assert "Python takes file names for ascii" in first
    assert mend.strip() == "export PYTHONUTF8=1"


def test_another_backend_of_keras_is_told_before_it_fails(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert cli.main(["audit", "--data", "nowhere"]) == 2  # which imports no Keras
    first, mend, *_ = capsys.readouterr().err.splitlines()
    assert "backend is jax (KERAS_BACKEND); vidrec needs backend tensorflow" in first
    assert mend.strip() == "export KERAS_BACKEND=tensorflow"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract-frames", "--data", "x"], "--videos is missing"),
        (["extract-flow"], "--data is missing"),
        (["train", "nowhere.yaml", "--stream", "spatial"], "There is no experiment nowhere.yaml"),
        (["predict", "a.avi", "--model", "nowhere"], "nowhere/saved_model.pb is missing"),
        (["extract-frames", "--videos", "nowhere", "--data", "x"], "nowhere"),
    ],
)
def test_user_errors_are_one_line_and_exit_code_2(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vidrec {arguments[0]}: ")
    assert message in error
    assert "Traceback" not in error
