"""Each fault of a machine is simulated: the doctor names it, and says what to type."""

import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vidrec import cli
from vidrec.doctor import compiler, disk, examination, framework, gpu, here, opencv, packages, text
from vidrec.doctor import weights as imagenet
from vidrec.doctor.finding import Finding, error, ok, warning
from vidrec.doctor.process import Later, probe

CONTRIB, PLAIN = "opencv-contrib-python", "opencv-python"
NEED_CV2 = Requirement(f"{CONTRIB}>=4.12.0.88,<5")
NEED_TF, NEED_KERAS = Requirement("tensorflow>=2.19"), Requirement("keras>=3.13.2")
CV2 = {"version": "4.13.0", "file": "site/cv2/__init__.py", "tvl1": None, "ffmpeg": True}
TF = {"version": "2.20.0", "cuda": True, "gpus": [], "log": ""}
NO_MACHINE = {"card": False, "driver": False, "device": False, "container": False}
GONE = "AttributeError: module 'cv2.optflow' has no attribute 'DualTVL1OpticalFlow_create'"
NO_LIBRARY = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    """Neither Colab nor Kaggle; `pip` in PATH is this Python's; no settings from outside."""
    monkeypatch.setattr(here, "service", lambda: None)
    monkeypatch.setattr(packages, "service", lambda: None)
    for room in (gpu, framework):
        monkeypatch.setattr(room, "service", lambda: None)
    beside = Path(sys.executable).parent / "pip"
    monkeypatch.setattr(here.shutil, "which", lambda name: str(beside))
    for name in ("KERAS_BACKEND", framework.LEGACY, gpu.VISIBLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def distributions(monkeypatch):
    """A dict of the installed distributions, as OpenCV's check sees them."""
    there = {CONTRIB: "4.13.0.92"}
    monkeypatch.setattr(opencv, "installed", there.get)
    return there


def levels(findings):
    return {each.name: each.level for each in findings}


def of_opencv(numba=True, **changes):
    return list(opencv.opencv(CV2 | changes, NEED_CV2, numba=numba))


def test_a_finding_is_a_line_and_what_mends_it():
    told = warning("numba", "is missing", "pip install numba").told()
    assert told == "warning  numba           is missing\n         pip install numba"


# OpenCV


def test_a_good_opencv(distributions):
    found = of_opencv()
    assert levels(found) == {"OpenCV": "ok", "TV-L1": "ok", "FFmpeg": "ok"}
    assert found[0].text == f"4.13.0 ({CONTRIB} 4.13.0.92)"


def test_several_distributions_in_one_folder_are_a_warning_while_tvl1_works(distributions):
    distributions[PLAIN] = "4.14.0.94"
    found = of_opencv()
    assert levels(found) == {"OpenCV": "warning", "TV-L1": "ok", "FFmpeg": "ok"}
    assert "2 distributions share the folder cv2" in found[0].text
    assert f"--force-reinstall --no-deps {CONTRIB}==4.13.0.92" in found[0].mend[0]


@pytest.mark.parametrize(("numba", "level"), [(True, "warning"), (False, "error")])
def test_tvl1_that_is_missing_stops_vidrec_only_without_numba(distributions, numba, level):
    distributions[PLAIN] = "4.14.0.94"
    found = of_opencv(numba, tvl1=GONE)[1]
    assert (found.name, found.level) == ("TV-L1", level)
    assert "another distribution has written over opencv-contrib-python" in found.text
    assert found.mend == (f"pip install --force-reinstall --no-deps {CONTRIB}==4.13.0.92",)


def test_an_opencv_without_the_contributed_part(distributions):
    distributions.clear()
    distributions[PLAIN] = "4.14.0.94"
    found = of_opencv(tvl1=GONE)[1]
    assert "it is in opencv-contrib-python only" in found.text
    assert found.mend[0].endswith(f"'{CONTRIB}<5,>=4.12.0.88'")


def test_the_lowest_opencv_has_no_last_number_in_its_module(distributions):
    distributions[CONTRIB] = "4.12.0.88"
    assert of_opencv(version="4.12.0")[0].level == of_opencv(version="4.12.0-dev")[0].level == "ok"


@pytest.mark.parametrize("version", ["4.11.0", "5.0.0"])
def test_an_opencv_outside_the_range(distributions, version):
    distributions[CONTRIB] = f"{version}.90"
    found = of_opencv(version=version)[0]
    assert found.level == "error"
    assert f"{version} (" in found.text
    assert found.text.endswith(f"vidrec needs {NEED_CV2}")
    assert found.mend[0].endswith(f"--no-deps '{CONTRIB}<5,>=4.12.0.88'")


def test_an_opencv_without_ffmpeg_reads_no_videos(distributions):
    found = of_opencv(ffmpeg=False)[2]
    assert (found.name, found.level) == ("FFmpeg", "error")
    assert "reads no video files" in found.text


def test_missing_libraries_for_windows_name_the_build_without(distributions):
    distributions[PLAIN] = "4.14.0.94"
    (found,) = opencv.opencv({"error": NO_LIBRARY}, NEED_CV2, numba=True)
    assert found.level == "error"
    assert "libGL.so.1" in found.text
    assert found.mend == (
        f"pip uninstall --yes {CONTRIB} {PLAIN}",
        f"pip install '{CONTRIB}-headless<5,>=4.12.0.88'",
    )


@pytest.mark.parametrize(
    ("there", "mend"),
    [
        ({}, f"pip install '{CONTRIB}<5,>=4.12.0.88'"),
        (
            {f"{CONTRIB}-headless": "4.12.0.88"},
            f"pip install --force-reinstall --no-deps {CONTRIB}-headless==4.12.0.88",
        ),
    ],
)
def test_an_opencv_that_is_not_there_or_damaged(distributions, there, mend):
    distributions.clear()
    distributions.update(there)
    facts = {"error": "ModuleNotFoundError: No module named 'cv2'"}
    (found,) = opencv.opencv(facts, NEED_CV2, numba=True)
    assert found.level == "error"
    assert found.mend == (mend,)


# numba


def test_numba_is_no_must():
    need = Requirement("numba>=0.60")
    good = {"version": "0.61.0", "cache": "/there"}
    assert compiler.numba(good, need) == ok("numba", "0.61.0, cache in /there")
    broken = compiler.numba({"error": "ImportError: Numba needs NumPy 2.2\nor less"}, need)
    assert broken.level == "warning"
    assert "needs NumPy 2.2 or less: TV-L1 is computed by OpenCV" in broken.text
    assert broken.mend == ("pip install --upgrade 'numba>=0.60'",)
    assert (
        "0.59.0: vidrec needs numba>=0.60"
        in compiler.numba(good | {"version": "0.59.0"}, need).text
    )
    uncached = compiler.numba(good | {"cache": None}, need)
    assert "every process compiles TV-L1 again" in uncached.text
    assert uncached.mend == (
        f"export NUMBA_CACHE_DIR={shlex.quote(os.path.abspath('numba-cache'))}",
    )


def test_the_probe_finds_the_folder_that_numba_would_take(tmp_path, monkeypatch):
    source = tmp_path / "source.py"
    source.write_text("")
    assert probe("numba", str(source), seconds=60)["cache"] == str(tmp_path / "__pycache__")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in probe("numba", str(source), seconds=60)["cache"]


# TensorFlow and Keras


@pytest.mark.parametrize(
    ("reason", "level", "text", "mend"),
    [
        (
            "ModuleNotFoundError: No module named 'tensorflow'",
            "error",
            "not installed",
            "pip install 'tensorflow>=2.19'",
        ),
        (
            "its import ended Python (SIGILL)",
            "error",
            "processors with AVX",
            "Take another machine, such as one of Colab or Kaggle",
        ),
        (
            "TypeError: Descriptors cannot be created directly",
            "error",
            "cannot be imported: TypeError",
            "pip install --force-reinstall 'tensorflow>=2.19'",
        ),
        ("its import took longer than 60 s", "warning", "is the disk slow?", "vidrec doctor"),
    ],
)
def test_a_tensorflow_that_cannot_be_imported(reason, level, text, mend):
    found = framework.tensorflow({"error": reason, "log": ""}, NEED_TF)
    assert (found.name, found.level, found.mend) == ("TensorFlow", level, (mend,))
    assert text in found.text


def test_an_old_tensorflow():
    found = framework.tensorflow(TF | {"version": "2.15.1"}, NEED_TF)
    assert found.text == "2.15.1: vidrec needs tensorflow>=2.19"
    assert found.mend == ("pip install --upgrade 'tensorflow>=2.19'",)
    assert framework.tensorflow(TF, NEED_TF) == ok("TensorFlow", "2.20.0")


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras home"))
    monkeypatch.setattr(framework, "installed", {"keras": "3.13.2"}.get)
    (tmp_path / "keras home").mkdir()
    return tmp_path / "keras home"


def test_another_backend_in_the_environment(keras_home, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (found,) = framework.keras(NEED_KERAS)
    assert found.level == "error"
    assert found.text.startswith("backend is jax (KERAS_BACKEND); vidrec needs backend tensorflow")
    assert found.mend == ("export KERAS_BACKEND=tensorflow",)


def test_other_settings_in_the_file_of_keras(keras_home, monkeypatch):
    path = keras_home / "keras.json"
    path.write_text(json.dumps({"backend": "torch", "image_data_format": "channels_first"}))
    (found,) = framework.keras(NEED_KERAS)
    assert f"backend is torch ({path}), image_data_format is channels_first" in found.text
    assert found.mend == ("export KERAS_BACKEND=tensorflow", f"rm '{path}'")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # has the last word
    assert "backend is" not in next(framework.keras(NEED_KERAS)).text
    path.write_text("{")
    assert levels(framework.keras(NEED_KERAS)) == {"Keras": "ok"}


def test_keras_missing_or_old_and_keras_2(keras_home, monkeypatch):
    monkeypatch.setenv(framework.LEGACY, "1")
    good, legacy = framework.keras(NEED_KERAS)
    assert (good.level, legacy.level) == ("ok", "warning")
    assert legacy.mend == ("unset TF_USE_LEGACY_KERAS",)
    monkeypatch.delenv(framework.LEGACY)
    monkeypatch.setattr(framework, "installed", {"keras": "2.15.0"}.get)
    assert next(framework.keras(NEED_KERAS)).mend == ("pip install --upgrade 'keras>=3.13.2'",)
    monkeypatch.setattr(framework, "installed", {}.get)
    assert next(framework.keras(NEED_KERAS)).text == "not installed"


# GPU


def test_a_gpu_that_is_seen():
    assert gpu.gpu(TF | {"gpus": ["Tesla T4", "Tesla T4"]}) == ok("GPU", "2: Tesla T4, Tesla T4")
    assert "not known" in gpu.gpu({"error": "ImportError: no"}).text


@pytest.mark.parametrize(
    ("facts", "machine", "text", "mend"),
    [
        ({}, {}, "no NVIDIA card is found here", "Nothing to type. Colab"),
        ({}, {"card": True}, "but no NVIDIA driver", "sudo ubuntu-drivers install"),
        ({}, {"driver": True, "container": True}, "this container", "docker run --gpus all"),
        (
            {"log": "a\nCannot dlopen some GPU libraries. Skipping\nb"},
            {"driver": True, "device": True},
            "does not find CUDA's libraries (Cannot dlopen some GPU libraries. Skipping)",
            "pip install 'tensorflow[and-cuda]==2.20.0'",
        ),
        (
            {"log": "failed call to cuInit: CUDA_ERROR_UNKNOWN"},
            {"driver": True, "device": True},
            "NVIDIA's driver refuses (failed call to cuInit",
            "nvidia-smi",
        ),
        (
            {"cuda": False},
            {"driver": True, "device": True},
            "this TensorFlow is built without CUDA",
            "pip uninstall --yes tensorflow-cpu",
        ),
    ],
)
def test_why_there_is_no_gpu(facts, machine, text, mend, monkeypatch):
    monkeypatch.setattr(gpu, "machine", lambda: NO_MACHINE | machine)
    found = gpu.gpu(TF | facts)
    assert found.level == "warning"
    assert text in found.text
    assert mend in found.mend[0]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_gpus_that_are_hidden(hidden, monkeypatch):
    monkeypatch.setenv(gpu.VISIBLE, hidden)
    found = gpu.gpu(TF)
    assert f"CUDA_VISIBLE_DEVICES={hidden!r} hides them all" in found.text
    assert found.mend == ("unset CUDA_VISIBLE_DEVICES",)


@pytest.mark.parametrize(
    ("place", "mend"),
    [("Colab", "Runtime > Change runtime type"), ("Kaggle", "Settings > Accelerator")],
)
def test_notebooks_are_told_where_to_click(place, mend, monkeypatch):
    monkeypatch.setattr(gpu, "service", lambda: place)
    monkeypatch.setattr(gpu, "machine", lambda: NO_MACHINE)
    assert mend in gpu.gpu(TF).mend[0]
    monkeypatch.setattr(gpu, "machine", lambda: NO_MACHINE | {"driver": True, "device": True})
    assert "pip install" not in gpu.gpu(TF).told()  # another TensorFlow would not fit its driver


# Where one is


def test_colab_and_kaggle_are_recognised(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(here.os.path, "isdir", lambda path: False)
    for name in ("KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert here.service() is None
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert here.service() == "Colab"
    assert here.set_variable("A", "b c") == "%env A=b c"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")  # has Colab's variable, too
    assert here.service() == "Kaggle"


def test_the_pip_of_this_python(monkeypatch):
    assert here.pip("install", "a>=1") == "pip install 'a>=1'"
    monkeypatch.setattr(here.shutil, "which", lambda name: "/elsewhere/pip")
    monkeypatch.setattr(sys, "executable", "/my env/bin/python")
    assert here.pip("install", "a") == "'/my env/bin/python' -m pip install a"
    monkeypatch.setattr(here.importlib.util, "find_spec", lambda name: None)
    assert here.pip("install", "a") == "uv pip install --python '/my env/bin/python' a"


# Packages


def test_what_vidrec_needs_is_read_from_its_own_metadata():
    needs = packages.wanted()
    assert {*packages.ELSEWHERE, "numpy", "pandas", "h5py"} <= needs.keys()
    assert not {"tensorboard", "gradio", "pytest"} & needs.keys()
    assert packages.fits(needs["tensorflow"], "2.20.0")
    assert not packages.fits(needs["tensorflow"], "2.12.0")
    assert list(packages.wanted("tensorboard")) == ["tensorboard"]
    assert needs["keras"].marker is packages.wanted("tensorboard")["tensorboard"].marker is None


def test_packages_that_are_missing_or_old(monkeypatch):
    needs = ["pandas>=2.2", "rich>=13.0", "numpy>=2.0", "keras>=3.13.2"]
    needs = {each.name: each for each in map(Requirement, needs)}
    monkeypatch.setattr(packages, "wanted", lambda: needs)
    monkeypatch.setattr(
        packages, "installed", lambda name: {"pandas": "2.0.3", "rich": None}.get(name, "99")
    )
    found = packages.packages()
    assert found.level == "error"
    assert found.text == "pandas 2.0.3, rich is missing; vidrec needs pandas>=2.2, rich>=13.0"
    assert found.mend == ("pip install 'pandas>=2.2' 'rich>=13.0'",)


def test_vidrec_that_is_not_installed(monkeypatch):
    def gone(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", gone)
    monkeypatch.setattr(importlib.metadata, "version", gone)
    assert packages.wanted() == {}
    assert packages.python().level == "ok"
    assert "vidrec is not installed for this Python" in packages.packages().text


def test_an_old_or_small_python(monkeypatch):
    monkeypatch.setattr(packages.platform, "python_version", lambda: "3.10.4")
    found = packages.python()
    assert found.level == "error"
    assert found.text.startswith("3.10.4, 64 bit")
    assert "vidrec needs Python >=3" in found.text
    monkeypatch.undo()
    monkeypatch.setattr(packages.struct, "calcsize", lambda kind: 4)
    assert "TensorFlow needs one of 64 bit" in packages.python().text


def test_tensorboard_is_no_must(monkeypatch):
    monkeypatch.setattr(packages, "installed", lambda name: "99")
    assert packages.tensorboard() == ok("TensorBoard", "99")
    monkeypatch.setattr(packages, "installed", lambda name: None)
    found = packages.tensorboard()
    assert found.level == "warning"
    assert found.mend[0].startswith("pip install 'tensorboard>=")


# Disk


@pytest.mark.parametrize(
    ("free", "files", "level", "text", "mend"),
    [
        (2e8, None, "error", "0.2 GB free in {}: it is full", "Give a folder on another disk"),
        (4e9, None, "warning", "What your videos would take", "vidrec extract-flow --dry-run"),
        (9e10, 5000, "warning", "only 5,000 more files find room", "vidrec pack"),
        (9e10, 10**7, "ok", "90.0 GB free in {}", None),
    ],
)
def test_room_on_the_disk(free, files, level, text, mend, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "room", lambda place: (free, files))
    found = disk.space(tmp_path / "data", tmp_path)
    assert found.level == level
    assert text.format(tmp_path / "data") in found.text
    assert (mend in found.mend[0]) if mend else not found.mend


def test_folders_that_are_not_there_yet_are_looked_at_above(tmp_path):
    folders = [tmp_path / "a/b", tmp_path / "c", tmp_path / "c"]  # two, on one disk
    found = disk.spaces(folders)
    assert [each.text.rpartition(" ")[2] for each in found] == [str(f) for f in folders[:2]]
    (found,) = disk.speeds(folders)
    assert found.text.endswith(f"small files/s in {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    assert "is no folder" in disk.spaces([tmp_path / "file/data"])[0].text
    monkeypatch.setattr(disk.os, "access", lambda *_: False)
    (found,) = disk.spaces([tmp_path])
    assert disk.speeds([tmp_path]) == []
    assert (found.level, found.text) == ("error", f"{tmp_path} may not be written by this user")

    def over(*_):
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(disk, "large_file", over)
    assert "cannot be written: [Errno 122] Disk quota exceeded" in disk.speed(tmp_path).text


@pytest.mark.parametrize(("rate", "files"), [(12.3, 900), (300, 9)])
def test_a_slow_folder(rate, files, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "large_file", lambda place: rate)
    monkeypatch.setattr(disk, "small_files", lambda place: files)
    found = disk.speed(tmp_path)
    assert found.level == "warning"
    assert f"{rate:.0f} MB/s, {files} small files/s" in found.text
    assert "Google Drive" in found.mend[0]


# Weights


def test_weights_in_the_cache_within_reach_or_neither(keras_home, monkeypatch):
    def refused(url):
        raise OSError(f"nobody answers for {url}")

    found = imagenet.weights(refused)
    assert found.level == "warning"
    assert "0 of 3 files" in found.text
    assert "nobody answers for https://storage.googleapis.com/" in found.text
    assert sum("curl -LO https://" in line for line in found.mend) == 3
    assert f"mkdir -p '{keras_home / 'models'}'" in found.mend[-1]
    monkeypatch.setattr(imagenet, "SECONDS", 0.05)
    hang = threading.Event()
    assert (
        "no download from here: it took longer than 0.05 s"
        in imagenet.weights(lambda url: hang.wait()).text
    )
    hang.set()
    assert imagenet.weights(lambda url: None).level == "ok"
    (keras_home / "models").mkdir()
    for url in imagenet.URLS:
        (keras_home / "models" / url.rpartition("/")[2]).write_bytes(b"")
    assert imagenet.weights(refused).text == f"3 of 3 files in {keras_home / 'models'}"


def test_those_are_the_files_that_keras_looks_for():
    from keras.src.applications import resnet, vgg16, xception

    assert imagenet.imagenet.XCEPTION == xception.WEIGHTS_PATH_NO_TOP
    assert imagenet.imagenet.VGG16 == vgg16.WEIGHTS_PATH_NO_TOP
    assert imagenet.imagenet.RESNET101.startswith(f"{resnet.BASE_WEIGHTS_PATH}resnet101_")


# The whole


def test_checks_that_fail_or_hang_become_lines():
    hang = threading.Event()
    checks = {
        "broken": (lambda: {}["gone"], 5),
        "hanging": (hang.wait, 0.05),
        "good": (lambda: ok("good", "is good"), 5),
    }
    found = list(examination.findings(checks))
    hang.set()
    assert levels(found) == {"broken": "warning", "hanging": "warning", "good": "ok"}
    assert found[0].text == "not known: the check failed with KeyError: 'gone'"
    assert found[1].text == "not known: the check took longer than 0.05 s"


def test_a_probe_that_crashes_or_hangs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "tensorflow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"
    )
    assert probe("tensorflow", seconds=30)["error"] == "its import ended Python (SIGILL)"
    (tmp_path / "cv2.py").write_text("import time\ntime.sleep(60)")
    assert probe("opencv", seconds=0.5)["error"] == "its import took longer than 0.5 s"


def test_file_names_that_are_not_utf8(monkeypatch, capsys):
    assert text.text().level == "ok"
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    found = text.text()
    assert found.text == "Python takes file names for ascii: only names of English letters will do"
    assert found.mend == ("export PYTHONUTF8=1",)


@pytest.mark.parametrize(
    ("found", "text", "code"),
    [
        ([ok("A", "a"), warning("B", "b")], "Nothing stops vidrec here.", 0),
        ([error("A", "a"), error("A", "b"), error("C", "c")], "stopped by A, C: type", 1),
    ],
)
def test_verdict_and_exit_code(found, text, code, monkeypatch, capsys):
    monkeypatch.setattr(examination, "examine", lambda folders: iter(found))
    assert cli.main(["doctor"]) == code
    assert text in capsys.readouterr().out.splitlines()[-1]
    assert cli.main(["doctor", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert [Finding(**each | {"mend": tuple(each["mend"])}) for each in told] == found


def test_it_looks_where_data_and_runs_will_be(monkeypatch):
    seen = []
    monkeypatch.setattr(examination, "examine", lambda folders: seen.append(folders) or iter(()))
    assert cli.main(["doctor", "--data", "a", "--out", "b"]) == cli.main(["doctor"]) == 0
    assert seen == [["a", "b"], [".", "."]]


def run(*options, **environment):
    command = [sys.executable, "-m", "vidrec.cli", "doctor", *options]
    environment = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_it_loads_nothing_that_may_be_broken():
    heavy = ["tensorflow", "keras", "cv2", "numba", "numpy", "pandas"]
    code = f"import sys, vidrec.doctor.examination\nprint(set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_on_a_machine_where_nothing_can_be_imported(tmp_path):
    for name in ("tensorflow", "keras", "numba", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('no {name} here')")
    message = NO_LIBRARY.removeprefix("ImportError: ")
    (tmp_path / "cv2.py").write_text(f"raise ImportError({message!r})")
    done = run("--data", str(tmp_path), PYTHONPATH=str(tmp_path), KERAS_BACKEND="jax")
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("vidrec is stopped by Keras, OpenCV, TensorFlow: ")
    assert any(line.startswith("error    OpenCV") and "libGL.so.1" in line for line in lines)
    assert any("opencv-contrib-python-headless" in line for line in lines)
    assert any("RuntimeError: no numba here: TV-L1 is computed by" in line for line in lines)


def test_nothing_stops_vidrec_on_this_machine(tmp_path):
    done = run("--json", "--data", str(tmp_path), "--out", str(tmp_path / "runs"))
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    names = "Python text packages TensorBoard Keras disk weights OpenCV TV-L1 FFmpeg numba"
    assert {*names.split(), "TensorFlow", "GPU", "write speed"} == {each["name"] for each in found}


def test_what_is_under_way_is_waited_for_and_raises():
    assert Later(lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        Later(lambda: 1 / 0).result(5)
