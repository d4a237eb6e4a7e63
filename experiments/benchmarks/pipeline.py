"""Clips a second of the input pipeline, for the clip of every paper, against the decoder's limit.

    .venv/bin/python experiments/benchmarks/pipeline.py [--data STORE] [--clips 48] [--rounds 5]

Without --data it draws JPGs of UCF101's size, as pack.py does. In one run, for each clip:

    limit    the same images decoded whole from memory, and nothing else
    loose    training clips from loose files: read, decoded, augmented to 224 x 224, batched
    packed   the same from a pack
    plain    a `keras.utils.PyDataset` that reads whole images with OpenCV, crops, resizes, flips

"CPU" is milliseconds of processor time a clip, on all cores together; "of limit" compares it with
that of the limit, and is what other work on the machine disturbs least. All files are in the page
cache. The medians of so many rounds are printed.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import cv2
import keras
import numpy as np
import tensorflow as tf
from pack import draw_store

from vidrec.clip import ClipSpec
from vidrec.extraction.pack import pack
from vidrec.layouts import PACKED
from vidrec.pipeline import dataset
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.policies import Sampling
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
BATCH = 4


def source_of(store, clip, sampling):
    table = store.index()
    table = table[(table.status == "ok") & (table.n_flow > 0)]
    classes = sorted(set(table.label))
    return dataset.ClipSource(
        store=store, table=table, classes=classes, clip=clip, sampling=Sampling(**sampling)
    )


def images_of(clip):
    """JPGs of one clip."""
    flow = 2 * clip.flow_length if "flow" in clip.modalities else 0
    return clip.frames * (("rgb" in clip.modalities) + flow)


def pipeline(source, augment):
    """Training clips without end, in batches."""
    data = dataset.training_clips(
        source, batch_size=BATCH, seed=1, epochs=10**6, options=Augmentation(**augment)
    )
    return iter(data)


def limit(source):
    """Groups of decoded images, as many as a clip has, without end."""
    tensors, images = source.tensors(), source.images()
    draw = tf.random.stateless_uniform
    clips = [
        dataset.read_clip(source, images, tensors, v % len(source), draw, tf.constant([1, v]))
        for v in range(16)
    ]
    kinds = {
        channels: tf.stack([tf.reshape(getattr(clip, name), [-1]) for clip in clips])
        for name, channels in (("rgb", 3), ("flow", 1))
        if getattr(clips[0], name) is not None
    }

    def decode(number):
        first = []
        for channels, data in kinds.items():
            for jpg in tf.unstack(data[number % 16]):
                image = tf.io.decode_jpeg(jpg, channels, dct_method="INTEGER_ACCURATE")
                first.append(image[0, 0, 0])
        return tf.stack(first)

    data = tf.data.Dataset.range(10**9).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return iter(data.batch(BATCH).prefetch(tf.data.AUTOTUNE))


class Plain(keras.utils.PyDataset):
    """What a first version looks like: one Python call a batch, OpenCV, whole images."""

    def __init__(self, source, **options):
        super().__init__(**options)
        self.source, self.videos = source, list(source.table.itertuples())

    def __len__(self):
        return 10**9

    def __getitem__(self, number):
        rng = np.random.default_rng(number)
        videos = [self.videos[i] for i in rng.integers(len(self.videos), size=BATCH)]
        return [self._clip(video, rng) for video in videos]

    def _clip(self, video, rng):
        clip, store = self.source.clip, self.source.store
        frames = np.sort(
            rng.integers(max(1, video.n_frames - clip.flow_span - 1), size=clip.frames)
        )
        stacks = []
        if "rgb" in clip.modalities:
            paths = [store.path("frame", video.video_id, i + 1) for i in frames]
            stacks.append(np.stack([cv2.imread(str(path)) for path in paths]))
        if "flow" in clip.modalities:
            stacks.append(np.stack([self._flow(video, i) for i in frames]))
        side = int(rng.uniform(0.66, 1) * min(stacks[0].shape[1:3]))
        top, left = (int(rng.integers(room - side + 1)) for room in stacks[0].shape[1:3])
        flip, out = rng.random() < 0.5, []
        for images in stacks:
            images = images[:, top : top + side, left : left + side]
            images = np.stack([self._resize(image) for image in images])
            out.append(images[:, :, ::-1].copy() if flip else images)
        return out

    def _flow(self, video, first):
        pairs = range(first + 1, first + 1 + self.source.clip.flow_length)
        paths = [
            self.source.store.path(f"flow_{c}", video.video_id, i) for i in pairs for c in "xy"
        ]
        return np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths], axis=-1)

    @staticmethod
    def _resize(image):
        """OpenCV resizes at most four channels at a time."""
        parts = [image[..., i : i + 4] for i in range(0, image.shape[-1], 4)]
        return np.concatenate(
            [cv2.resize(part, (224, 224)).reshape(224, 224, -1) for part in parts], -1
        )


def plain(source, pool):
    """Its batches, fetched ahead by threads as Keras' `workers` does."""
    data, ahead = Plain(source, workers=os.cpu_count()), []
    for number in range(10**9):
        while len(ahead) < 2 * os.cpu_count():
            ahead.append(pool.submit(data.__getitem__, number + len(ahead)))
        yield ahead.pop(0).result()


def measure(batches, clips):
    """(wall clock, processor time), ms a clip."""
    steps = -(-clips // BATCH)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(batches)
    spent = time.perf_counter() - wall, time.process_time() - processor
    return [1e3 * seconds / (steps * BATCH) for seconds in spent]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="store with frames and flow; default: drawn noise")
    parser.add_argument("--clips", type=int, default=48, help="of each kind and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="a part of a clip's name")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {tf.__version__}")
    print(
        f"{'':>23} {'JPGs':>5} {'limit':>22} {'loose':>27} {'packed':>27} {'plain':>22}\n"
        f"{'':>23} {'':>5} {'clips/s':>8} {'img/s':>7} {'CPU':>5}"
        + 2 * f" {'clips/s':>8} {'CPU':>6} {'of limit':>11}"
        + f" {'clips/s':>8} {'CPU':>6} {'loose is':>9}"
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        store = Store(options.data) if options.data else draw_store(Path(folder) / "store")
        packed = Path(folder) / "packed"
        pack(store, packed)
        for name, (clip, sampling, augment) in CLIPS.items():
            if options.only and options.only not in name:
                continue
            source = source_of(store, clip, sampling)
            other = source_of(Store(packed, PACKED), clip, sampling)
            kinds = {
                "limit": limit(source),
                "loose": pipeline(source, augment),
                "packed": pipeline(other, augment),
                "plain": plain(source, pool),
            }
            for batches in kinds.values():
                measure(batches, BATCH * 4)  # the first ones wait for all to begin
            rounds = [
                {kind: measure(batches, options.clips) for kind, batches in kinds.items()}
                for _ in range(options.rounds)
            ]
            wall, cpu = (
                {kind: np.median([r[kind][i] for r in rounds]) for kind in kinds} for i in (0, 1)
            )
            line = f"{name:>23} {images_of(clip):>5}"
            line += f" {1e3 / wall['limit']:>8.1f} {1e3 * images_of(clip) / wall['limit']:>7,.0f}"
            line += f" {cpu['limit']:>5.1f}"
            for kind in ("loose", "packed"):
                line += (
                    f" {1e3 / wall[kind]:>8.1f} {cpu[kind]:>6.1f} {cpu['limit'] / cpu[kind]:>11.0%}"
                )
            line += f" {1e3 / wall['plain']:>8.1f} {cpu['plain']:>6.1f}"
            print(f"{line} {wall['plain'] / wall['loose']:>8.1f}x", flush=True)
            pool.shutdown(wait=False, cancel_futures=True)
            pool = ThreadPoolExecutor()  # noqa: PLW2901
        pool.shutdown(cancel_futures=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
