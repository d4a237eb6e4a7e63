"""What a training step of ours takes beside a bare Keras step, and how many clips a second it is.

    .venv/bin/python experiments/benchmarks/train.py [--only tstam] [--json FILE]
    .venv/bin/python experiments/benchmarks/train.py --full --rounds 3 --steps 1
    .venv/bin/python experiments/benchmarks/train.py --compiled       and both with XLA

Networks and clips are small, some with fewer layers and channels, or with --full the papers'. The
optimizer is the paper's, at a rate next to 0; clips are noise. In one process, in turns, on the
same network and the same tensors:

    ours     `vidrec.training.fit.train_stage`: loop, Dataset, step, check of the loss, callbacks.
             Checkpoints and log rows, which come after epochs, are not on the clock
    fit      a compiled `keras.Model`: the function that its `fit` calls for each step, on an
             iterator of the same Dataset, without `fit`'s own loop and callbacks
    batch    `train_on_batch` of such a model, on the tensors themselves

A round is so many steps of each kind. Of the two bare kinds the faster one counts, by its median;
neither has metrics beside the loss, where ours counts hits too. The columns:

    ours, bare   ms of the clock, a step; the medians of the rounds
    overhead     ours by the bare kind of the same round, less 1: the median, and in brackets the
                 quartiles, of the rounds. The project's goal is 5 % at most
    CPU          the same of processor time of all cores, which other work disturbs least
    clips/s      of ours
    peak MiB     the most memory that the process had when it had taken ours alone, two steps of it:
                 weights, slots, activations and TensorFlow itself (VmHWM; of the host: where
                 TensorFlow has a GPU, that holds the rest)

Each case is alone in a process of its own. The first row is of one dense layer, next to no work:
what ours adds to a step there, in ms, it adds to any step, and no noise of a large network hides
it. Last comes the memory of a larger batch (--memory-batch) that is taken whole and in 4 parts. A
GPU is used if CUDA_VISIBLE_DEVICES names one.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
from gpu import CASES, CLASSES, RATE, Case, apart, compile_model, network_of, noise, optimizer_of
from models import machine, peak_memory

from vidrec.training.fit import Saving, StagePlan, train_stage
from vidrec.training.stages import build_optimizer
from vidrec.training.step import TrainingStep

WARM_UP = 2  # steps: one makes the graph, and one more
BARE = ("fit", "batch")
PARTS = (1, 4)  # `accumulate` of the memory that is compared
GOAL = 0.05
NEXT_TO_NOTHING = "one dense layer"
MANY = 100  # steps of it in a round, for each of another


class Turns(keras.callbacks.Callback):
    """Stands behind each step of `train_stage` and lets the others take theirs in between.

    Args:
        others: function without arguments, gives {kind: function of a number of steps}; called once
            ours is warm.
        steps: int, of each kind in a round.
    """

    def __init__(self, others, steps):
        super().__init__()
        self.make, self.steps, self.spent = others, steps, {"ours": []}

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1 - WARM_UP
        if done < 0 or done % self.steps:
            return
        if done == 0:
            self.peak = peak_memory()
            self.others = self.make()
            self.spent |= {kind: [] for kind in self.others}
        else:
            self.note("ours")
            turn = list(self.others.items())
            for kind, take in turn if done // self.steps % 2 else turn[::-1]:
                self.began = now()
                take(self.steps)
                self.note(kind)
        self.began = now()

    def note(self, kind):
        """(wall clock, processor time) of a step, s."""
        self.spent[kind].append([x / self.steps for x in now() - self.began])


def now():
    return np.array([time.perf_counter(), time.process_time()])


def bare_step(network, case, *, compiled=False):
    """The same network, compiled as Keras has it; all weights are shared."""
    model = keras.Model(network.input, network.output)
    compile_model(model, optimizer_of(case), case.decay, jit_compile=compiled)
    model.make_train_function()
    return model


def takes_of_fit(network, case, data, **options):
    """A function of a number of steps, warm."""
    step, batches = bare_step(network, case, **options).train_function, iter(data)

    def take(steps):
        for _ in range(steps):
            told = step(batches)
        float(told["loss"])

    take(WARM_UP)
    return take


def takes_on_batch(network, case, data):
    model, (clips, labels) = bare_step(network, case), next(iter(data))

    def take(steps):
        for _ in range(steps):
            model.train_on_batch(clips, labels)

    take(WARM_UP)
    return take


def takes_of_compiled(network, case, data, batch):
    """Ours by XLA, as the loop of `train_stage` has it."""
    optimizer, batches = optimizer_of(case), iter(data)
    build_optimizer(optimizer, network)
    step = TrainingStep(network, optimizer, data.element_spec, batch_size=batch, compiled=True)

    def take(steps):
        for _ in range(steps):
            step([next(batches)])

    take(WARM_UP)
    return take


def others_of(network, case, data, batch, compiled, refused):
    """{kind: function of a number of steps}; what XLA does not compile is put into `refused`."""
    found = {"fit": takes_of_fit(network, case, data), "batch": takes_on_batch(network, case, data)}
    if not compiled:
        return found
    by_xla = {
        "ours, XLA": lambda: takes_of_compiled(network, case, data, batch),
        "fit, XLA": lambda: takes_of_fit(network, case, data, compiled=True),
    }
    for kind, make in by_xla.items():
        try:
            found[kind] = make()
        except (tf.errors.OpError, NotImplementedError) as error:
            refused[kind] = str(error).splitlines()[0]
    return found


def train(network, case, batch, steps, data, *, accumulate=1, watchers=()):
    """So many steps of `train_stage`."""
    plan = StagePlan(
        name="all",
        layers="all",
        epochs=1,
        batch_size=batch,
        accumulate=accumulate,
        optimizer=optimizer_of(case),
        rate_of=lambda epoch: RATE,
        weight_decay=case.decay,
        backbones=(),  # all layers learn
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train_stage(
            network,
            plan,
            number=0,
            clips_from=lambda epoch, step, shard: data,
            steps=steps,
            run_folder=Path(folder),
            watchers=watchers,
            saving=Saving(minutes=0),
        )


def prepared(name, batch, full):
    """(network, case, batches without end)."""
    keras.utils.set_random_seed(0)
    if name == NEXT_TO_NOTHING:
        case = Case(experiment="", model="", batch=1, optimizer="SGD", tiny_clip={}, tiny={})
        clips = keras.Input((CLASSES,), name="rgb")
        network = keras.Model({"rgb": clips}, keras.layers.Dense(CLASSES)(clips))
        arrays = {"rgb": np.eye(batch, CLASSES, dtype=np.float32)}, np.arange(batch, dtype=np.int32)
    else:
        case = CASES[name]
        network, clip = network_of(case, tiny=not full)
        arrays = noise(clip, batch)
    tensors = keras.tree.map_structure(tf.constant, arrays)
    return network, case, tf.data.Dataset.from_tensors(tensors).repeat()


def measure(name, batch, full, rounds, steps, compiled):
    """In a process of its own: {"spent": {kind: [[s of the clock, of the processor], ...]}, "peak":
    MiB, "before": MiB without a network, "refused": {kind: message}}."""
    before, refused = peak_memory(), {}
    network, case, data = prepared(name, batch, full)
    turns = Turns(lambda: others_of(network, case, data, batch, compiled, refused), steps)
    train(network, case, batch, WARM_UP + rounds * steps, data, watchers=[turns])
    return {"spent": turns.spent, "peak": turns.peak, "before": before, "refused": refused}


def memory_of(name, batch, full, accumulate):
    """In a process of its own: MiB at most, for steps of a batch in so many parts."""
    network, case, data = prepared(name, batch, full)
    train(network, case, batch, WARM_UP, data, accumulate=accumulate)
    return peak_memory()


def compare(spent, ours="ours", bare=BARE):
    """What the rounds say.

    Args:
        spent: dict of kinds to a list of [wall clock, processor time] of a step, s.
        ours: the kind that is compared; bare: those of which the fastest is compared with.

    Returns:
        dict: "bare", the kind; "seconds" and "bare_seconds"; "extra", s that ours takes more;
        "overhead", "low", "high" and "cpu_overhead", shares.
    """
    times = {kind: np.array(rounds) for kind, rounds in spent.items()}
    bare = min((kind for kind in bare if kind in times), key=lambda k: np.median(times[k][:, 0]))
    low, middle, high = np.quantile(times[ours] / times[bare] - 1, (0.25, 0.5, 0.75), axis=0)
    return {
        "bare": bare,
        "seconds": float(np.median(times[ours][:, 0])),
        "bare_seconds": float(np.median(times[bare][:, 0])),
        "extra": float(np.median((times[ours] - times[bare])[:, 0])),
        "overhead": float(middle[0]),
        "low": float(low[0]),
        "high": float(high[0]),
        "cpu_overhead": float(middle[1]),
    }


def steps_of(options, batch):
    """A row for each case, printed as it comes."""
    title = f"{'':>27} {'batch':>6} {'ours':>9} {'bare':>9} {'':>5} {'overhead':>9} {'':>18} "
    print(f"{title}{'CPU':>7} {'clips/s':>8} {'peak MiB':>9}")
    rows = []
    for name in (NEXT_TO_NOTHING, *(case for case in CASES if options.only in case)):
        steps = options.steps * (MANY if name == NEXT_TO_NOTHING else 1)
        found = apart(measure, name, batch, options.full, options.rounds, steps, options.compiled)
        if found is None:
            print(f"{name:>27} its process was killed; the memory may not be enough", flush=True)
            rows.append({"case": name, "batch": batch, "killed": True})
            continue
        spent = found.pop("spent")
        row = {"case": name, "batch": batch, **compare(spent), **found, "rounds": spent}
        row["clips_per_second"] = batch / row["seconds"]
        rows.append(row)
        print(
            f"{name:>27} {batch:>6} {1e3 * row['seconds']:>9.2f} {1e3 * row['bare_seconds']:>9.2f} "
            f"{row['bare']:>5} {row['overhead']:>9.1%} [{row['low']:>7.1%}, {row['high']:>7.1%}] "
            f"{row['cpu_overhead']:>7.1%} {row['clips_per_second']:>8.2f} {row['peak']:>9,.0f}",
            flush=True,
        )
        for kind in ("ours, XLA", "fit, XLA"):
            plain = kind.removesuffix(", XLA")
            if kind in spent:
                row[kind] = compare(spent, kind, (plain,))
                share = row[kind]["seconds"] / row[kind]["bare_seconds"]
                print(f"{kind:>44} {1e3 * row[kind]['seconds']:>9.2f}, {share:.2f} x {plain}")
            elif options.compiled:
                print(f"{kind:>44} does not compile: {found['refused'][kind]}")
    return rows


def conclude(rows):
    """What the rows say together."""
    rows = {row["case"]: row for row in rows if "overhead" in row}
    least = rows.pop(NEXT_TO_NOTHING, None)
    if least:
        extra = 1e3 * least["extra"]
        more = "more" if extra > 0 else "less"
        print(
            f"On next to no work, a step of ours takes {abs(extra):.2f} ms {more} than a bare one."
        )
    if rows:
        over = [(row["overhead"], row["cpu_overhead"]) for row in rows.values()]
        (clock, cpu), (most, most_cpu) = np.median(over, axis=0), np.max(over, axis=0)
        print(
            f"Overhead on the networks: median {clock:.1%}, largest {most:.1%} of the clock; "
            f"{cpu:.1%} and {most_cpu:.1%} of processor time. The goal is {GOAL:.0%} at most."
        )
        empty = np.median([row["before"] for row in rows.values()])
        print(f"A process without a network has {empty:,.0f} MiB.")


def memory(options):
    """A row for each way to take one batch, printed as it comes."""
    name, batch = options.memory_of, options.memory_batch
    print(f"\npeak MiB of a step of {batch} clips of {name}, each in a process of its own:")
    rows = []
    for parts in PARTS:
        peak = apart(memory_of, name, batch, options.full, parts)
        told = "its process was killed" if peak is None else f"{peak:,.0f}"
        rows.append({"case": name, "batch": batch, "accumulate": parts, "peak": peak})
        print(f"{'':>7} accumulate {parts}, {batch // parts} clips at a time: {told}", flush=True)
    print(
        "No gradient checkpointing is done: a step keeps all activations that its backward pass "
        "needs.\n`accumulate` is the way to save memory; it takes the parts of a batch one after "
        "the other."
    )
    return rows


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="networks and clips of the papers")
    parser.add_argument("--compiled", action="store_true", help="time XLA too")
    parser.add_argument("--only", default="", help="a part of a case's name")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=2, help="of each kind in a round, default 2")
    parser.add_argument("--batch", type=int, help="clips, default 4; with --full 1")
    parser.add_argument("--memory-of", default="multiseg_xception spatial", help="a case's name")
    parser.add_argument("--memory-batch", type=int, default=32, help="default 32; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="file for the same as JSON, and all rounds")
    options = parser.parse_args(arguments)
    for name in ("rounds", "steps", "batch"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1. Received: {getattr(options, name)}")
    if not any(options.only in name for name in CASES):
        parser.error(f"--only must be a part of one of {list(CASES)}. Received: {options.only!r}")
    if options.memory_of not in CASES:
        parser.error(f"--memory-of must be one of {list(CASES)}. Received: {options.memory_of!r}")
    if options.memory_batch < 0 or options.memory_batch % max(PARTS):
        parser.error(
            f"--memory-batch must be a multiple of {max(PARTS)}. Received: {options.memory_batch}"
        )
    return options


def main():
    options = parse()
    print(machine())
    size = "networks and clips of the papers" if options.full else "small networks and clips"
    print(f"{size}, float32, medians of {options.rounds} rounds of {options.steps} steps, ms")
    found = {"machine": machine(), "full": options.full}
    found["steps"] = steps_of(options, options.batch or (1 if options.full else 4))
    conclude(found["steps"])
    if options.memory_batch:
        found["memory"] = memory(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
