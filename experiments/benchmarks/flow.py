"""Optical flow engines on the same pairs of frames, in one run on one machine.

    python experiments/benchmarks/flow.py                        drawn clips, 240x240
    python experiments/benchmarks/flow.py --videos UCF-101       real clips

Each engine gets one thread of one process, and every clip is timed by all engines in turn, so that
what else the machine does falls on all alike. Times are CPU seconds. A ratio is the median over
clips of an engine's speed against that of `opencv`, the TV-L1 of `cv2.optflow`; agreement is that
of the 8-bit codes with the codes of `opencv`. `--processes` measures how pairs per second of `fast`
grow with processes.
"""

import argparse
import multiprocessing
import os
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from vidrec.clip import encode_flow
from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.extraction.engines import ENGINES, compute_flow
from vidrec.extraction.progress import duration
from vidrec.extraction.video import read_frames

REFERENCE = "opencv"
# UCF101: 13,320 videos; their frames less one each.
UCF101_PAIRS = 2_480_000
SPEC = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=40, size=240)


def read_grays(path, start, pairs):
    """uint8 (pairs + 1, H, W), or None if the video is shorter."""
    grays = []
    for number, frame in enumerate(read_frames(path)):
        if number >= start:
            grays.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
        if len(grays) == pairs + 1:
            return np.stack(grays)
    return None


def measure_clip(grays, engines):
    """One record an engine: CPU seconds a pair, and how its flow differs from the reference's."""
    flows, seconds = {}, {}
    for engine in engines:
        compute_flow(grays[0], grays[1], engine=engine)  # what is compiled or allocated once
        began = time.process_time()
        flows[engine] = [
            compute_flow(*pair, engine=engine) for pair in zip(grays, grays[1:], strict=False)
        ]
        seconds[engine] = (time.process_time() - began) / len(flows[engine])
    reference = np.stack(flows[REFERENCE])
    codes = encode_flow(reference).astype(int)
    records = []
    for engine in engines:
        flow = np.stack(flows[engine])
        apart = np.abs(encode_flow(flow).astype(int) - codes)
        records.append(
            {
                "engine": engine,
                "seconds": seconds[engine],
                "ratio": seconds[REFERENCE] / seconds[engine],
                "equal": (apart == 0).mean(),
                "within 1": (apart <= 1).mean(),
                "difference": np.abs(flow - reference).mean(),
            }
        )
    return records


def work(grays, seconds, begin, results):
    """In a process: pairs done in so many seconds of the clock by the engine `fast`."""
    cv2.setNumThreads(1)
    compute_flow(grays[0], grays[1])
    begin.wait()
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        at = done % (len(grays) - 1)
        compute_flow(grays[at], grays[at + 1])
        done += 1
    results.put(done / seconds)


def scaling(grays, processes, seconds):
    """Pairs per second of the clock, by so many processes at once."""
    context = multiprocessing.get_context("spawn")
    begin, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=work, args=(grays, seconds, begin, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    total = sum(results.get(timeout=60 + 10 * seconds) for _ in workers)
    for worker in workers:
        worker.join()
    return total


def machine():
    """One line on the machine."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return f"{os.cpu_count()} cores of {cpu}, OpenCV {cv2.__version__}, numpy {np.__version__}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", help="folder of class folders; default: drawn clips")
    parser.add_argument("--clips", type=int, default=9, help="spread over the folder, default 9")
    parser.add_argument("--pairs", type=int, default=6, help="of each clip, default 6")
    parser.add_argument("--start", type=int, default=5, help="first frame, default 5")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--processes", nargs="*", type=int, default=[1, os.cpu_count()])
    parser.add_argument("--seconds", type=float, default=10, help="of each count of processes")
    return parser.parse_args()


def main():
    options = parse()
    cv2.setNumThreads(1)
    engines = [REFERENCE, *(name for name in options.engines if name != REFERENCE)]
    with tempfile.TemporaryDirectory() as drawn:
        if options.videos is None:
            synthetic.write_videos(drawn, SPEC)
        table = Folder().videos(options.videos or drawn)
        chosen = table.path[:: max(1, len(table) // options.clips)][: options.clips]
        clips = {path: read_grays(path, options.start, options.pairs) for path in chosen}
    short = [path for path, grays in clips.items() if grays is None]
    clips = {path: grays for path, grays in clips.items() if grays is not None}
    if short:
        print(f"{len(short)} clips are shorter than --start and --pairs ask for: {short}")
    if not clips:
        raise SystemExit("No clip is left to measure: give a smaller --start or --pairs.")
    records = []
    for number, (path, grays) in enumerate(clips.items(), start=1):
        print(f"{number} of {len(clips)}: {Path(path).name}, {grays.shape[2]}x{grays.shape[1]}")
        records += measure_clip(grays, engines)
    result = pd.DataFrame(records).groupby("engine", sort=False).median()
    table = Table(title=f"{len(clips)} clips of {options.pairs} pairs, medians over clips")
    for name in ("engine", "pairs/s a core", "speed", "codes equal", "within 1", "mean diff. px"):
        table.add_column(name, justify="right")
    table.add_column("UCF101, 1 core", justify="right")
    for engine, row in result.iterrows():
        table.add_row(
            engine,
            f"{1 / row.seconds:.2f}",
            f"{row.ratio:.1f}x",
            f"{row.equal:.2%}",
            f"{row['within 1']:.3%}",
            f"{row.difference:.4f}",
            duration(UCF101_PAIRS * row.seconds),
        )
    console = Console(width=100)
    console.print(table)
    grays = next(iter(clips.values()))
    for processes in dict.fromkeys(options.processes):
        speed = scaling(grays, processes, options.seconds)
        print(f"fast, {processes} at once: {speed:.1f} pairs/s of the clock")
    print(machine())


if __name__ == "__main__":
    main()
