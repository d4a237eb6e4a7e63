"""Clips a second from a pack against loose files, in one run.

    .venv/bin/python experiments/benchmarks/pack.py [--data STORE] [--clips 200] [--rounds 7]

Without --data it draws JPGs of UCF101's size (320 x 240; frames of about 20 KB, flow of about 4).
Both are read from the page cache, where opening a file costs least: on a disk or a network drive
the pack has fewer of them to open. The clips are those of Qiao et al. 2021: 3 RGB frames, or 3
stacks of 10 flow pairs, augmented to 224 x 224. "read and decode" leaves the augmentation out.
"""

import argparse
import dataclasses
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

from vidrec.clip import ClipSpec
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.pipeline import dataset
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.source import ClipSource
from vidrec.store import Row, Store

VIDEOS, FRAMES, HEIGHT, WIDTH = 40, 60, 240, 320


def draw_store(root):
    """Noise that has been smoothed, so that its JPGs are about as large as those of real videos."""
    store, rng = Store(root), np.random.default_rng(0)

    def write(path, contrast, channels):
        small = rng.normal(128, contrast, (1, HEIGHT // 4, WIDTH // 4, channels))
        image = tf.image.resize(small, [HEIGHT, WIDTH], "bicubic")[0]
        image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_jpeg(image, quality=95).numpy())

    for number in range(VIDEOS):
        video_id = f"noise/v{number:03d}"
        for i in range(1, FRAMES + 1):
            write(store.path("frame", video_id, i), 40, 3)
        for i in range(1, FRAMES):
            for kind in ("flow_x", "flow_y"):
                write(store.path(kind, video_id, i), 5, 1)
        store.append(Row(video_id=video_id, label="noise", n_frames=FRAMES, n_flow=FRAMES - 1))
    return store


def clips_of(store, clip, count, *, augmented):
    """Training clips as the trainer gets them, or only read, decoded and cut."""
    table = store.index()
    table = table[(table.status == "ok") & (table.n_flow > 0)]
    classes = sorted(set(table.label))
    source = ClipSource(store=store, table=table, classes=classes, clip=clip)
    batch = min(8, len(table))
    if augmented:
        epochs = -(-count // (len(table) // batch * batch))
        options = {"batch_size": batch, "seed": 1, "epochs": epochs, "options": Augmentation()}
        return dataset.training_clips(source, **options).take(count // batch), batch
    tensors = source.tensors()

    def read(number):
        key = tf.random.fold_in(tf.constant([1, 2]), number)
        found, _ = source.read(tensors, number % len(table), key)
        return {name: value[:, ::8, ::8] for name, value in found.decode().items()}

    count = count // batch * batch
    return tf.data.Dataset.range(count).map(read, num_parallel_calls=tf.data.AUTOTUNE), 1


def milliseconds_a_clip(data, batch):
    """(wall clock, processor time of all cores)."""
    wall, processor = time.perf_counter(), time.process_time()
    count = sum(batch for _ in data)
    spent = time.perf_counter() - wall, time.process_time() - processor
    return [1e3 * seconds / count for seconds in spent]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="store of loose files in vidrec's layout")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        loose = Store(args.data) if args.data else draw_store(Path(scratch, "loose"))
        begin = time.perf_counter()
        manifest = pack(loose, Path(scratch, "packed"))
        took = time.perf_counter() - begin
        packed = Store(Path(scratch, "packed"), PACKED)
        records = manifest.records
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
        print(f"TensorFlow {tf.__version__}")
        print(f"packed {records['frames']} frames and {records['flow']} pairs in {took:.1f} s")
        print(
            f"\n{'ms a clip, best of ' + str(args.rounds):32}{'loose':>8}{'packed':>8}{'ratio':>8}"
        )
        for name, augmented in (("read and decode", False), ("training clips", True)):
            for modality in ("rgb", "flow"):
                clip = dataclasses.replace(ClipSpec(), modalities=(modality,))
                data = [
                    clips_of(store, clip, args.clips, augmented=augmented)
                    for store in (loose, packed)
                ]
                for one, _ in data:
                    for _ in one.take(10):  # traced, and in the page cache
                        pass
                rounds = [[milliseconds_a_clip(*one) for one in data] for _ in range(args.rounds)]
                for clock, (a, b) in zip(("wall", "cpu"), np.min(rounds, axis=0).T, strict=True):
                    print(f"{f'{name}, {modality}, {clock}':32}{a:8.2f}{b:8.2f}{b / a:8.2f}")


if __name__ == "__main__":
    main()
