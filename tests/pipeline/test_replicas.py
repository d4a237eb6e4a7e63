"""The batches of a run on two devices, two logical CPUs in a process of their own."""

import json
import subprocess
import sys

import numpy as np

from tests.conftest import PROJECT
from vidrec.clip import ClipSpec
from vidrec.pipeline.augmentation import Augmentation
from vidrec.pipeline.dataset import training_clips
from vidrec.pipeline.source import ClipSource

CLIP = ClipSpec(size=16, modalities=("rgb",))
RUN = {"batch_size": 4, "seed": 3, "epochs": 4, "facts": True}
CODE = """
import json
import sys
import tensorflow as tf
from tests.devices import logical_cpus
from tests.pipeline.test_replicas import CLIP, RUN, source_of
from vidrec.pipeline.dataset import training_clips
from vidrec.store import Store
from vidrec.training.strategy import choose_strategy

logical_cpus(2)
strategy = choose_strategy()
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    data = training_clips(source_of(Store(sys.argv[1])), **RUN)
    batches = strategy.experimental_distribute_dataset(data)
found = []
for clips, labels, facts in batches:
    parts = strategy.experimental_local_results(facts["video_id"])
    sums = strategy.experimental_local_results(clips["rgb"])
    found.append([
        [(name.decode(), int(tf.reduce_sum(tf.cast(clip, tf.int64))))
         for name, clip in zip(part.numpy(), images, strict=True)]
        for part, images in zip(parts, sums, strict=True)
    ])
print(json.dumps(found))
"""


def source_of(store):
    table = store.index()
    return ClipSource(store=store, table=table, classes=sorted(set(table.label)), clip=CLIP)


def test_two_devices_together_see_what_one_sees(store):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(store.root)], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    batches = json.loads(done.stdout.splitlines()[-1])
    alone = training_clips(source_of(store), **RUN, options=Augmentation())
    expected = [
        [
            [name.decode(), int(clip.sum(dtype=np.int64))]
            for name, clip in zip(facts["video_id"], clips["rgb"], strict=True)
        ]
        for clips, _, facts in alone.as_numpy_iterator()
    ]
    assert len(batches) == 4
    for parts, whole in zip(batches, expected, strict=True):
        assert [len(part) for part in parts] == [2, 2]
        assert parts[0] + parts[1] == whole
        assert len({name for name, _ in whole}) == 4  # no video twice in an epoch
