"""The benchmarks run, at a size that measures nothing, and print the tables they promise."""

import importlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import PACKAGE, PROJECT
from tests.experiment.conftest import STAGE, experiment, root
from tests.test_architecture import imports_of
from vidrec import config
from vidrec.models import registry

__all__ = ["root"]  # a fixture
FOLDER = PROJECT / "experiments/benchmarks"


def run(script, *options, **environment):
    """What a script prints; vidrec is that of this folder."""
    command = [sys.executable, str(FOLDER / script), *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def script(monkeypatch):
    """Imports a script by its name."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def gpu(script):
    return script("gpu")


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


@pytest.mark.slow
def test_train(tmp_path):
    size = ("--rounds", "2", "--steps", "1", "--batch", "2")
    memory = ("--memory-of", "c3d", "--memory-batch", "4")
    path = tmp_path / "found.json"
    out = run("train.py", "--only", "c3d", *size, *memory, "--compiled", "--json", str(path))
    share = r"-?[\d.]+%"
    row = rf"2 +[\d.]+ +[\d.]+ +(?:fit|batch) +{share} \[ *{share}, +{share}\] +{share} "
    rows = rf"^ +(one dense layer|c3d) +{row} +[\d.]+ +[\d,]+$"
    assert re.findall(rows, out, re.M) == ["one dense layer", "c3d"], out
    assert len(re.findall(r"^ +(?:ours|fit), XLA (?: *[\d.]+, [\d.]+ x |does not)", out, re.M)) == 4
    assert re.search(r"takes [\d.]+ ms (more|less) than a bare one\.$", out, re.M)
    assert re.search(rf"median {share}, largest {share} of the clock; {share} and {share} of", out)
    assert len(re.findall(r"^ +accumulate [14], [41] clips at a time: [\d,]+$", out, re.M)) == 2
    assert "No gradient checkpointing" in out
    found = json.loads(path.read_text())
    case = found["steps"][1]
    assert {kind: np.shape(spent) for kind, spent in case["rounds"].items()} == dict.fromkeys(
        ["ours", "fit", "batch", *({"ours, XLA", "fit, XLA"} - case["refused"].keys())], (2, 2)
    )
    assert 0 < case["before"] < case["peak"]
    assert case["clips_per_second"] == pytest.approx(2 / case["seconds"])
    assert [row["accumulate"] for row in found["memory"]] == [1, 4]


def test_overhead_is_of_the_same_round_and_of_the_faster_bare_step(script):
    """Ours is 3 % slower than "fit" in each round, however slow that was; "batch" is slower yet."""
    rounds = np.array([[1.0, 0.5], [9.0, 4.0], [2.0, 1.0], [3.0, 1.5], [2.5, 1.2]])
    spent = {"ours": 1.03 * rounds, "fit": rounds, "batch": 1.2 * rounds[::-1]}
    found = script("train").compare(spent)
    assert found["bare"] == "fit"
    for name in ("overhead", "low", "high", "cpu_overhead"):
        assert found[name] == pytest.approx(0.03), name
    seconds = found["seconds"], found["bare_seconds"], found["extra"]
    assert seconds == pytest.approx((1.03 * 2.5, 2.5, 0.03 * 2.5))
    found = script("train").compare(spent, "batch", ("fit",))
    assert found["low"] < found["overhead"] < found["high"]


def test_steps_take_turns(script, monkeypatch):
    """Two rounds of three steps, behind those that warm up; the others change places."""
    taken, clock = [], iter(range(100))
    monkeypatch.setattr(script("train"), "now", lambda: np.array([next(clock)] * 2, float))
    kinds = ("fit", "batch")
    others = {kind: lambda steps, kind=kind: taken.append((kind, steps)) for kind in kinds}
    turns = script("train").Turns(lambda: others, 3)
    before = script("train").WARM_UP
    for batch in range(before + 6):
        turns.on_train_batch_end(batch)
        if batch < before:
            assert not taken
    assert taken == [("fit", 3), ("batch", 3), ("batch", 3), ("fit", 3)]
    assert turns.spent == {kind: [[1 / 3] * 2] * 2 for kind in ("ours", *kinds)}
    assert turns.peak > 0


def test_cases_are_those_of_the_papers(gpu):
    """Batch, optimizer and clip of each are those of the experiment that it names."""
    assert {case.model for case in gpu.CASES.values()} == set(registry.MODELS)
    for name, case in gpu.CASES.items():
        plan = config.load(PROJECT / "experiments" / f"{case.experiment}.yaml")
        (stream,) = plan.trained
        stage = next(s for s in plan.streams[stream].stages if s.layers == "all")
        rule = stage.optimizer
        assert (case.model, case.batch) == (plan.model.name, stage.batch_size), name
        assert case.options.items() <= plan.model.options.items(), name
        assert case.optimizer.lower() == rule.name, name
        given = {"momentum", "weight_decay", "epsilon"} & case.arguments.keys()
        assert case.arguments == {key: getattr(rule, key) for key in given}, name
        assert case.decay == (0 if rule.name == "adamw" else rule.weight_decay), name
        assert rule.clip_norm is None, name  # a case has none
        clip = registry.get(case.model).DEFAULT_CLIP
        modalities = case.modalities or clip.modalities
        assert plan.clip_spec(stream) == gpu.dataclasses.replace(clip, modalities=modalities), name


def test_what_gpu_takes_of_training_needs_no_tensorflow():
    """Of the clip and the models, test_architecture.py says so."""
    for name in ("__init__", "training/__init__", "training/stages"):
        assert set(imports_of(PACKAGE / f"{name}.py")) <= {"re", "keras"}, name
    text = (FOLDER / "gpu.py").read_text()
    rooms = re.findall(r"^ +from (vidrec[\w.]*) import", text.partition("def decode")[0], re.M)
    rooms += re.findall(r"^ +from (vidrec[\w.]*) import", text.partition("def learn")[2], re.M)
    assert len(rooms) > 5
    assert set(rooms) <= {"vidrec.clip", "vidrec.models", "vidrec.training.stages"} | {
        "vidrec.models.macs",
        "vidrec.models.transfer",
    }


def test_a_batch_is_halved_until_it_fits(gpu, capsys):
    tried = []

    def attempt(batch):
        tried.append(batch)
        return {"batch": batch} if batch <= 12 else None

    assert gpu.largest(attempt, 100) == ({"batch": 12}, 12)
    assert tried == [100, 50, 25, 12]
    assert capsys.readouterr().out.count("does not fit") == 3
    assert gpu.largest(lambda batch: None, 3) == (None, 0)


def test_short_memory_is_told_from_other_errors(gpu):
    jax = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 42949672960 bytes."
    assert gpu.too_large(RuntimeError(jax))
    assert gpu.too_large(RuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY"))
    assert gpu.too_large(MemoryError())
    assert not gpu.too_large(RuntimeError("INVALID_ARGUMENT: shapes differ"))


def test_a_gpu_is_known_by_its_name(gpu):
    peaks = [
        gpu.peak_of(f"NVIDIA {name}") for name in ("H100 80GB HBM3", "H100 PCIe", "L40S", "L4")
    ]
    assert peaks == [gpu.PEAKS[name] for name in ("H100", "H100 PCIe", "L40S", "L4")]
    assert gpu.peak_of("NVIDIA A100-SXM4-80GB") == gpu.PEAKS["A100"]
    assert gpu.peak_of("NVIDIA T400") is None
    assert gpu.peak_of("cpu") is None


def test_a_row_says_which_batch_it_is_of(gpu):
    told = {"seconds": 0.5, "clips_per_second": 50.0, "tflops": 100.0, "compile_seconds": 60.0}
    row = {"case": "hst", "batch": 25, "wanted": 100, "peak_gib": 70.5, "share": 0.1, **told}
    title = r"^ +hst +25 of 100 +0.5000 +50.0 +100.00 +10.0% +70.50 +60.0$"
    assert re.match(title, gpu.line(row))
    row |= {"batch": 100, "peak_gib": None}
    row.pop("share")
    assert re.match(r"^ +hst +100 +0.5000 +50.0 +100.00 +- +- +60.0$", gpu.line(row))
    assert "not even one clip" in gpu.line({"case": "hst", "batch": 0, "wanted": 1})
    failed = {"case": "hst", "batch": 1, "failed": "ValueError: no\nmore"}
    assert gpu.line(failed).endswith(" ValueError: no")


@pytest.mark.slow
def test_gpu_on_other_backends(tmp_path):
    """But for the device's memory, all of it runs on any backend of Keras."""
    path = tmp_path / "found.json"
    size = ("--tiny", "--only", "c3d", "--rounds", "2", "--peak-tflops", "0.5")
    out = run("gpu.py", *size, "--json", str(path), KERAS_BACKEND="tensorflow")
    assert re.search(r"^ +c3d +2 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+% +- +[\d.]+$", out, re.M), out
    (row,) = json.loads(path.read_text())["steps"]
    assert row["share"] == pytest.approx(6 * row["gmac"] * 2 / row["seconds"] / 0.5e3)


@pytest.mark.slow
def test_gpu_by_jax(tmp_path):
    pytest.importorskip("jax", reason="needs jax; TensorFlow is not needed then")
    path = tmp_path / "found.json"
    flags = "--xla_backend_optimization_level=0"  # compiles in half the time
    run(
        "gpu.py",
        "--tiny",
        "--rounds",
        "1",
        "--json",
        str(path),
        KERAS_BACKEND="jax",
        XLA_FLAGS=flags,
    )
    found = json.loads(path.read_text())
    assert found["machine"]["backend"] == "jax"
    assert len(found["steps"]) == 10
    for row in found["steps"]:
        assert "failed" not in row, row
        assert not row["tensorflow_loaded"]
        assert row["clips_per_second"] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:9 videos are so short", "ignore:.* has 6 frames, so few")
def test_weizmann_by_arrays(root, tmp_path, gpu):
    """Clips that the pipeline has decoded train a model by Keras alone."""
    stage = {**STAGE, "name": "all", "epochs": 3, "batch_size": 9, "optimizer": {"name": "adam"}}
    streams = {"spatial": {"stages": [stage]}, "temporal": {"stages": [stage]}}
    streams["temporal"]["init"] = {"run": "spatial"}
    plan = experiment(
        root,
        streams=streams,
        model={"name": "tstam", "options": {"num_spatial": 2, "map_dim": 16, "se_blocks": []}},
        clip={"segments": 2, "size": 64, "flow_length": 2},
        sampling={"policy": "intervals"},
        augment={"crop": "corners", "resize": [72, 80]},
        evaluation={"sampling": "centre", "segments": 3, "resize": [72, 80]},
    )
    path = tmp_path / "tstam" / "weizmann4.yaml"
    path.parent.mkdir()
    path.write_text(config.dump(plan))
    gpu.decode(tmp_path / "arrays", [path], draws=2)
    path = tmp_path / "arrays" / "tstam_weizmann4.npz"
    with np.load(path) as file:
        shapes = {name: file[name].shape for name in file.files if name != "recipe"}
        recipe, rgb = json.loads(str(file["recipe"])), file["train_rgb"]
    assert shapes == {
        "train_labels": (2, 9),
        "train_rgb": (2, 9, 2, 64, 64, 3),
        "train_flow": (2, 9, 2, 64, 64, 4),
        "test_labels": (9,),
        "test_rgb": (9, 3, 64, 64, 3),
        "test_flow": (9, 3, 64, 64, 4),
    }
    assert rgb.dtype == np.uint8
    assert (rgb[0] != rgb[1]).any()
    assert recipe["streams"]["temporal"]["from"] == "spatial"
    assert len(recipe["streams"]["spatial"]["stages"][0]["rates"]) == 3
    found = gpu.learn(path, "float32", 0, tiny=True)
    assert found["accuracy"].keys() == {"spatial", "temporal", "fused"}
    for share in found["accuracy"].values():
        assert share * 9 == pytest.approx(round(share * 9))
    assert found["test"] == 9


@pytest.mark.slow
def test_inference():
    size = ("--batch", "2", "--rounds", "2", "--clips", "1")
    out = run("inference.py", "--tiny", "--model", "hst", *size)
    ratio = r"(\d+\.\d{3}) \[\d+\.\d{3}, \d+\.\d{3}\]"
    row = (
        rf"^│ (Keras, \S+|SavedModel|LiteRT [a-z ]+?) +│ +[\d.]+ │ +[\d.]+ │ +{ratio} │ +{ratio} │$"
    )
    rows = re.findall(row, out, re.M)
    ways = ["Keras, tf.function", "SavedModel", "Keras, again", "Keras, eager"]
    ways += ["LiteRT float", "LiteRT dynamic range"]
    assert [way for way, *_ in rows] == 2 * ways, out
    assert rows[0][1:] == ("1.000", "1.000")
    assert all(float(x) > 0 for _, *ratios in rows for x in ratios)
    for clips in ("one clip", "2 clips at a time"):
        columns = rf"┃ {clips} +┃ +ms a clip ┃ +clips/s ┃ +x Keras ┃ +CPU x ┃"
        assert re.search(columns, out), out
    goal = r"^SavedModel by Keras, tf.function: [\d.]+\. The goal, 1.02 at most, is (?:not )?met\.$"
    assert len(re.findall(goal, out, re.M)) == 2, out
    row = r"^│ +([\w, ]+?) +│ +([\d.]*) │ +(-?[\d.]+) │ +-?[\d.]+ \[-?[\d.]+, -?[\d.]+\] │$"
    rows = {name: (first, later) for name, first, later in re.findall(row, out, re.M)}
    parts = ["decode", "flow", "scaling", "network", "rest", "graph"]
    assert rows.keys() == {"predict", "frames", "frames, XLA", *parts}, out
    assert all(float(rows[way][1]) > 0 for way in ("predict", "frames", "flow", "network"))
    assert float(rows["frames, XLA"][0]) > float(rows["frames, XLA"][1])  # it compiles
    assert rows["network"][0] == ""
    assert re.search(
        r"^`frames` beside `predict`: the same class in \d of 1 videos, .* px", out, re.M
    )
    assert "TensorFlow" in out.splitlines()[-1]


def test_inference_says_what_litert_refuses(script, capsys):
    """A row without numbers, and the ratio is the median of those of the rounds, not of the sum."""
    inference = script("inference")
    keras = np.array([[1.0, 2.0], [2.0, 4.0], [10.0, 20.0]])
    spent = {inference.KERAS: keras, inference.SAVED: keras * [[1.01], [1.02], [3.0]]}
    why = "'net' cannot be converted to LiteRT, which has no [GatherV2]"
    table = inference.table_of_clips("net", 4, spent, {"LiteRT float": why})
    inference.Console(width=200).print(table)
    out = capsys.readouterr().out
    assert re.search(r"SavedModel +│ +510.0 │ +1.96 │ +1.020 \[1.015, 2.010\] │ 1.020 \[", out), out
    assert re.search(r"LiteRT float +│ +- │ +- │ +" + re.escape(why) + r" │ +- │", out), out
    assert inference.conclude(spent).endswith(": 1.020. The goal, 1.02 at most, is met.")
    assert inference.quartiles([3.0, 1.0], [2.0, 2.0]) == "1.000 [0.750, 1.250]"


def test_options(script, capsys):
    for name, options, message in (
        ("train", ["--rounds", "0"], "--rounds must be at least 1"),
        ("train", ["--only", "alexnet"], "--only must be a part of one of"),
        ("train", ["--memory-batch", "6"], "--memory-batch must be a multiple of 4"),
        ("gpu", ["--batch", "0"], "--batch must be at least 1"),
        ("gpu", ["--weizmann", "/none"], "--weizmann must hold what --decode writes"),
        ("inference", ["--batch", "0"], "--batch must be at least 1"),
        ("inference", ["--model", "alexnet"], "invalid choice: 'alexnet'"),
    ):
        with pytest.raises(SystemExit):
            script(name).parse(options)
        assert message in capsys.readouterr().err
