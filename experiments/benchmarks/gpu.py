"""Training steps of the papers' models at full size on one GPU, by JAX and without TensorFlow.

    python experiments/benchmarks/gpu.py [--only tstam] [--rounds 10] [--json FILE]
    python experiments/benchmarks/gpu.py --tiny             all of it at tiny size, for a CPU
    python experiments/benchmarks/gpu.py --decode FOLDER    where TensorFlow is: weizmann4 as arrays
    python experiments/benchmarks/gpu.py --weizmann FOLDER  the steps, then accuracy on these arrays

It needs jax, keras and numpy, and vidrec need not be installed: the models ask for nothing else. A
step is forward, backward and update by the paper's optimizer, as `keras.Model.train_on_batch` takes
it, on clips of noise of 101 classes that lie on the device, in mixed precision. The rate is next to
0, and the weights are random. Each model is alone in a process of its own. The columns:

    batch       clips of a step: the paper's, or half of it, and so on, as many as fit
    s           of the clock, a step; the median of the rounds. The host waits for each step, and
                the 1 to 10 ms in which Keras hands the variables over are part of it
    clips/s     batch by s
    TFLOP/s     3 x the multiply-adds of the forward pass (`vidrec.models.macs`) x 2, by s
    of peak     that by what the GPU's datasheet says of dense products in 16 bits (`PEAKS`), or by
                --peak-tflops
    peak GiB    the most memory of the device in use: memory_stats()["peak_bytes_in_use"]
    compile s   the first step, in which XLA compiles

--decode takes the experiments/*/weizmann4*.yaml, whose frames and flow must have been extracted
(`make extract-flow CONFIG=...`), and writes one .npz for each: the training clips of so many epochs
(--draws), augmented by vidrec's pipeline, and one view of each test clip. --weizmann trains the
experiment's network on them at its paper's width, from random weights, with the experiment's rates
and epochs; an epoch beyond those that were drawn has the clips of an earlier one. 12 test clips,
chance is 25 %: a check on little data, of the code and not of the method.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import json
import multiprocessing
import os
import platform
import re
import sys
import time
import traceback
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))  # vidrec, where it is not installed for want of TensorFlow

CLASSES = 101
RATE = 1e-6  # so small that noise leads no model astray
WARM_UP = 2  # steps: one compiles, and one more
PRECISIONS = ("mixed_bfloat16", "mixed_float16", "float32")
# TFLOP/s of dense products in 16 bits, by the maker's datasheets; the first name of JAX's words.
PEAKS = {
    "B200": 2250,
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "V100": 125,
    "T4": 65,
    "RTX 4090": 165,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A model as its paper trains it.

    experiment: the file in experiments/ that says so: batch, optimizer, weight decay.
    model, options: name in the registry, keywords of its `build`.
    modalities: of the clip, None for the model's own.
    batch: int, clips. optimizer: of `keras.optimizers`, with its arguments but the rate.
    decay: float, see `vidrec.training.stages.decay_weights`.
    tiny_clip, tiny: what differs at tiny size, of the clip and of the options.
    """

    experiment: str
    model: str
    batch: int
    optimizer: str
    arguments: dict = dataclasses.field(default_factory=dict)
    decay: float = 0.0
    modalities: tuple | None = None
    options: dict = dataclasses.field(default_factory=dict)
    tiny_clip: dict
    tiny: dict


XCEPTION = functools.partial(
    Case,
    model="multiseg_xception",
    optimizer="SGD",
    arguments={"momentum": 0.0},
    tiny_clip={"segments": 2, "size": 71},
    tiny={},
)
TSTAM = functools.partial(
    Case,
    model="tstam",
    batch=32,
    optimizer="SGD",
    arguments={"momentum": 0.9},
    decay=0.0005,
    tiny_clip={"segments": 2, "size": 64},
    tiny={"num_spatial": 2, "map_dim": 16, "temporal_hidden": 8},
)
CONV3D = functools.partial(
    Case, model="conv3d_baselines", batch=64, optimizer="Adam", tiny_clip={"size": 64}
)
BLOCKS = {"width": 1 / 8, "layer_sizes": (1, 1, 1, 1)}
CASES = {
    "multiseg_xception spatial": XCEPTION(
        experiment="multiseg_xception/ucf101_spatial", modalities=("rgb",), batch=100
    ),
    "multiseg_xception temporal": XCEPTION(
        experiment="multiseg_xception/ucf101_temporal", modalities=("flow",), batch=64
    ),
    "deep_fusion_tpn": Case(
        experiment="deep_fusion_tpn/ucf101",
        model="deep_fusion_tpn",
        batch=1,
        optimizer="Adam",
        tiny_clip={"frames_per_segment": 8, "size": 64},
        tiny={"width": 1 / 16, "lstm_units": 6},
    ),
    "vcm_sdd": Case(
        experiment="vcm_sdd/kinetics400",
        model="vcm_sdd",
        batch=128,
        optimizer="AdamW",
        arguments={"weight_decay": 0.01, "epsilon": 1e-8},
        tiny_clip={"size": 64},
        tiny={"blocks": (1, 1, 1, 1), "width": 1 / 8},
    ),
    "hst": Case(
        experiment="hst/hmdb51",
        model="hst",
        batch=64,
        optimizer="Adam",
        options={"backbone": "resnet21"},
        tiny_clip={"size": 64},
        tiny={"inner": 8, "outer": 16, "layer_sizes": (1, 1, 1, 1), "head_units": (12,)},
    ),
    "tstam spatial": TSTAM(experiment="tstam/hmdb51_spatial", modalities=("rgb",)),
    "tstam temporal": TSTAM(experiment="tstam/hmdb51_temporal", modalities=("flow",)),
    "c3d": CONV3D(experiment="hst/hmdb51_c3d", options={"network": "c3d"}, tiny={"width": 1 / 8}),
    "r3d": CONV3D(experiment="hst/hmdb51_r3d", options={"network": "r3d"}, tiny=BLOCKS),
    "r2plus1d": CONV3D(
        experiment="hst/hmdb51_r2plus1d", options={"network": "r2plus1d"}, tiny=BLOCKS
    ),
}
# Options by which an experiment's network is smaller than its paper's.
SMALLER = {"width", "lstm_units", "blocks", "inner", "outer", "layer_sizes", "head_units"}


def network_of(case, tiny):
    """(keras.Model, its ClipSpec), under the policy in use."""
    from vidrec.models import registry

    module = registry.get(case.model)
    changes = {"modalities": case.modalities} if case.modalities else {}
    clip = dataclasses.replace(module.DEFAULT_CLIP, **changes, **(case.tiny_clip if tiny else {}))
    return module.build(CLASSES, clip, **case.options | (case.tiny if tiny else {})), clip


def optimizer_of(case):
    """The case's optimizer, without slots yet."""
    import keras

    return getattr(keras.optimizers, case.optimizer)(RATE, **case.arguments)


def compile_model(model, optimizer, decay, **options):
    """Keras' own step, as an experiment has it; float16 has its loss scaled."""
    import keras

    from vidrec.training.stages import build_optimizer, decay_weights

    decay_weights(model, decay)
    if model.dtype_policy.name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    build_optimizer(optimizer, model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)


def noise(clip, batch):
    """(clips, labels): uint8 and int32 arrays."""
    rng = np.random.default_rng(0)
    clips = {m: rng.integers(0, 256, (batch, *clip.shape(m)), np.uint8) for m in clip.modalities}
    return clips, rng.integers(0, CLASSES, batch, np.int32)


def measure(name, batch, rounds, precision, tiny):
    """In a process of its own: what steps of so many clips take, as a dict; None if the device's
    memory is too small for them."""
    import keras

    from vidrec.models.macs import count_macs

    keras.config.set_dtype_policy(precision)
    network, clip = network_of(CASES[name], tiny)
    macs, parameters = count_macs(network, clip), network.count_params()
    spent, on_device = [], keras.ops.convert_to_tensor
    try:
        compile_model(network, optimizer_of(CASES[name]), CASES[name].decay)
        clips, labels = keras.tree.map_structure(on_device, noise(clip, batch))
        for _ in range(WARM_UP + rounds):
            began = time.perf_counter()
            told = network.train_on_batch(clips, labels, return_dict=True)
            spent.append(time.perf_counter() - began)
    except Exception as error:
        if too_large(error):
            return None
        raise
    if not np.isfinite(told["loss"]):
        raise ValueError(f"{name} must have a finite loss. Received: {told}")
    seconds = float(np.median(spent[WARM_UP:]))
    return {
        "parameters": parameters,
        "gmac": macs / 1e9,
        "seconds": seconds,
        "spread": [float(value) for value in np.quantile(spent[WARM_UP:], (0.25, 0.75))],
        "clips_per_second": batch / seconds,
        "tflops": 6 * macs * batch / seconds / 1e12,
        "peak_gib": peak_memory(),
        "compile_seconds": spent[0],
        "tensorflow_loaded": "tensorflow" in sys.modules,
    }


def too_large(error):
    """Whether an exception says that memory was short."""
    text = str(error).lower().replace("_", " ")
    said = ("resource exhausted", "out of memory", "cuda error out of memory")
    return isinstance(error, MemoryError) or any(words in text for words in said)


def peak_memory():
    """GiB of the device that were in use at most; None where JAX does not tell, as on a CPU."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    told = jax.local_devices()[0].memory_stats()
    return told["peak_bytes_in_use"] / 2**30 if told else None


def describe():
    """In a process of its own: the device and the versions, a dict."""
    import keras

    device, versions = platform.processor() or platform.machine(), {}
    if keras.backend.backend() == "jax":
        import jax

        device, versions["jax"] = jax.local_devices()[0].device_kind, jax.__version__
    versions |= {"keras": keras.__version__, "python": platform.python_version()}
    return {"device": device, "backend": keras.backend.backend(), **versions}


def apart(function, *job):
    """What a function gives in a process that ends with it; None if the system has killed that."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as process:
        try:
            return process.submit(function, *job).result()
        except concurrent.futures.process.BrokenProcessPool:
            return None


def largest(attempt, batch):
    """(what `attempt` gives, the batch) for the first of batch, batch // 2, ... of which it does
    not give None; (None, 0) if there is none."""
    while batch:
        found = attempt(batch)
        if found is not None:
            return found, batch
        print(f"    a batch of {batch} does not fit", flush=True)
        batch //= 2
    return None, 0


def peak_of(device):
    """TFLOP/s of a GPU by JAX's name for it, or None."""
    return next((PEAKS[name] for name in PEAKS if re.search(rf"\b{name}\b", device)), None)


def steps(options, peak):
    """A row for each case, printed as it comes."""
    print(
        f"{'a step':>27} {'batch':>9} {'s':>8} {'clips/s':>8} {'TFLOP/s':>8} {'of peak':>8} "
        f"{'peak GiB':>9} {'compile s':>9}"
    )
    rows = []
    for name, case in CASES.items():
        if options.only not in name:
            continue
        full = options.batch or (2 if options.tiny else case.batch)
        settings = options.rounds, options.precision, options.tiny
        try:
            found, batch = largest(lambda b, n=name, s=settings: apart(measure, n, b, *s), full)
        except Exception as error:  # the others are worth having
            traceback.print_exc()
            found, batch = {"failed": f"{type(error).__name__}: {error}"}, full
        row = {"case": name, "batch": batch, "wanted": full, "paper": case.batch, **(found or {})}
        if peak and "tflops" in row:
            row["share"] = row["tflops"] / peak
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row):
    """A row as it is printed."""
    text = f"{row['case']:>27} "
    if "failed" in row:
        return text + row["failed"].splitlines()[0]
    if not row["batch"]:
        return text + "does not fit, not even one clip"
    whole = row["batch"] == row["wanted"]
    text += f"{row['batch'] if whole else '{batch} of {wanted}'.format(**row):>9} "
    text += f"{row['seconds']:>8.4f} {row['clips_per_second']:>8.1f} {row['tflops']:>8.2f} "
    text += f"{row['share']:>8.1%} " if "share" in row else f"{'-':>8} "
    memory = row["peak_gib"]
    text += f"{'-':>9} " if memory is None else f"{memory:>9.2f} "
    return text + f"{row['compile_seconds']:>9.1f}"


def decode(folder, paths, draws):
    """Writes `<folder>/<paper>_<file>.npz` for each experiments/<paper>/<file>.yaml. This alone
    needs TensorFlow.

    It holds "train_<modality>" uint8 (draws, V, T, H, W, C) and "train_labels" (draws, V), of the V
    training videos, "test_<modality>" uint8 (V, T, H, W, C) and "test_labels" (V,), and "recipe",
    JSON: what `learn` needs of the experiment.
    """
    from vidrec import config
    from vidrec.experiment import clips
    from vidrec.experiment.splits import split_videos

    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        experiment = config.load(path)
        split, classes = split_videos(experiment)
        source = clips.clip_source(experiment, split.train, classes, experiment.clip_spec())
        recipe = recipe_of(experiment, classes)
        stage = next(iter(experiment.streams.values())).stages[0]
        stage = stage.model_copy(update={"epochs": draws, "batch_size": len(source)})
        train = clips.training_batches(experiment, source, stage, number=0, first_epoch=0)
        arrays = {"train_labels": [], **{f"train_{m}": [] for m in source.clip.modalities}}
        for images, labels in train:  # one draw of all videos
            arrays["train_labels"].append(labels.numpy())
            for modality, array in images.items():
                arrays[f"train_{modality}"].append(array.numpy())
        arrays = {name: np.stack(values) for name, values in arrays.items()}

        clip = experiment.clip_spec(test=True)
        source = clips.clip_source(experiment, split.test, classes, clip, test=True)
        test = list(clips.validation_batches(experiment, source))
        arrays["test_labels"] = np.concatenate([labels for _, labels, *_ in test])
        for modality in clip.modalities:
            arrays[f"test_{modality}"] = np.concatenate([images[modality] for images, *_ in test])
        out = folder / f"{name_of(path)}.npz"
        np.savez_compressed(out, recipe=np.array(json.dumps(recipe)), **arrays)
        print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB", flush=True)


def name_of(path):
    """An experiment's file by one name."""
    return f"{path.parent.name}_{path.stem}"


def recipe_of(experiment, classes):
    """What `learn` needs of an experiment, fit for JSON."""
    import keras

    from vidrec.config.experiment import STREAMS
    from vidrec.experiment.runs import fusion_of
    from vidrec.experiment.stage_plans import stage_plan

    streams = {}
    for name in experiment.trained:
        stream, stages = experiment.streams[name], []
        for stage in stream.stages:
            if stage.layers != "all":
                raise ValueError(f"Stages must train all layers. Received: {stage.layers!r}")
            plan = stage_plan(stage, ())
            rule = keras.optimizers.serialize(plan.optimizer)
            rule["config"]["global_clipnorm"] = plan.clip_norm
            rates = [float(plan.rate_of(epoch)) for epoch in range(plan.epochs)]
            stages.append({"batch": plan.batch_size, "rates": rates, "rule": rule})
            stages[-1]["decay"] = plan.weight_decay
        streams[name] = {
            "modalities": STREAMS[name],
            "options": experiment.model.options | stream.options,
            "from": stream.init.run,
            "stages": stages,
        }
    fusion = {}
    if {"spatial", "temporal"} == streams.keys():
        fusion["weights"], fusion["on"] = fusion_of(experiment)
    return {
        "model": experiment.model.name,
        "clip": dataclasses.asdict(experiment.clip_spec()),
        "classes": len(classes),
        "streams": streams,
        "fusion": fusion,
    }


def learn(path, precision, seed, tiny):
    """In a process of its own: trains the streams of a file that `decode` has written.

    Args:
        path: of the .npz.
        precision: dtype policy.
        seed: int.
        tiny: bool, two epochs of each stage, of networks as small as the experiment's.

    Returns:
        dict: "accuracy" of each stream, and "fused" of two; "parameters", "seconds", "test" clips.
    """
    import keras

    from vidrec.clip import ClipSpec
    from vidrec.models import registry
    from vidrec.models.transfer import transfer_weights

    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    with np.load(path) as file:
        arrays = dict(file)
    recipe = json.loads(str(arrays.pop("recipe")))
    module, began = registry.get(recipe["model"]), time.perf_counter()
    labels, accuracy, models = arrays["test_labels"], {}, {}

    def right(model):
        clips = {m: arrays[f"test_{m}"] for m in model.input}
        logits = model.predict(clips, batch_size=4, verbose=0)
        return float(np.mean(np.argmax(logits, axis=-1) == labels))

    for name, stream in recipe["streams"].items():
        clip = ClipSpec(**recipe["clip"] | {"modalities": stream["modalities"]})
        options = {key: v for key, v in stream["options"].items() if tiny or key not in SMALLER}
        model = models[name] = module.build(recipe["classes"], clip, **options)
        if stream["from"] in models:
            transfer_weights(models[stream["from"]], model)
        for stage in stream["stages"]:
            train(model, stage, arrays, stage["rates"][: 2 if tiny else None])
        accuracy[name] = right(model)
    if recipe["fusion"]:
        accuracy["fused"] = right(module.fuse(*models.values(), **recipe["fusion"]))
    return {
        "accuracy": accuracy,
        "parameters": sum(model.count_params() for model in models.values()),
        "seconds": time.perf_counter() - began,
        "test": len(labels),
    }


def train(model, stage, arrays, rates):
    """One stage: an epoch for each rate, on the draws in turn."""
    import keras

    optimizer = keras.optimizers.deserialize(stage["rule"])
    compile_model(model, optimizer, stage["decay"])
    draws = len(arrays["train_labels"])
    for epoch, rate in enumerate(rates):
        optimizer.learning_rate = rate
        clips = {m: arrays[f"train_{m}"][epoch % draws] for m in model.input}
        labels = arrays["train_labels"][epoch % draws]
        model.fit(clips, labels, batch_size=stage["batch"], verbose=0)


def accuracies(options):
    """A row for each file of --weizmann, printed as it comes."""
    rows = []
    print(f"\n{'at its paper' + chr(39) + 's width':>27} {'parameters':>12} {'s':>7}  top-1")
    for path in sorted(options.weizmann.glob("*.npz")):
        if options.only not in path.stem:
            continue
        try:
            found = apart(learn, path, options.precision, options.seed, options.tiny)
            row = {"experiment": path.stem} | (found or {"failed": "its process was killed"})
        except Exception as error:
            traceback.print_exc()
            row = {"experiment": path.stem, "failed": f"{type(error).__name__}: {error}"}
        rows.append(row)
        if "failed" in row:
            print(f"{path.stem:>27} {row['failed'].splitlines()[0]}", flush=True)
            continue
        told = ", ".join(f"{stream} {share:.1%}" for stream, share in row["accuracy"].items())
        print(
            f"{path.stem:>27} {row['parameters']:>12,} {row['seconds']:>7.0f}  {told}", flush=True
        )
    return rows


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny networks, clips and batches")
    parser.add_argument("--only", default="", help="a part of a row's name")
    parser.add_argument("--rounds", type=int, default=10, help="steps that are timed, default 10")
    parser.add_argument("--batch", type=int, help="clips, in place of each paper's")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--peak-tflops", type=float, help="of the GPU, in place of the table's")
    parser.add_argument("--weizmann", type=Path, help="folder that --decode has written")
    parser.add_argument("--seed", type=int, default=0, help="of --weizmann")
    parser.add_argument("--decode", type=Path, help="folder for weizmann4's arrays; nothing else")
    parser.add_argument("--draws", type=int, default=8, help="epochs that --decode draws")
    parser.add_argument("--json", type=Path, help="file for the same as JSON")
    options = parser.parse_args(arguments)
    for name in ("rounds", "batch", "draws"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1. Received: {getattr(options, name)}")
    if options.weizmann and not list(options.weizmann.glob("*.npz")):
        parser.error(f"--weizmann must hold what --decode writes. Received: {options.weizmann}")
    return options


def main():
    options = parse()
    if options.decode:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        files = sorted((PROJECT / "experiments").glob("*/weizmann4*.yaml"))
        files = [path for path in files if options.only in name_of(path)]
        decode(options.decode, files, options.draws)
        return
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.95")  # JAX's own is 0.75
    # This process itself must not import Keras: JAX would keep the GPU's memory from the others.
    facts = apart(describe)
    peak = options.peak_tflops
    if peak is None and options.precision != "float32":
        peak = peak_of(facts["device"])
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"{options.precision}, peak {f'{peak:g} TFLOP/s' if peak else 'not known'}")
    found = {"machine": facts, "precision": options.precision, "peak_tflops": peak}
    found["steps"] = steps(options, peak)
    if options.weizmann:
        found["weizmann4"] = accuracies(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    failed = [row for rows in found.values() if isinstance(rows, list) for row in rows]
    if any("failed" in row for row in failed):
        sys.exit(1)


if __name__ == "__main__":
    main()
