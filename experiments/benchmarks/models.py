"""Parameters and work of every registered model on one clip and, if asked, time and memory.

    .venv/bin/python experiments/benchmarks/models.py                      counts: some seconds
    .venv/bin/python experiments/benchmarks/models.py --time [--rounds 5]  and times: some minutes
    .venv/bin/python experiments/benchmarks/models.py --only tstam         rows of such a name

Models are those of 101 classes and their own clip; T-STAM, whose time axis is open, with the 6
frames of its training and the 25 of its test, HST and its baselines with both of their columns, the
second one's of 224 px. Without --time they are built without values, which
takes no memory. The columns:

    parameters  all of them, those that do not learn too
    GMAC        10^9 multiply-adds of one clip, as `vidrec.models.macs` counts: each is 2 FLOPs
    s           of the clock, for one clip through the model: logits of uint8 frames and flow in
                memory, as one graph in float32 on the CPU, with all cores
    CPU s       the same in processor time of all cores together, which other work disturbs least
    GMAC/s      GMAC by seconds of the clock
    a core      GMAC by seconds of processor time
    peak MiB    the most memory that the process had, weights and TensorFlow itself included

With --time each model is alone in a process of its own, with random weights and a clip of noise.
The first pass, in which the graph is made, is left out; of the others, as many as there are rounds,
the medians are printed.
"""

import argparse
import concurrent.futures
import dataclasses
import multiprocessing
import os
import platform
import resource
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf

from vidrec.models import registry
from vidrec.models.macs import count_macs
from vidrec.models.outline import without_values

CLASSES = 101
STREAMS = {("rgb",): "rgb", ("flow",): "flow", ("rgb", "flow"): "two-stream"}
TSTAM_FRAMES = (6, 25)  # of training and of the test
COLUMNS = {"resnet21": 112, "vgg13": 224}  # of HST's tables, and the clips of its baselines


def rows():
    """{name: (model's name, ClipSpec, options)}; a model that is not told apart here has its own
    clip and no options."""
    found = {}
    for model in registry.MODELS:
        clip = registry.get(model).DEFAULT_CLIP
        if model == "tstam":
            for frames in TSTAM_FRAMES:
                for modalities, stream in STREAMS.items():
                    one = dataclasses.replace(clip, segments=frames, modalities=modalities)
                    found[f"{model} {stream}, {frames} frames"] = model, one, {}
        elif model == "hst":
            for column in COLUMNS:
                found[f"{model} {column}"] = model, clip, {"backbone": column}
        elif model == "conv3d_baselines":
            for column, size in COLUMNS.items():
                one = dataclasses.replace(clip, size=size)
                for network in registry.get(model).NETWORKS:
                    options = {"network": network, "column": column}
                    found[f"{model} {network} {column}"] = model, one, options
        else:
            found[f"{model} {STREAMS[clip.modalities]}"] = model, clip, {}
    return found


def count(model, clip, options):
    """(parameters, GMAC) of a model that is built without values."""
    with without_values():
        network = registry.get(model).build(CLASSES, clip, **options)
    return network.count_params(), count_macs(network, clip) / 1e9


def measure(model, clip, options, rounds):
    """In a process of its own: (parameters, GMAC, s, CPU s, peak MiB, MiB before there is a model),
    the times medians."""
    before = peak_memory()
    network = registry.get(model).build(CLASSES, clip, **options)
    rng = np.random.default_rng(0)
    clips = {
        name: tf.constant(rng.integers(0, 256, (1, *clip.shape(name)), dtype=np.uint8))
        for name in clip.modalities
    }
    logits = tf.function(lambda clips: network(clips, training=False))
    spent = []
    for _ in range(1 + rounds):
        wall, processor = time.perf_counter(), time.process_time()
        found = logits(clips).numpy()
        spent.append((time.perf_counter() - wall, time.process_time() - processor))
    if found.shape != (1, CLASSES) or not np.isfinite(found).all():
        raise ValueError(f"{model} must give {CLASSES} finite logits. Received: {found}")
    wall, processor = np.median(spent[1:], axis=0)
    macs = count_macs(network, clip) / 1e9
    return network.count_params(), macs, wall, processor, peak_memory(), before


def apart(*job):
    """`measure` in a process that ends with it; None if the system has killed that."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as process:
        try:
            return process.submit(measure, *job).result()
        except concurrent.futures.process.BrokenProcessPool:
            return None


def peak_memory():
    """MiB that this process has had in memory at most."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's would begin with what the parent had
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if platform.system() == "Darwin" else 2**10)


def machine():
    """One line on the machine."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    return f"{os.cpu_count()} cores of {cpu}, Python {platform.python_version()}, {versions}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", action="store_true", help="time a pass of one clip as well")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each model, default 5")
    parser.add_argument("--only", default="", help="a part of a row's name")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    if not any(options.only in name for name in rows()):
        parser.error(f"--only must be a part of one of {list(rows())}. Received: {options.only!r}")
    return options


def main():
    options = parse()
    print(machine())
    title = f"{'one clip':>34} {'parameters':>12} {'GMAC':>10}"
    if options.time:
        title += f" {'s':>8} {'CPU s':>8} {'GMAC/s':>8} {'a core':>8} {'peak MiB':>9}"
    print(title)
    empty = set()
    for name, row in rows().items():
        if options.only not in name:
            continue
        found = apart(*row, options.rounds) if options.time else count(*row)
        if found is None:
            print(f"{name:>34} its process was killed; the memory may not be enough", flush=True)
            continue
        parameters, macs, *times = found
        line = f"{name:>34} {parameters:>12,} {macs:>10,.3f}"
        if times:
            wall, processor, memory, before = times
            line += f" {wall:>8.3f} {processor:>8.3f} {macs / wall:>8.1f} {macs / processor:>8.1f}"
            line += f" {memory:>9,.0f}"
            empty.add(before)
        print(line, flush=True)
    if empty:
        print(
            f"Medians of {options.rounds} passes. "
            f"A process without a model has {np.median(list(empty)):,.0f} MiB."
        )


if __name__ == "__main__":
    main()
