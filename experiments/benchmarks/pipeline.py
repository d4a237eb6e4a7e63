"""Clips a second of the input pipeline, for the clip of every paper, against the decoder's limit.

    .venv/bin/python experiments/benchmarks/pipeline.py [--data STORE] [--clips 48] [--rounds 5]

Without --data it draws JPGs of UCF101's size, as pack.py does. In one run, for each clip:

    limit    the same images decoded whole from memory, and nothing else
    loose    training clips from loose files: read, decoded, augmented to 224 x 224, batched
    packed   the same from a pack
    loose*   as loose, but scaled, flipped and coloured later, on the device (`data.finish: device`)
    packed*  that from a pack
    plain    a `keras.utils.PyDataset` that does the same with OpenCV and NumPy, on whole images

"CPU" is milliseconds of processor time a clip, on all cores together; "of limit" compares it with
that of the limit, and is what other work on the machine disturbs least. "feeds" is the step of 32
clips that loose* keeps up with: a GPU whose step takes longer never waits. All files are in the
page cache. The medians of so many rounds are printed; in each, every kind begins anew.

Then it says where the time of a flow clip goes, step by step, and what memory the process takes
after so many clips and with so many videos in the table.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import pandas as pd
import tensorflow as tf
from pack import draw_store
from plain_loader import PlainLoader

from vidrec.clip import ClipSpec
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.pipeline import crops, dataset
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.policies import Sampling
from vidrec.pipeline.source import ClipSource
from vidrec.store import Store

RGB, FLOW = ("rgb",), ("flow",)
CLIPS = {  # name: (ClipSpec, Sampling, Augmentation)
    "multiseg_xception rgb": (ClipSpec(modalities=RGB), {}, {}),
    "multiseg_xception flow": (ClipSpec(modalities=FLOW), {}, {}),
    "deep_fusion_tpn": (
        ClipSpec(segments=1, frames_per_segment=24, flow_length=4, flow_position="centre"),
        {"policy": "strided"},
        {"crop": "centre"},
    ),
    "vcm_sdd": (
        ClipSpec(segments=1, frames_per_segment=6, flow_length=5, flow_position="centre"),
        {"policy": "even", "parts": 8},
        {"crop": "centre"},
    ),
    "hst": (
        ClipSpec(segments=1, frames_per_segment=16, flow_length=1),
        {"policy": "even"},
        {"crop": "centre"},
    ),
    "tstam rgb": (
        ClipSpec(segments=6, modalities=RGB),
        {"policy": "intervals"},
        {"crop": "corners"},
    ),
    "tstam flow": (
        ClipSpec(segments=6, flow_length=5, modalities=FLOW),
        {"policy": "intervals"},
        {"crop": "corners"},
    ),
}
ALIKE = ("loose", "packed", "loose*", "packed*")
BATCH = 4
WARM_UP = 1.0  # s, in which tf.data finds its parallelism


def source_of(store, clip, sampling, copies=1, **options):
    table = store.index()
    table = table[(table.status == "ok") & (table.n_flow > 0)]
    return ClipSource(
        store=store,
        table=pd.concat([table] * copies),
        classes=sorted(set(table.label)),
        clip=clip,
        sampling=Sampling(**sampling),
        **options,
    )


def images_of(clip):
    """JPGs of one clip."""
    flow = 2 * clip.flow_length if "flow" in clip.modalities else 0
    return clip.frames * (("rgb" in clip.modalities) + flow)


def pipeline(source, augment, *, finished=True):
    """Training clips without end, in batches."""
    options = Augmentation(**augment)
    return dataset.training_clips(
        source, batch_size=BATCH, seed=1, epochs=10**6, options=options, finished=finished
    )


def without_end(step):
    """The results of `step`, a function of 0, 1, 2, ..., in batches as training has them."""
    data = tf.data.Dataset.range(10**9).map(step, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def encoded(source, number):
    """Clip number so-and-so, its files read."""
    number = tf.cast(number, tf.int32)
    return source.read(source.tensors(), number % len(source), tf.stack([1, number]))[0]


def corner(images):
    """One pixel, which is there only when all of them are."""
    return images[0, 0, 0]


def limit(source):
    """Decoded images, as many as a clip has, and nothing else."""
    clips = [encoded(source, number) for number in range(16)]
    kinds = {
        channels: tf.stack([tf.reshape(getattr(clip, name), [-1]) for clip in clips])
        for name, channels in (("rgb", 3), ("flow", 1))
        if getattr(clips[0], name) is not None
    }

    def decode(number):
        return tf.stack(
            [
                corner(tf.io.decode_jpeg(jpg, channels, dct_method="INTEGER_ACCURATE"))
                for channels, data in kinds.items()
                for jpg in tf.unstack(data[number % 16])
            ]
        )

    return without_end(decode)


def stages_of_a_flow_clip(source):
    """{name: Dataset that does this and all before it}, of a clip with flow alone."""
    spec = source.clip

    def decoded(number, channels=True):
        clip, key = encoded(source, number), tf.stack([2, tf.cast(number, tf.int32)])
        shape = clip.height_width()
        uniform = tf.random.stateless_uniform([3], key)
        box = crops.random_square(*shape, (0.66, 1.0), uniform)
        if channels:
            return clip.decode(box, shape=shape)
        jpgs = tf.unstack(tf.reshape(clip.flow, [-1]))
        method = {"channels": 1, "dct_method": "INTEGER_ACCURATE"}
        return tf.stack([tf.image.decode_and_crop_jpeg(jpg, box, **method) for jpg in jpgs])

    still = Augmentation(flip_lr=0, flip_ud=0)
    return {
        "files read": without_end(lambda i: tf.strings.length(encoded(source, i).flow)),
        "crop decoded": without_end(lambda i: corner(decoded(i, channels=False))),
        "as channels": without_end(lambda i: corner(decoded(i)["flow"][0])),
        "resized": without_end(
            lambda i: corner(crops.resize(decoded(i)["flow"], [spec.size] * 2)[0])
        ),
        "batched": dataset.training_clips(
            source, batch_size=BATCH, seed=1, epochs=10**6, options=still
        ),
        "flips": pipeline(source, {}),
    }


def measure(data, clips):
    """(wall clock, processor time), ms a clip, once it is going."""
    batches, steps = iter(data), -(-clips // BATCH)
    began = time.perf_counter()
    while time.perf_counter() < began + WARM_UP:
        next(batches)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(batches)
    spent = time.perf_counter() - wall, time.process_time() - processor
    return [1e3 * seconds / (steps * BATCH) for seconds in spent]


def medians(kinds, options):
    """{kind: (wall clock, processor time)}, ms a clip; the kinds take turns."""
    rounds = [
        {kind: measure(data, options.clips) for kind, data in kinds.items()}
        for _ in range(options.rounds)
    ]
    return {kind: np.median([one[kind] for one in rounds], axis=0) for kind in kinds}


def compare(store, packed, options):
    """One line a clip."""
    print(
        f"{'':>23} {'JPGs':>5} {'limit':>22}"
        + "".join(f" {name:>24}" for name in ALIKE)
        + f" {'plain':>22} {'feeds':>9}\n{'':>29} {'clips/s':>8} {'img/s':>7} {'CPU':>5}"
        + len(ALIKE) * f" {'clips/s':>8} {'CPU':>6} {'of limit':>8}"
        + f" {'clips/s':>8} {'CPU':>6} {'loose':>6} {'32 clips':>9}"
    )
    for name, (clip, sampling, augment) in CLIPS.items():
        if options.only and options.only not in name:
            continue
        source, other = source_of(store, clip, sampling), source_of(packed, clip, sampling)
        kinds = {
            "limit": limit(source),
            "loose": pipeline(source, augment),
            "packed": pipeline(other, augment),
            "loose*": pipeline(source, augment, finished=False),
            "packed*": pipeline(other, augment, finished=False),
            "plain": PlainLoader(source, BATCH),
        }
        found = medians(kinds, options)
        wall, cpu = ({kind: both[i] for kind, both in found.items()} for i in (0, 1))
        line = f"{name:>23} {images_of(clip):>5} {1e3 / wall['limit']:>8.1f}"
        line += f" {1e3 * images_of(clip) / wall['limit']:>7,.0f} {cpu['limit']:>5.1f}"
        for kind in ALIKE:
            line += f" {1e3 / wall[kind]:>8.1f} {cpu[kind]:>6.1f} {cpu['limit'] / cpu[kind]:>8.0%}"
        line += f" {1e3 / wall['plain']:>8.1f} {cpu['plain']:>6.1f}"
        line += f" {wall['plain'] / wall['loose']:>5.1f}x {32 * wall['loose*']:>6,.0f} ms"
        print(line, flush=True)


def break_down(store, options):
    """Where the time of a flow clip goes."""
    clip, sampling, _ = CLIPS["multiseg_xception flow"]
    source = source_of(store, clip, sampling)
    found = medians({"": limit(source), **stages_of_a_flow_clip(source)}, options)
    print(f"\nmultiseg_xception flow, CPU ms a clip (limit {found.pop('')[1]:.1f}):")
    before = 0
    for name, (_, cpu) in found.items():
        print(f"{name:>23} {cpu - before:>6.1f} {cpu:>6.1f}")
        before = cpu


def memory(store, options):
    """MiB that the process takes, with tables of one size and of a hundred times as many videos."""
    clip, sampling, augment = CLIPS["multiseg_xception flow"]
    print("\nmemory of the process, MiB, after so many clips:")
    for copies in (1, 100):
        source = source_of(store, clip, sampling, copies=copies)
        batches, taken, line = iter(pipeline(source, augment)), 0, ""
        for clips in (options.clips, 4 * options.clips, 16 * options.clips):
            while taken < clips:
                next(batches)
                taken += BATCH
            line += f"   {taken:,}: {resident():,.0f}"
        print(f"{len(source):>16,} videos{line}", flush=True)


def resident():
    """MiB of the process that are in memory now; the most so far where /proc is not there."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if platform.system() == "Darwin" else 2**10)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="store with frames and flow; default: drawn noise")
    parser.add_argument("--clips", type=int, default=48, help="of each kind and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="a part of a clip's name")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {tf.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(options.data) if options.data else draw_store(Path(folder) / "store")
        pack(store, Path(folder) / "packed")
        compare(store, Store(Path(folder) / "packed", PACKED), options)
        break_down(store, options)
        memory(store, options)


if __name__ == "__main__":
    main()
